"""What is owed to each uplink: a position that moves forward, and the exceptions above it.

Every record up to the position is acked or quarantined. Acks come out of order when several batches are under way; those
above the position are remembered here and the position follows when the gap closes. What was learned becomes durable with
the next weighing, or after a moment of quiet, or when the store closes: losing it only sends a record again.

The position goes back in two cases: a newer receipt that ends below an older one proves that the centre was restored from a
backup, or a cloud names events that it acknowledged and does not hold. What was lost is then owed again.
"""

import asyncio
import json
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from sqlite3 import Connection
from typing import Protocol

from scaleledger.domain import ledger
from scaleledger.domain.delivery import Batch, ItemOutcome, Outcome
from scaleledger.domain.errors import ChainBroken
from scaleledger.domain.standing import Receipt
from scaleledger.domain.weighing import Counts, Head, Record
from scaleledger.observe.log import get_logger
from scaleledger.store.connection import entries
from scaleledger.store.identity import Identity
from scaleledger.store.marks import Mark
from scaleledger.store.reader import Reader
from scaleledger.store.receipts import Kept, doubt, own_hash, read_receipts, regresses
from scaleledger.store.writer import Added, Writer

REASON_CHARS_MAX = 1000
STATIONS_COUNTED_MAX = 10_000
DOUBTS_KEPT = 100

log = get_logger()


class Clock(Protocol):
    """Where time comes from."""

    def now(self) -> datetime:
        """The wall clock, aware, UTC."""
        ...


@dataclass(slots=True)
class Standing:
    """One uplink's position, the settled numbers above it, and the records it refused, wherever they are."""

    position: int = 0
    beyond: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Books:
    """What the ledger holds at opening: how many records, the numbers that no record has (ranges, both ends in)."""

    held: int
    gaps: tuple[tuple[int, int], ...]
    standings: dict[str, Standing]
    receipts: dict[str, Kept]


def read_books(connection: Connection) -> Books:
    """The books, from the database."""
    (held,) = connection.execute("SELECT count(*) FROM weighing_records").fetchone()
    gaps = []
    for (seq,) in connection.execute("SELECT seq FROM checkpoints ORDER BY seq").fetchall():
        (below,) = connection.execute(
            "SELECT COALESCE(max(seq), 0) FROM weighing_records WHERE seq <= ?", (seq,)
        ).fetchone()
        if below < seq:
            gaps.append((below + 1, seq))
    standings = {
        uplink: Standing(position) for uplink, position in connection.execute("SELECT uplink, position FROM delivery")
    }
    for uplink, seq in connection.execute("SELECT uplink, seq FROM delivery_exceptions"):
        standing = standings.setdefault(uplink, Standing())
        standing.refused.add(seq)
        if seq > standing.position:
            standing.beyond.add(seq)
    return Books(held, tuple(gaps), standings, read_receipts(connection))


class Outbox:
    """The records that the uplinks have not settled yet."""

    def __init__(self, writer: Writer, reader: Reader, clock: Clock, books: Books, identity: Identity) -> None:
        self._identity = identity
        self._receipts = books.receipts
        self._doubted: deque[tuple[int, str]] = deque(maxlen=DOUBTS_KEPT)
        self._writer = writer
        self._reader = reader
        self._clock = clock
        self._held = books.held
        self._gaps = books.gaps
        self._standings = books.standings
        self._head: Head = writer.opening_head
        self._waiters: list[asyncio.Future[None]] = []

    @property
    def head(self) -> Head:
        """The newest number and hash, signed."""
        return self._head

    def position(self, uplink: str) -> int:
        """All records up to this number are settled."""
        return self._standing(uplink).position

    def refused(self, uplink: str) -> frozenset[int]:
        """The numbers of the records that this uplink's centre refused."""
        return frozenset(self._standing(uplink).refused)

    def note(self, added: Added, head: Head) -> None:
        """A commit was made."""
        self._held += len(added)
        self._head = head
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def note_gap(self, low: int, high: int, head: Head) -> None:
        """The ledger goes on after `head`; no record has a number from `low` to `high`."""
        self._gaps = (*self._gaps, (low, high))
        self.note((), head)

    async def next_batch(self, uplink: str, limit: int, after: int = 0) -> Batch | None:
        """The oldest unsettled records with seq > `after`, at most `limit`, quarantined ones left out; None if none.

        A record that cannot be proved is not sent as good: it is quarantined here and said.
        """
        standing = self._standing(uplink)
        start = max(after, standing.position)
        head = self._head
        if head.seq <= start:
            return None
        settled = frozenset(standing.beyond)
        records, broken = await self._reader.run(lambda connection: _take(connection, start, limit, settled))
        if broken:
            for seq, why in broken:
                log.error("sys.ledger_broken", seq=seq, why=why)
            await self.settle(uplink, [ItemOutcome(seq, Outcome.QUARANTINE, f"ledger: {why}") for seq, why in broken])
            return await self.next_batch(uplink, limit, after) if not records else Batch(tuple(records), self._head)
        return Batch(tuple(records), self._head) if records else None

    async def settle(self, uplink: str, outcomes: Sequence[ItemOutcome]) -> None:
        """Keep the outcomes. Acks may become durable later than this returns: losing one only sends a record again."""
        standing = self._standing(uplink)
        acked: list[int] = []
        refused: list[tuple[int, str, str]] = []
        moved = False
        for item in outcomes:
            if item.outcome is Outcome.RETRY or item.seq <= standing.position or item.seq in standing.beyond:
                continue
            standing.beyond.add(item.seq)
            moved = True
            if item.outcome is Outcome.ACKED:
                acked.append(item.seq)
            elif item.outcome is Outcome.QUARANTINE:
                refused.append((item.seq, item.reason[:REASON_CHARS_MAX], ledger.time_text(self._clock.now())))
        if not moved:
            return
        standing.refused.update(seq for seq, _, _ in refused)
        self._advance(standing)
        self._writer.mark(Mark(uplink, ranges(acked), tuple(refused), standing.position))

    def receipt(self, uplink: str) -> Receipt | None:
        """The newest proved word of the centre for what it holds; the highest, unless the centre was restored."""
        kept = self._receipts.get(uplink)
        return kept.receipt if kept is not None else None

    async def keep_receipt(self, uplink: str, receipt: Receipt) -> None:
        """Keep a receipt if it is proved and says something new; one that is not is said, and changes nothing.

        One that is newer than the last and ends below it opens delivery again after its end. Raises StoreError when our own
        record cannot be read.
        """
        if self.receipt(uplink) == receipt:
            return
        own = await self._reader.run(lambda connection: own_hash(connection, receipt.upto_seq))
        key = self._identity.server_key
        why = doubt(receipt, gateway=self._identity.mac_address, key=key, own_hash=own)
        if why:
            if (receipt.upto_seq, why) not in self._doubted:
                self._doubted.append((receipt.upto_seq, why))
                log.warning("net.receipt_refused", uplink=uplink, upto=receipt.upto_seq, why=why)
            return
        last, new = self._receipts.get(uplink), Kept(receipt, key)
        standing = self._standing(uplink)
        if last is None or last.key != key or receipt.upto_seq > last.receipt.upto_seq:
            self._receipts[uplink] = new
            self._writer.mark(Mark(uplink, position=standing.position, receipt=new))
        elif regresses(receipt, last.receipt):
            log.warning("net.redelivering", uplink=uplink, after=receipt.upto_seq, held=last.receipt.upto_seq)
            self._receipts[uplink] = new
            self._reopen(standing, receipt.upto_seq)
            self._writer.mark(Mark(uplink, position=standing.position, receipt=new, reopened=True))
            self._writer.flush()
            self.note((), self._head)

    def owe_again(self, uplink: str, numbers: Collection[int]) -> None:
        """Offer these records once more, those that were refused left out. A restart may forget it."""
        standing = self._standing(uplink)
        again = {seq for seq in numbers if seq <= standing.position or seq in standing.beyond} - standing.refused
        if not again:
            return
        log.warning("net.redelivering", uplink=uplink, after=min(again) - 1, held=standing.position, records=len(again))
        below = set(range(min(again), standing.position + 1)) - again
        for low, high in self._gaps:
            below.difference_update(range(low, min(high, standing.position) + 1))
        standing.beyond = (standing.beyond - again) | below
        standing.position = min(standing.position, min(again) - 1)
        self.note((), self._head)

    def _reopen(self, standing: Standing, after: int) -> None:
        standing.position = min(standing.position, after)
        standing.beyond = {seq for seq in standing.refused if seq > standing.position}
        self._advance(standing)

    async def wait_for_append(self, seen: int) -> int:
        """Wait until the newest seq is greater than `seen`; returns it."""
        while self._head.seq <= seen:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            finally:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)
        return self._head.seq

    async def counts(self, uplink: str) -> Counts:
        """The books. `by_station` counts the queued ones; it is empty above 10,000 of them. `sent` has those not owed too."""
        standing = self._standing(uplink)
        missing = sum(min(high, standing.position) - low + 1 for low, high in self._gaps if low <= standing.position)
        settled = standing.position - missing + len(standing.beyond)
        queued = self._held - settled
        oldest, by_station = None, dict[str, int]()
        if queued:
            start, beyond = standing.position, frozenset(standing.beyond)
            counted = queued <= STATIONS_COUNTED_MAX
            oldest, by_station = await self._reader.run(lambda c: _queued(c, start, beyond, counted=counted))
        return Counts(
            held=self._held,
            sent=settled - len(standing.refused),
            queued=queued,
            quarantined=len(standing.refused),
            oldest_queued_at=oldest,
            by_station=by_station,
        )

    def _standing(self, uplink: str) -> Standing:
        standing = self._standings.get(uplink)
        if standing is None:
            standing = self._standings[uplink] = Standing()
        self._advance(standing)
        return standing

    def _advance(self, standing: Standing) -> None:
        moved = True
        while moved:
            moved = False
            while standing.position + 1 in standing.beyond:
                standing.position += 1
                standing.beyond.remove(standing.position)
            for low, high in self._gaps:
                if low <= standing.position + 1 <= high:
                    standing.position, moved = high, True


def ranges(numbers: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Numbers as ranges, both ends in."""
    found: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][1] + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return tuple(found)


def _take(
    connection: Connection, start: int, limit: int, settled: frozenset[int]
) -> tuple[list[Record], list[tuple[int, str]]]:
    records: list[Record] = []
    broken: list[tuple[int, str]] = []
    known = dict(connection.execute("SELECT seq, hash FROM checkpoints WHERE seq >= ?", (start,)).fetchall())
    before = connection.execute("SELECT hash FROM weighing_records WHERE seq = ?", (start,)).fetchone()
    last, prev = start, before[0] if before else known.get(start, ledger.GENESIS)
    rows = entries(connection, start)
    for entry in rows:
        if entry.seq != last + 1:
            prev = known.get(entry.seq - 1, b"")
        if entry.seq not in settled:
            try:
                ledger.check_link(entry, prev)
                records.append(ledger.record_of(entry, prev))
            except ChainBroken as error:
                broken.append((entry.seq, error.why))
        last, prev = entry.seq, entry.hash
        if len(records) >= limit or len(broken) >= limit:
            break
    return records, broken


def _queued(
    connection: Connection, start: int, settled: frozenset[int], *, counted: bool
) -> tuple[datetime | None, dict[str, int]]:
    oldest: datetime | None = None
    by_station: dict[str, int] = {}
    rows = connection.execute("SELECT seq, payload, station FROM weighing_records WHERE seq > ? ORDER BY seq", (start,))
    for seq, payload, station in rows:
        if seq in settled:
            continue
        if oldest is None:
            oldest = datetime.fromisoformat(json.loads(payload)["measured_at"])
        if not counted:
            break
        by_station[station] = by_station.get(station, 0) + 1
    return oldest, by_station
