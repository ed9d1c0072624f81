"""What the ledger says of the events of a device in a stretch of time: the newest word on each.

The ledger has no index but its numbers. As numbers are given in the order of receipt, the first record that can belong to
the stretch is found by halving; from there on the records are read in slices, so that delivery's reading comes in between.
"""

import json
from datetime import datetime, timedelta
from sqlite3 import Connection
from typing import Any

from scaleledger.domain.attribution import EventWord
from scaleledger.domain.ledger import time_text
from scaleledger.domain.session import Span
from scaleledger.domain.weighing import Kind
from scaleledger.store.reader import Reader

SLICE = 2_000
SLACK = timedelta(hours=1)  # by so much the wall clock may have been set back between two records
_MINE = (
    "SELECT seq, payload FROM weighing_records WHERE seq > ? AND seq <= ? AND station = ? AND measured_at >= ? "
    "AND measured_at < ? ORDER BY seq"
)
_NEXT_WEIGHING = (
    "SELECT seq, payload FROM weighing_records WHERE seq >= ? AND seq <= ? "
    'AND instr(payload, \'"kind":"weighing"\') ORDER BY seq LIMIT 1'
)
_HEAD = "SELECT COALESCE(max(seq), 0) FROM weighing_records"
_ENDLESS = "9999"  # later than every time


class Attributions:
    """Reads the events of a device. Damaged records are left out."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def events(self, station: str, span: Span, limit: int) -> tuple[list[EventWord], bool]:
        """The first `limit` events of a station in a span in the order of their numbers, and whether there are more.

        An event that was void is none. Raises StoreError.
        """
        since = time_text(span.since)
        until = time_text(span.until) if span.until is not None else _ENDLESS
        start = await self._reader.run(lambda connection: _before(connection, span.since - SLACK))
        found: dict[str, EventWord] = {}
        more = False
        while rows := await self._slice(start, station, since, until):
            start, mine = rows
            for seq, payload in mine:
                more = _take(found, seq, payload, limit) or more
        return [word for word in found.values() if word.payload["kind"] != Kind.VOID.value], more

    async def _slice(
        self, after: int, station: str, since: str, until: str
    ) -> tuple[int, list[tuple[int, str]]] | None:
        def read(connection: Connection) -> tuple[int, list[tuple[int, str]]] | None:
            (head,) = connection.execute(_HEAD).fetchone()
            upto = min(head, after + SLICE)
            if upto <= after:
                return None
            return upto, connection.execute(_MINE, (after, upto, station, since, until)).fetchall()

        return await self._reader.run(read)


def _take(found: dict[str, EventWord], seq: int, payload: str, limit: int) -> bool:
    """Put one record's word in its place; whether it is one event too many."""
    fields = _fields(payload)
    if fields is None:
        return False
    first = fields["refers_to"] or fields["uuid"]
    before = found.get(first)
    if before is None and len(found) >= limit:
        return True
    first_seq = seq if not fields["refers_to"] else before.first_seq if before is not None else 0
    found[first] = EventWord(first, first_seq, seq, fields)
    return False


def _before(connection: Connection, since: datetime) -> int:
    """A number below which nothing was received at `since` or later."""
    low, high = 0, connection.execute(_HEAD).fetchone()[0]
    while low < high:
        middle = (low + high + 1) // 2
        row = connection.execute(_NEXT_WEIGHING, (middle, high)).fetchone()
        if row is None or (at := _received(row[1])) is None or at >= since:
            high = middle - 1
        else:
            low = row[0]
    return int(low)


def _received(payload: str) -> datetime | None:
    fields = _fields(payload)
    if fields is None:
        return None
    try:
        return datetime.fromisoformat(fields["details"].get("received_at") or fields["measured_at"])
    except ValueError:
        return None


def _fields(payload: str) -> dict[str, Any] | None:
    try:
        fields = json.loads(payload)
    except ValueError:
        return None
    return fields if isinstance(fields, dict) and isinstance(fields.get("details"), dict) else None
