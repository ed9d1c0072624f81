"""Opening a data folder: the database is found sound, brought to this version, or set aside and salvaged; never silently new.

A first start builds the database under another name and renames it, so a database that is there was once complete. The
order is: database, key, the gateway's row. Hence a key without a database means that the database was taken away, and a
row without the key means that the key was.
"""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from scaleledger.domain.errors import StoreUnusable
from scaleledger.observe.log import get_logger
from scaleledger.store.connection import connect
from scaleledger.store.folder import NEW, READY, Folder, companions
from scaleledger.store.migrate import migrate, planned
from scaleledger.store.reader import Reader
from scaleledger.store.reserve import top_up
from scaleledger.store.salvage import Salvaged, corrupt_name, fault_of, salvage, swap
from scaleledger.store.signing import SigningKey, load_key, make_key

log = get_logger()


@dataclass(frozen=True, slots=True)
class Opening:
    """What opening found and did. `broken`: number of the first record of the newest ones that cannot be proved, and why."""

    first_start: bool = False
    database_was_missing: bool = False
    salvaged: Salvaged | None = None
    migrated: tuple[str, ...] = ()
    reserved_bytes: int = 0
    broken: tuple[int, str] | None = None


async def prepare(
    folder: Folder, *, mac_address: str, at: datetime, reserve_mb: int
) -> tuple[SigningKey, Opening, Reader]:
    """Make the folder's database ready for use. Raises StoreUnusable when that needs a person.

    The reader is opened first, so that no connection closed on the way is the last one and takes the grown log with it.
    """
    ready = folder.database.with_name(folder.database.name + READY)
    if ready.exists():
        swap(folder, at)
    first = not folder.database.exists() and not folder.key.exists()
    missing = not folder.database.exists() and folder.key.exists()
    salvaged = None
    reader = None
    try:
        if not folder.database.exists():
            await _create(folder.database.with_name(folder.database.name + NEW))
            folder.database.with_name(folder.database.name + NEW).rename(folder.database)
            folder.sync()
        else:
            salvaged = await _set_aside_if_damaged(folder, mac_address, at)
        reader = Reader(folder.database)
        steps = await planned(folder.database)
        if steps:
            reader.close()
            reader = None
            await migrate(folder.database)
            reader = Reader(folder.database)
        folder.database.chmod(0o600)
        with closing(connect(folder.database)) as connection:
            key = _key(folder, connection)
            reserved = top_up(connection, folder.database, reserve_mb)
    except (sqlite3.Error, OSError, StoreUnusable) as error:
        if reader is not None:
            reader.close()
        if isinstance(error, StoreUnusable):
            raise
        raise StoreUnusable(f"{folder.database} cannot be opened: {error}") from error
    if missing:
        log.error("sys.store_missing", database=str(folder.database))
    opening = Opening(
        first_start=first,
        database_was_missing=missing,
        salvaged=salvaged,
        migrated=tuple(steps),
        reserved_bytes=reserved,
    )
    return key, opening, reader


async def _create(path: Path) -> None:
    _begin(path)
    await migrate(path)


def _begin(path: Path) -> None:
    for left in (path, *companions(path)):
        left.unlink(missing_ok=True)
    connect(path).close()
    path.chmod(0o600)


def _key(folder: Folder, connection: sqlite3.Connection) -> SigningKey:
    if folder.key.exists():
        key = load_key(folder.key)
    elif connection.execute("SELECT count(*) FROM gateway").fetchone()[0]:
        raise StoreUnusable(
            f"the key {folder.key} is gone, but the ledger was signed with it. Put it back from a backup; or, to begin a "
            f"new ledger with a new identity, move {folder.database} away."
        )
    else:
        key = make_key(folder.key)
    row = connection.execute("SELECT public_key FROM gateway").fetchone()
    if row and row[0] != key.public_hex:
        raise StoreUnusable(
            f"{folder.key} is not the key that {folder.database} was signed with; put the true one back"
        )
    return key


async def _set_aside_if_damaged(folder: Folder, mac_address: str, at: datetime) -> Salvaged | None:
    why = fault_of(folder.database)
    if not why:
        return None
    key = load_key(folder.key) if folder.key.exists() else make_key(folder.key)
    new = folder.database.with_name(folder.database.name + NEW)
    await _create(new)
    name = corrupt_name(folder.database, at)
    kept, unproved = salvage(folder.database, new, key, mac_address, name)
    new.rename(folder.database.with_name(folder.database.name + READY))
    folder.sync()
    swap(folder, at)
    aside = folder.database.with_name(name)
    log.error("sys.store_set_aside", kept_as=str(aside), why=why, records=kept, unproved=unproved)
    return Salvaged(aside, why, kept, unproved)
