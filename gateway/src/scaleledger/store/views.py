"""What the dashboard's pages look at, read off the loop on a connection of their own.

The ledger has no index but its numbers, so a filtered look walks a bounded stretch of numbers and says where it stopped.
"""

import json
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from scaleledger.domain.ledger import Entry
from scaleledger.domain.viewing import Event, EventFilter, EventPage, Row
from scaleledger.store.reader import Reader

T = TypeVar("T")
STRETCH = 100_000
SECONDS_MAX = 2.0
ROWS_MAX = 500
_COLUMNS = "r.seq, r.uuid, r.station, r.weight, r.unit, r.measured_at, r.rfid_uid, r.is_sent, r.payload, r.hash"
_QUARANTINED = "EXISTS (SELECT 1 FROM delivery_exceptions e WHERE e.seq = r.seq)"
_SETTLED = "r.seq <= (SELECT COALESCE(min(position), 0) FROM delivery)"  # to every uplink, though perhaps owed to none
_STATES = {
    "sent": f"r.is_sent = 1 AND NOT {_QUARANTINED}",
    "queued": f"r.is_sent = 0 AND NOT {_QUARANTINED} AND NOT {_SETTLED}",
    "kept": f"r.is_sent = 0 AND NOT {_QUARANTINED} AND {_SETTLED}",
    "quarantined": _QUARANTINED,
}
_KINDS = {
    "devices": "SELECT * FROM devices ORDER BY device_id",
    "sessions": "SELECT * FROM work_sessions ORDER BY confirmed_at DESC",
    "batches": "SELECT * FROM offline_batches ORDER BY started_at DESC",
    "printers": "SELECT * FROM printers ORDER BY priority, printer_id",
    "print_jobs": "SELECT job_id, global_job_id, source, target_printer, target_role, printer_id, label_count, is_copy, "
    "status, attempts, error, created_at, next_attempt_at, printed_at FROM print_jobs ORDER BY created_at DESC",
    "plu_files": "SELECT id, family, version, sha256, item_count, length(content) AS size, generated_at, downloaded_at "
    "FROM plu_files ORDER BY generated_at DESC, id DESC",
    "quarantined": "SELECT uplink, seq, reason, at FROM delivery_exceptions ORDER BY seq DESC",
}
REJECTED = (
    "SELECT id, listener, device_id, peer, reason, line, first_at, last_at, times FROM rejected_lines "
    "WHERE id < ? ORDER BY id DESC LIMIT ?"
)


@dataclass(slots=True)
class _Found:
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    next_before: int | None = None


class Views:
    """The tables as pages show them. Every call raises StoreError when the disk does not answer."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def events(self, wanted: EventFilter) -> EventPage:
        """The newest records that fit, newest first."""
        found = await self._limited(lambda connection: _events(connection, wanted))
        return EventPage(tuple(_event(row) for row in found.rows), found.next_before)

    async def event(self, seq: int) -> Event | None:
        """One record."""
        rows = await self._limited(
            lambda connection: connection.execute(
                f"SELECT {_COLUMNS}, {_QUARANTINED}, {_SETTLED} FROM weighing_records r WHERE r.seq = ?",  # noqa: S608
                (seq,),
            ).fetchall()
        )
        return _event(rows[0]) if rows else None

    async def corrections(self, event: Event) -> tuple[Event, ...]:
        """The records that state something anew of this one, within the next stretch of numbers."""
        text = f'%"refers_to":"{event.uuid}"%'
        rows = await self._limited(
            lambda connection: connection.execute(
                f"SELECT {_COLUMNS}, {_QUARANTINED}, {_SETTLED} FROM weighing_records r WHERE r.seq > ? AND r.seq <= ? "  # noqa: S608
                "AND r.payload LIKE ? ORDER BY r.seq LIMIT 50",
                (event.seq, event.seq + STRETCH, text),
            ).fetchall()
        )
        return tuple(_event(row) for row in rows)

    async def seq_of(self, uuid: str) -> int | None:
        """The number of the record with this uuid."""
        rows = await self._limited(
            lambda connection: connection.execute("SELECT seq FROM weighing_records WHERE uuid = ?", (uuid,)).fetchall()
        )
        return int(rows[0][0]) if rows else None

    async def rejected(self, before: int, limit: int) -> list[Row]:
        """Lines that could not be taken, newest first, with an id below `before`."""
        return await self._limited(lambda connection: _rows(connection, REJECTED, (before, min(limit, ROWS_MAX))))

    async def rows(self, kind: str) -> list[Row]:
        """The small tables, at most 500 rows, by column: devices, sessions, batches, printers, print_jobs, plu_files, quarantined."""
        return await self._limited(lambda connection: _rows(connection, f"{_KINDS[kind]} LIMIT {ROWS_MAX}", ()))

    async def plu_content(self, number: int) -> bytes | None:
        """The bytes of one product file."""
        rows = await self._limited(
            lambda connection: connection.execute("SELECT content FROM plu_files WHERE id = ?", (number,)).fetchall()
        )
        return bytes(rows[0][0]) if rows else None

    def close(self) -> None:
        """Close the connection and end its thread."""
        self._reader.close()

    async def _limited(self, read: Callable[[sqlite3.Connection], T]) -> T:
        def run(connection: sqlite3.Connection) -> T:
            end = time.monotonic() + SECONDS_MAX
            connection.set_progress_handler(lambda: time.monotonic() > end, 10_000)
            return read(connection)

        return await self._reader.run(run)


def _events(connection: sqlite3.Connection, wanted: EventFilter) -> _Found:
    (newest,) = connection.execute("SELECT COALESCE(max(seq), 0) FROM weighing_records").fetchone()
    top = min(wanted.before or newest + 1, newest + 1)
    floor = max(top - STRETCH, 0)
    where, arguments = ["r.seq < ?", "r.seq >= ?"], [top, floor]
    if wanted.device:
        where.append("r.station = ?")
        arguments.append(wanted.device)
    if wanted.session:
        where.append("json_extract(r.payload, '$.details.session') = ?")
        arguments.append(wanted.session)
    if wanted.state in _STATES:
        where.append(_STATES[wanted.state])
    sql = (
        f"SELECT {_COLUMNS}, {_QUARANTINED}, {_SETTLED} FROM weighing_records r WHERE {' AND '.join(where)} "  # noqa: S608
        "ORDER BY r.seq DESC LIMIT ?"
    )
    rows = connection.execute(sql, (*arguments, wanted.limit + 1)).fetchall()
    if len(rows) > wanted.limit:
        return _Found(rows[: wanted.limit], rows[wanted.limit - 1][0])
    return _Found(rows, floor if floor > 1 else None)


def _event(row: tuple[Any, ...]) -> Event:
    entry = Entry(row[0], row[1], row[6], row[3], row[4], row[2], row[5], row[8], row[9])
    try:
        payload = json.loads(entry.payload)
    except ValueError:
        payload = {}
    if not isinstance(payload, dict):
        payload = {}
    state = "quarantined" if row[10] else "sent" if row[7] else "kept" if row[11] else "queued"
    return Event(entry, payload, state)


def _rows(connection: sqlite3.Connection, sql: str, arguments: tuple[int, ...]) -> list[Row]:
    cursor = connection.execute(sql, arguments)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]
