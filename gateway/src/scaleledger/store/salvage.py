"""What is done with a database that does not open or fails its check: nothing of it is deleted, nothing is lost silently.

Every row that can still be read is read. A row that follows from its predecessor goes into the new ledger as it is. A row
that cannot be proved (its predecessor is gone, or its bytes changed) goes to the table `salvaged`, and a checkpoint signed
by the gateway lets the chain go on after it, so numbers are never given twice and `verify` shows where the damage was. The
damaged files keep existing beside the new one under another name.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from scaleledger.domain import ledger
from scaleledger.domain.errors import ChainBroken
from scaleledger.store.cards import VERSION_KEY
from scaleledger.store.connection import ENTRY_COLUMNS, INSERT_RECORD, UNREADABLE, connect, connect_readonly
from scaleledger.store.folder import READY, Folder, companions
from scaleledger.store.signing import SigningKey

MISSES_MAX = 5_000
"""So many numbers in a row that cannot be read end the search from one side."""

_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}
"""Locked, full, forbidden or failing to read are other troubles: the file is then left where it is."""

_ROW = f"SELECT {ENTRY_COLUMNS}, is_sent FROM weighing_records WHERE seq "  # noqa: S608
_OTHER_TABLES = (
    "gateway",
    "delivery",
    "delivery_exceptions",
    "cards",
    "assigned_stations",
    "receipts",
    "settings",
    "checkpoints",
    "salvaged",
    "devices",
    "rejected_lines",
    "work_sessions",
    "offline_batches",
    "plu_catalogue",
    "plu_files",
    "printers",
    "print_jobs",
    "logins",
)


@dataclass(frozen=True, slots=True)
class Salvaged:
    """What became of a damaged database: where it lies now, rows kept in the ledger, rows kept unproved, and why."""

    set_aside: Path
    why: str
    kept: int
    unproved: int


def fault_of(path: Path) -> str:
    """Why the database is damaged, in words; empty when it is sound. Raises sqlite3.Error when that cannot be told now."""
    if path.stat().st_size == 0:
        return "the file is empty"
    try:
        with closing(connect_readonly(path)) as connection:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            connection.execute("SELECT count(*) FROM weighing_records").fetchone()
            return "" if found == "ok" else str(found)
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF not in _DAMAGE:
            raise
        return str(error)
    except UnicodeDecodeError:
        return "its schema is malformed"


def salvage(source: Path, new: Path, key: SigningKey, gateway: str, name: str) -> tuple[int, int]:
    """Copy what can be read of `source` into the empty ledger `new`; returns how many rows were kept and how many unproved.

    `name` is what the damaged file will be called.
    """
    try:
        damaged = connect_readonly(source)
    except sqlite3.Error:
        return 0, 0
    with closing(damaged), closing(connect(new)) as target:
        damaged.execute("PRAGMA writable_schema=ON")  # only so does SQLite read a file that was cut short
        target.execute("BEGIN IMMEDIATE")
        for table in _OTHER_TABLES:
            _copy_table(damaged, target, table)
        target.execute("DELETE FROM settings WHERE key = ?", (VERSION_KEY,))  # the list may have lost cards: ask anew
        counts = _copy_records(damaged, target, key, gateway, name)
        target.execute("COMMIT")
    return counts


def _copy_records(
    damaged: sqlite3.Connection, target: sqlite3.Connection, key: SigningKey, gateway: str, name: str
) -> tuple[int, int]:
    known = {seq: bytes(digest) for seq, digest in target.execute("SELECT seq, hash FROM checkpoints")}
    last, prev, kept, unproved = 0, ledger.GENESIS, 0, 0
    for row in _readable_rows(damaged):
        entry = ledger.Entry._make(row[:10])
        if entry.seq != last + 1 and entry.seq - 1 in known:
            last, prev = entry.seq - 1, known[entry.seq - 1]
        why = ""
        if entry.seq != last + 1:
            why = f"its predecessor (after {last}) cannot be read"
        else:
            try:
                ledger.check_link(entry, prev)
            except ChainBroken as broken:
                why = broken.why
        last, prev = entry.seq, entry.hash
        if not why:
            target.execute(INSERT_RECORD, _as_stored(row))
            kept += 1
            continue
        unproved += 1
        columns = json.dumps([c.hex() if isinstance(c, bytes) else c for c in row])
        target.execute(
            "INSERT INTO salvaged (seq, columns, why, source) VALUES (?, ?, ?, ?)", (entry.seq, columns, why, name)
        )
        declare(target, key, gateway, entry.seq, entry.hash)
    if kept:
        _sign_newest(target, key)
    (delivered,) = target.execute("SELECT COALESCE(max(position), 0) FROM delivery").fetchone()
    if delivered > last:
        declare(target, key, gateway, delivered, prev)
    return kept, unproved


def _as_stored(row: tuple[object, ...]) -> tuple[object, ...]:
    seq, uuid, card, weight, unit, station, at, payload, digest, signature, sent = row
    return (seq, uuid, card, weight, at, 1 if sent else 0, unit, station, payload, digest, signature or None)


def declare(
    target: sqlite3.Connection, key: SigningKey, gateway: str, seq: int, digest: bytes, reason: str = "salvage"
) -> None:
    """Keep a signed checkpoint: the chain goes on after this number and hash."""
    signature = key.sign(ledger.checkpoint_message(gateway, seq, digest.hex(), reason))
    target.execute(
        "INSERT OR REPLACE INTO checkpoints (seq, gateway, hash, reason, signature) VALUES (?, ?, ?, ?, ?)",
        (seq, gateway, digest, reason, signature),
    )


def _sign_newest(target: sqlite3.Connection, key: SigningKey) -> None:
    """The newest kept record may stand in the middle of a lost group: sign it, so that it is a head again."""
    seq, digest, signature, payload = target.execute(
        "SELECT seq, hash, signature, payload FROM weighing_records ORDER BY seq DESC LIMIT 1"
    ).fetchone()
    if signature is None:
        mac = json.loads(payload)["gateway"]
        target.execute(
            "UPDATE weighing_records SET signature = ? WHERE seq = ?",
            (key.sign(ledger.head_message(mac, seq, digest.hex())), seq),
        )


def _readable_rows(damaged: sqlite3.Connection) -> Iterator[tuple[object, ...]]:
    """Rows in order of number: from the front as far as it goes, past unreadable pages, then what only the back gives."""
    last, misses = 0, 0
    while misses < MISSES_MAX:
        try:
            for row in damaged.execute(_ROW + "> ? ORDER BY seq", (last,)):
                last, misses = row[0], 0
                yield row
        except UNREADABLE:
            last, misses = last + 1, misses + 1
        else:
            return
    behind: list[tuple[object, ...]] = []
    with suppress(*UNREADABLE):
        behind.extend(damaged.execute(_ROW + "> ? ORDER BY seq DESC", (last,)))
    yield from reversed(behind)


def _copy_table(damaged: sqlite3.Connection, target: sqlite3.Connection, table: str) -> None:
    """Rows of a small table, as far as they read; what is lost here only costs sending again or asking the centre."""
    with suppress(*UNREADABLE):
        cursor = damaged.execute(f"SELECT * FROM {table}")  # noqa: S608
        names = [column[0] for column in cursor.description]
        marks = ", ".join("?" * len(names))
        statement = f"INSERT OR IGNORE INTO {table} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608
        for row in cursor:
            target.execute(statement, row)


def corrupt_name(database: Path, at: datetime) -> str:
    """The name a damaged database gets: one that nothing has yet, though the clock may stand still or go back."""
    first = name = f"{database.name}.corrupt-{at:%Y%m%dT%H%M%SZ}"
    number = 1
    while any(path.exists() for path in (database.with_name(name), *companions(database.with_name(name)))):
        number += 1
        name = f"{first}-{number}"
    return name


def swap(folder: Folder, at: datetime) -> None:
    """Put the finished new database in the damaged one's place. Can be cut short anywhere and done again."""
    ready = folder.database.with_name(folder.database.name + READY)
    aside = folder.database.with_name(corrupt_name(folder.database, at))
    if folder.database.exists():
        for old, new in zip(companions(folder.database), companions(aside), strict=True):
            if old.exists():
                old.rename(new)
        folder.database.rename(aside)
    folder.sync()
    ready.rename(folder.database)
    folder.sync()
