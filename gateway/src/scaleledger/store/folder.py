"""The data folder: private to the gateway's user, and one process at a time.

Files in it: `scaleledger.db` (with SQLite's -wal and -shm), `gateway.key`, `scaleledger.lock`; `claim` while a claim
code waits for use; after damage also `scaleledger.db.corrupt-<UTC time>`; before a migration `scaleledger.db.before-<step>`.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path

from scaleledger.domain.errors import StoreLocked, StoreUnusable

DATABASE = "scaleledger.db"
KEY = "gateway.key"
LOCK = "scaleledger.lock"
NEW = ".new"
READY = ".ready"

if sys.platform == "win32":
    import msvcrt

    def _try_lock(fd: int) -> None:
        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _try_lock(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


class Folder:
    """The folder at `path`, made (0700) if it is not there, and held by this process until `release`.

    Raises StoreLocked when another process holds it, StoreUnusable when it cannot be made or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = path / DATABASE
        self.key = path / KEY
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.chmod(0o700)
            self._lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StoreUnusable(
                f"the data folder {path} cannot be used: {error.strerror}. Give a folder that the gateway may write."
            ) from error
        try:
            _try_lock(self._lock)
        except OSError:
            holder = os.read(self._lock, 20).decode("ascii", "replace").strip() or "unknown"
            os.close(self._lock)
            raise StoreLocked(
                f"the data folder {path} is in use by another gateway (process {holder}). Stop that one first, or give "
                "this one a folder of its own."
            ) from None
        with suppress(
            OSError
        ):  # a full disk: the lock holds all the same, only the words for a second gateway are poorer
            os.ftruncate(self._lock, 0)
            os.lseek(self._lock, 0, os.SEEK_SET)
            os.write(self._lock, str(os.getpid()).encode())

    def release(self) -> None:
        """Let the folder go. Safe to call twice."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def sync(self) -> None:
        """Make names given and taken in this folder durable."""
        sync_folder(self.path)


def sync_folder(path: Path) -> None:
    """Flush a directory's entries; nothing to do where directories cannot be opened (Windows)."""
    if sys.platform == "win32":
        return
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def companions(database: Path) -> tuple[Path, Path]:
    """SQLite's own two files beside a database: its log and its index of the log."""
    return database.with_name(database.name + "-wal"), database.with_name(database.name + "-shm")


def places(database: Path) -> tuple[tuple[int, int], ...]:
    """Which files bear the names of a database and its log."""
    name = os.fspath(database)  # asked at every commit: plain names cost a third of what paths do
    try:
        return tuple((found.st_dev, found.st_ino) for found in map(os.stat, (name, f"{name}-wal")))
    except OSError:
        return ()
