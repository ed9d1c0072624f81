"""What the ledger holds of one device, read from the newest record backwards.

No index is kept for it: one would be written with every weighing, for questions that are asked a few times a day. The
records are read in slices, so that delivery takes its turns in between, and a search ends with the first whole slice that
lies before the time asked for: a record is made after its weighing, so all that was made still earlier lies before it too.
"""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from sqlite3 import Connection
from typing import Any

from scaleledger.domain.errors import ChainBroken, LedgerError, StoreError
from scaleledger.domain.ledger import GENESIS, Entry, record_of, time_text
from scaleledger.domain.weighing import Kind, Record
from scaleledger.store.connection import ENTRY_COLUMNS
from scaleledger.store.reader import Reader

SLICE = 2_000
NEWEST_WITHIN = 50_000
"""`newest` looks at so many records; a device that has not weighed among them is as good as new."""

_SLICE = "SELECT seq, station, measured_at FROM weighing_records WHERE seq < ? ORDER BY seq DESC LIMIT ?"
_AFTER = "SELECT seq, station, measured_at FROM weighing_records WHERE seq > ? ORDER BY seq LIMIT ?"
_ENTRY = f"SELECT {ENTRY_COLUMNS} FROM weighing_records WHERE seq = ?"  # noqa: S608
_BEFORE = "SELECT hash FROM weighing_records WHERE seq = ?1 UNION ALL SELECT hash FROM checkpoints WHERE seq = ?1"

Row = tuple[int, str, str]


class History:
    """Answers from the disk; damaged records are left out."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def newest(self, station: str) -> Record | None:
        """The newest weighing (no correction) of a station among the last NEWEST_WITHIN records; None if there is none."""
        seen = 0
        async for rows in self._slices():
            if found := await self._records([row for row in rows if row[1] == station], Kind.WEIGHING, 1):
                return found[0]
            seen += len(rows)
            if seen >= NEWEST_WITHIN:
                break
        return None

    async def between(self, station: str, since: datetime, until: datetime, limit: int) -> list[Record]:
        """Weighings of a station with since <= measured_at < until, oldest first, at most `limit`. Raises StoreError."""
        first, last = time_text(since), time_text(until)
        found: list[Row] = []
        async for rows in self._slices():
            found += [row for row in rows if row[1] == station and first <= row[2] < last]
            if len(rows) == SLICE and all(row[2] < first for row in rows):
                break
        found.sort(key=lambda row: (row[2], row[0]))
        return await self._records(found, Kind.WEIGHING, limit)

    async def total(self, stations: Sequence[str], after_seq: int, upto_seq: int) -> list[Record]:
        """Weighings of these stations with after_seq < seq <= upto_seq, oldest first. Raises StoreError."""
        found: list[Row] = []
        async for rows in self._slices(upto_seq + 1):
            found += [row for row in rows if row[1] in stations and row[0] > after_seq]
            if rows[-1][0] <= after_seq:
                break
        return await self._records(found[::-1], Kind.WEIGHING)

    async def after(self, seq: int, limit: int) -> list[Record]:
        """Weighings among the next `limit` records with a greater number, oldest first. Raises StoreError."""
        rows = await self._reader.run(lambda connection: connection.execute(_AFTER, (seq, limit)).fetchall())
        return await self._records(rows, Kind.WEIGHING)

    async def kept_since(self, station: str, since: datetime, limit: int) -> list[Record]:
        """Weighings of a station with measured_at >= since, newest first, at most `limit`. Raises StoreError."""
        first = time_text(since)
        found: list[Row] = []
        async for rows in self._slices():
            found += [row for row in rows if row[1] == station and row[2] >= first]
            if all(row[2] < first for row in rows) or len(found) >= limit:
                break
        return await self._records(found[:limit], Kind.WEIGHING)

    async def corrections(self, since: datetime, limit: int) -> list[Record]:
        """Corrections with measured_at >= since, newest first, at most `limit`. Raises StoreError."""
        first = time_text(since)
        found: list[Row] = []
        async for rows in self._slices():
            found += [row for row in rows if row[2] >= first]
            if all(row[2] < first for row in rows):
                break
        return await self._records(found, Kind.CORRECTION, limit)

    async def _slices(self, below: int = 2**62) -> AsyncIterator[list[Row]]:
        while rows := await self._reader.run(_slice_below(below)):
            yield rows
            below = rows[-1][0]

    async def _records(self, rows: Sequence[Row], kind: Kind, limit: int = 2**31) -> list[Record]:
        found: list[Record] = []
        step = min(SLICE, limit)
        for start in range(0, len(rows), step):
            numbers = [row[0] for row in rows[start : start + step]]
            found += await self._reader.run(_read_all(numbers, kind))
            if len(found) >= limit:
                break
        return found[:limit]


def payload_of(record: Record) -> dict[str, Any]:
    """What a record says, as a mapping. Raises StoreError when it cannot be read."""
    try:
        found: dict[str, Any] = json.loads(record.payload)
    except ValueError as error:
        raise StoreError(f"record {record.seq} cannot be read") from error
    return found


def _slice_below(below: int) -> Callable[[Connection], list[Row]]:
    return lambda connection: connection.execute(_SLICE, (below, SLICE)).fetchall()


def _read_all(numbers: Sequence[int], kind: Kind) -> Callable[[Connection], list[Record]]:
    return lambda connection: [r for seq in numbers if (r := _read(connection, seq, kind)) is not None]


def _read(connection: Connection, seq: int, kind: Kind) -> Record | None:
    row = connection.execute(_ENTRY, (seq,)).fetchone()
    if row is None:
        return None
    before = connection.execute(_BEFORE, (seq - 1,)).fetchone()
    try:
        if json.loads(row[7])["kind"] != kind.value:
            return None
        return record_of(Entry(*row), before[0] if before else GENESIS)
    except (ValueError, LookupError, TypeError, ArithmeticError, LedgerError, ChainBroken):
        return None
