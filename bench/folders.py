"""Folders on the repository's own disk: a file system in memory would make every flush free."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from bench.result import OUT


@contextmanager
def scratch(name: str) -> Iterator[Path]:
    """A new folder under bench/out, gone afterwards."""
    OUT.mkdir(exist_ok=True)
    folder = Path(mkdtemp(prefix=f"{name}-", dir=OUT))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
