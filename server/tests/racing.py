"""Several at once: each in a thread and on a database connection of its own."""

import threading
from concurrent.futures import ThreadPoolExecutor

from django.db import connections


def together(*works):
    """Run all at the same moment; what they returned, in order. Raises what one of them raised."""
    barrier = threading.Barrier(len(works), timeout=20)

    def run(work):
        barrier.wait()
        try:
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(works)) as pool:
        return [done.result(60) for done in [pool.submit(run, work) for work in works]]
