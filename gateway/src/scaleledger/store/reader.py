"""Reading the ledger for delivery: one thread, one read-only connection, nothing decoded that could fail.

Read-only also has a purpose at the end: it is closed last, and as it may not write, SQLite leaves the log in its grown size
instead of deleting it.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from scaleledger.domain.errors import StoreError
from scaleledger.store.connection import connect_readonly

T = TypeVar("T")


class Reader:
    """Runs read functions one after another, off the loop."""

    def __init__(self, path: Path) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store-reader")
        self._connection = self._thread.submit(_open, path).result()

    async def run(self, read: Callable[[sqlite3.Connection], T]) -> T:
        """What `read` returns. Raises StoreError when the disk does not answer."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, read, self._connection)
        except sqlite3.Error as error:
            raise StoreError(f"the ledger cannot be read: {error}") from error

    def close(self) -> None:
        """Close the connection and end the thread."""
        self._thread.submit(self._connection.close).result()
        self._thread.shutdown()


def _open(path: Path) -> sqlite3.Connection:
    found = connect_readonly(path)
    found.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return found
