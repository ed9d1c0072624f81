"""Plain SQLite connections: opened the one way the promise needs, and asked whether they are.

WAL with synchronous=FULL is what survives a power cut with every acknowledged commit; a build or a disk that quietly gives
something else is refused. The WAL is never truncated: its blocks are written over, which halves the flushes.
"""

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from scaleledger.domain.errors import StoreError, StoreFull, StoreUnusable
from scaleledger.domain.ledger import GENESIS, Checkpoint, Entry

BUSY_TIMEOUT_S = 5.0
PAGE_BYTES = 1024  # a lone record with its ack dirties 12.2 KB of disk blocks at 1024, 14.0 at 2048, 21 at 4096
WAL_PAGES = 4000
UNREADABLE = (sqlite3.DatabaseError, UnicodeDecodeError)
"""What reading a damaged file raises; the second when SQLite's own message quotes the damage."""
PRAGMAS = {"journal_mode": "wal", "synchronous": 2}
INSERT_RECORD = (
    "INSERT INTO weighing_records (seq, uuid, rfid_uid, weight, measured_at, is_sent, unit, station, payload, hash, "
    "signature) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
ENTRY_COLUMNS = (
    "seq, uuid, rfid_uid, weight, unit, station, measured_at, CAST(payload AS TEXT), hash, COALESCE(signature, x'')"
)
ENTRIES_AFTER = f"SELECT {ENTRY_COLUMNS} FROM weighing_records WHERE seq > ? ORDER BY seq"  # noqa: S608


def connect(path: Path, *, page_bytes: int = PAGE_BYTES) -> sqlite3.Connection:
    """A connection that may write, in autocommit mode. Raises StoreUnusable when a pragma does not hold."""
    found = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        found.execute(f"PRAGMA page_size={page_bytes}")
        found.execute("PRAGMA journal_mode=WAL")
        found.execute("PRAGMA synchronous=FULL")
        found.execute("PRAGMA foreign_keys=ON")
        found.execute(f"PRAGMA wal_autocheckpoint={WAL_PAGES}")
        found.execute("PRAGMA journal_size_limit=-1")
        found.execute("PRAGMA trusted_schema=OFF")
        read_back(found)
    except (sqlite3.Error, StoreUnusable):
        found.close()
        raise
    return found


def read_back(connection: sqlite3.Connection) -> None:
    """Raise StoreUnusable unless the pragmas are what was asked for."""
    for name, wanted in PRAGMAS.items():
        (value,) = connection.execute(f"PRAGMA {name}").fetchone()
        require(name, value, wanted)


def require(name: str, value: object, wanted: object) -> None:
    """Raise StoreUnusable when pragma `name` reads otherwise than wanted."""
    if value != wanted:
        raise StoreUnusable(
            f"SQLite answers {name}={value} where {wanted} was set: this disk or this SQLite cannot keep the promise. "
            "Put the data folder on a local disk (no network share)."
        )


def connect_readonly(path: Path) -> sqlite3.Connection:
    """A connection that cannot change the ledger; damaged text comes back with surrogate escapes instead of an error."""
    found = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None
    )
    found.execute("PRAGMA trusted_schema=OFF")
    found.execute("PRAGMA query_only=ON")
    found.text_factory = readable
    return found


def readable(raw: bytes) -> str:
    """Text that may be damaged."""
    return raw.decode("utf-8", "surrogateescape")


def entries(connection: sqlite3.Connection, after: int = 0) -> Iterator[Entry]:
    """The records with seq > `after` in order, one at a time. `connection` comes from `connect_readonly`."""
    last = after
    connection.text_factory = str
    try:
        for row in connection.execute(ENTRIES_AFTER, (after,)):
            last = row[0]
            yield Entry(*row)
    except sqlite3.OperationalError as error:
        if "decode" not in str(error):
            raise
    else:
        return
    connection.text_factory = readable  # slower, and only met in a damaged row
    yield from map(Entry._make, connection.execute(ENTRIES_AFTER, (last,)))


def checkpoints(connection: sqlite3.Connection) -> list[Checkpoint]:
    """The declared gaps."""
    rows = connection.execute("SELECT gateway, seq, hash, reason, signature FROM checkpoints ORDER BY seq")
    return [Checkpoint(*row) for row in rows]


def read_head(connection: sqlite3.Connection) -> tuple[int, bytes, bytes]:
    """Number, hash and signature of the newest record or checkpoint; zeros for an empty ledger."""
    row = connection.execute(
        "SELECT * FROM (SELECT seq, hash, signature FROM weighing_records ORDER BY seq DESC LIMIT 1) "
        "UNION ALL SELECT * FROM (SELECT seq, hash, x'' FROM checkpoints ORDER BY seq DESC LIMIT 1) "
        "ORDER BY 1 DESC LIMIT 1"
    ).fetchone()
    return (row[0], row[1], row[2] or b"") if row else (0, GENESIS, b"")


def is_damage(error: Exception) -> bool:
    """Whether SQLite says that the file itself is not what it must be."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def refusal_of(error: Exception, path: Path) -> StoreError:
    """What a weighing is refused with when its commit failed so."""
    code = getattr(error, "sqlite_errorcode", 0)
    full = code == sqlite3.SQLITE_FULL
    if not full and code & 0xFF == sqlite3.SQLITE_IOERR:
        with contextlib.suppress(OSError):
            full = shutil.disk_usage(path.parent).free < 1024 * 1024
    if full:
        return StoreFull(f"no room on the disk of {path.parent}: the weighing was not kept. Free some room there.")
    return StoreError(f"the disk of {path.parent} refused the weighing ({error}); it was not kept. Check the disk.")
