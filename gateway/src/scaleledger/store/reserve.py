"""Room kept for the day the disk is full: free pages inside the database, and a log already at its high-water mark.

On a full disk SQLite takes a handful of rows more; from pages it already owns it goes on for as long as they last. A
separate ballast file does not help, as even a checkpoint then fails.
"""

import contextlib
import shutil
import sqlite3
from pathlib import Path

from scaleledger.store.connection import PAGE_BYTES, WAL_PAGES
from scaleledger.store.folder import companions

MIB = 1024 * 1024
CHUNK_BYTES = MIB
ROOM_LEFT_BYTES = 32 * MIB
"""What a top-up leaves on the disk for everything else."""


def free_bytes(connection: sqlite3.Connection) -> int:
    """What the database holds in free pages."""
    (pages,) = connection.execute("PRAGMA freelist_count").fetchone()
    (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    found: int = pages * page_bytes
    return found


def top_up(connection: sqlite3.Connection, path: Path, reserve_mb: int) -> int:
    """Bring the free pages up to `reserve_mb` and the log to its working size, as far as the disk has room.

    Returns the free bytes then held. A disk that is full is no error: the store opens with what it has.
    """
    wal = companions(path)[0]
    with contextlib.suppress(sqlite3.OperationalError):
        connection.execute("DROP TABLE IF EXISTS filler")
        lacking = reserve_mb * MIB - free_bytes(connection)
        lacking_wal = WAL_PAGES * PAGE_BYTES - (wal.stat().st_size if wal.exists() else 0)
        if reserve_mb and shutil.disk_usage(path.parent).free > lacking + lacking_wal + ROOM_LEFT_BYTES:
            if lacking > 0:
                _fill(connection, CHUNK_BYTES, -(-lacking // CHUNK_BYTES))
            if lacking_wal > 0:
                _fill(connection, lacking_wal, 1)
    with contextlib.suppress(sqlite3.OperationalError):
        connection.execute("DROP TABLE IF EXISTS filler")
        connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
    return free_bytes(connection)


def _fill(connection: sqlite3.Connection, size_bytes: int, times: int) -> None:
    """Write and let go: the pages stay with the database, and one transaction of that length stays with the log."""
    connection.execute("CREATE TABLE filler (room BLOB)")
    for _ in range(times):
        connection.execute("INSERT INTO filler VALUES (zeroblob(?))", (size_bytes,))
    connection.execute("DROP TABLE filler")
