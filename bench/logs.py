"""The product's own log, written as it is in service, but into a file."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scaleledger.observe import log


@contextmanager
def quiet_logs(folder: Path) -> Iterator[None]:
    """JSON lines go to a file in `folder` instead of standard error."""
    plain = sys.stderr
    with (folder / "log.jsonl").open("w") as file:
        sys.stderr = file
        try:
            log.configure(as_json=True)
            yield
        finally:
            sys.stderr = plain
            for left in logging.getLogger().handlers[:]:
                logging.getLogger().removeHandler(left)
