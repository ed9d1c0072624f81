"""From the outbox to one uplink: what is durable here becomes held there.

Theory. A cursor walks the outbox by number with up to `in_flight_limit` batches under way. Each record is in exactly one of
these places, and only the uplink's word for that very record takes it out of the outbox:

    ahead of the cursor ──offer──▶ in flight ──ACKED, QUARANTINE──▶ settled
            ▲                         │
            │                         ├─RETRY──▶ late: due again after its own back-off, the others go on
            └───────link failed───────┘          trouble: the link waits as a whole, then is tried with one batch

A record that is offered alone and fails again and again, while nothing is known of the link, becomes late too and is only
ever offered alone: neither one record nor an hour of outage holds up what comes after it. Only a delivery that was begun
after the last failure ends the trouble. All state changes in `run`'s own task.

Where order matters, the uplink itself keeps it: what must not pass another record comes back as RETRY.
"""

import asyncio
import math
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any

from scaleledger.app.backoff import Backoff
from scaleledger.app.ports import Clock, Outbox, Uplink
from scaleledger.domain.delivery import Batch, ItemOutcome, Outcome
from scaleledger.domain.errors import CredentialsRefused, Disbelieved, LinkError, StoreError
from scaleledger.domain.standing import Receipt
from scaleledger.domain.weighing import Record
from scaleledger.observe.log import get_logger

log = get_logger()

SWEEP_INTERVAL_S = 5.0
LATE_MAX = 1000  # so many records waiting by themselves stop the cursor
ALONE_MAX = 3  # failures of one record offered alone, after which the others go first


@dataclass(slots=True)
class _Late:
    """A record that waits by itself. `due_s` is infinite while it is offered; a suspect is offered alone."""

    backoff: Backoff
    due_s: float = math.inf
    suspect: bool = False


@dataclass(slots=True)
class _Trouble:
    """How the link stands: nothing is offered before `until_s` (ours) and `asked_s` (Retry-After); then one batch is.

    `round` counts failures; `told` is what the log was last told.
    """

    backoff: Backoff
    until_s: float = -math.inf
    asked_s: float = -math.inf
    probing: bool = False
    round: int = 0
    told: str = ""

    @property
    def over_s(self) -> float:
        return max(self.until_s, self.asked_s)

    def begin(self, now_s: float) -> None:
        self.round += 1
        self.probing = True
        self.until_s = now_s + self.backoff.next_s()

    def end(self) -> None:
        self.until_s, self.probing, self.told = -math.inf, False, ""
        self.backoff.reset()


@dataclass(frozen=True, slots=True)
class _Flight:
    """One batch under way, and the round of trouble it was begun in."""

    batch: Batch
    round: int


class Forwarder:
    """Keeps one uplink supplied from the outbox; `run` it as one task. `clock` must agree with the event loop's time."""

    def __init__(
        self,
        uplink: Uplink,
        outbox: Outbox,
        *,
        clock: Clock,
        rng: random.Random,
        sweep_interval_s: float = SWEEP_INTERVAL_S,
    ) -> None:
        self._uplink, self._outbox, self._clock, self._rng = uplink, outbox, clock, rng
        self._sweep_interval_s = sweep_interval_s
        self._trouble = _Trouble(Backoff(rng))
        self._cursor, self._seen, self._more, self._swept_s = 0, 0, True, -math.inf
        self._late: dict[int, _Late] = {}
        self._alone: tuple[int, int] = (0, 0)  # seq, failures in a row
        self._receipt: Receipt | None = None
        self._nudge = asyncio.Event()
        self._flights: dict[asyncio.Task[list[ItemOutcome]], _Flight] = {}
        self._waits: dict[str, asyncio.Task[Any]] = {}

    def retry_now(self) -> None:
        """The link is known to be back: end our own waiting. What the centre asked for by Retry-After still holds."""
        self._trouble.until_s = -math.inf
        self._trouble.backoff.reset()
        for late in self._late.values():
            if late.due_s != math.inf:
                late.due_s = -math.inf
        self._nudge.set()

    async def run(self) -> None:
        """Forward until cancelled. A delivery under way is then given up: its records are offered again at the next start."""
        self._cursor, self._swept_s = 0, -math.inf
        self._late.clear()
        try:
            while True:
                await self._offer()
                await self._wait()
                self._land()
        finally:
            tasks = [*self._flights, *self._waits.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._flights.clear()
            self._waits.clear()

    async def _offer(self) -> None:
        """Begin deliveries while there is something to offer, room for it, and no reason to wait."""
        now_s = self._clock.monotonic()
        self._look_back(now_s)
        while self._more and self._has_room() and self._uplink.ready and self._trouble.over_s <= now_s:
            try:
                batch = await self._outbox.next_batch(self._uplink.name, self._uplink.batch_limit, after=self._cursor)
            except StoreError as error:
                self._begin_trouble("sys.store_failed", error)
                return
            if batch is None:
                self._more = False
                if not self._flights:
                    self._forget_settled()
                return
            self._launch(batch)

    def _has_room(self) -> bool:
        limit = 1 if self._trouble.probing else self._uplink.in_flight_limit
        waiting = sum(late.due_s != math.inf for late in self._late.values())
        return len(self._flights) < limit and waiting < LATE_MAX

    def _launch(self, batch: Batch) -> None:
        """Begin the delivery of what of a batch is neither under way nor waiting by itself; move the cursor past it."""
        under_way = {r.seq for f in self._flights.values() for r in f.batch.records}
        offered: list[Record] = []
        self._cursor = batch.records[-1].seq
        for record in batch.records:
            late = self._late.get(record.seq)
            if record.seq in under_way or (late is not None and late.due_s != math.inf):
                continue
            alone = late is not None and late.suspect
            if not (alone and offered):
                offered.append(record)
            if alone:
                self._cursor = offered[-1].seq
                break
        if offered:
            flight = _Flight(replace(batch, records=tuple(offered)), self._trouble.round)
            self._flights[asyncio.create_task(self._deliver(flight.batch))] = flight

    async def _deliver(self, batch: Batch) -> list[ItemOutcome]:
        outcomes = await self._uplink.deliver(batch)
        assert [o.seq for o in outcomes] == [r.seq for r in batch.records], "one outcome per record, in order"
        known = [o for o in outcomes if o.outcome is not Outcome.RETRY]
        if known:
            await self._outbox.settle(self._uplink.name, known)
        await self._keep_receipt()
        return outcomes

    async def _keep_receipt(self) -> None:
        """Hand a new receipt on. One that cannot be looked at now is followed by others."""
        receipt = self._uplink.receipt
        if receipt is None or receipt is self._receipt:
            return
        self._receipt = receipt
        try:
            await self._outbox.keep_receipt(self._uplink.name, receipt)
        except StoreError as error:
            log.warning("sys.store_failed", reason=str(error))

    def _look_back(self, now_s: float) -> None:
        """Put late records that are due ahead of the cursor again, and from time to time the whole outbox."""
        due = [seq for seq, late in self._late.items() if late.due_s <= now_s]
        for seq in due:
            self._late[seq].due_s = math.inf
        if due:
            self._rewind(min(due))
        if now_s >= self._swept_s + self._sweep_interval_s:
            self._swept_s = now_s
            self._rewind(1)

    def _forget_settled(self) -> None:
        """Late records that the outbox does not offer any more were settled by someone else."""
        self._late = {seq: late for seq, late in self._late.items() if late.due_s != math.inf}

    def _rewind(self, seq: int) -> None:
        self._cursor = min(self._cursor, seq - 1)
        self._more = True

    async def _wait(self) -> None:
        """Wait for the first of all that could change what is to be done."""
        now_s = self._clock.monotonic()
        until = [self._swept_s + self._sweep_interval_s, *(late.due_s for late in self._late.values())]
        waits: dict[str, Callable[[], Coroutine[Any, Any, Any]]] = {"nudge": self._nudge.wait}
        if not self._uplink.ready:
            waits["ready"] = self._uplink.wait_ready
        elif self._trouble.over_s > now_s:
            until = [self._trouble.over_s]
        elif self._has_room():
            waits["append"] = self._wait_for_append
        for name, wait in waits.items():
            if name not in self._waits:
                self._waits[name] = asyncio.create_task(wait())
        watched = {*self._flights, *(self._waits[name] for name in waits)}
        timeout_s = max(0.0, min(until) - now_s)
        await asyncio.wait(watched, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        for name in [name for name, task in self._waits.items() if task.done()]:
            self._waits.pop(name).result()
            self._more = True
        self._nudge.clear()

    async def _wait_for_append(self) -> None:
        self._seen = await self._outbox.wait_for_append(self._seen)

    def _land(self) -> None:
        """Draw the conclusions from finished deliveries. Our own mistakes in them go up from here."""
        for task in [t for t in self._flights if t.done()]:
            flight = self._flights.pop(task)
            try:
                outcomes = task.result()
            except LinkError as error:
                event = "net.disbelieved" if isinstance(error, Disbelieved) else "net.link_error"
                self._fail(flight, event, error, error.retry_after_s)
            except CredentialsRefused as refusal:
                self._fail(flight, "net.link_error", refusal)
            except StoreError as error:
                self._fail(flight, "sys.store_failed", error)
            else:
                self._succeed(flight, outcomes)

    def _fail(self, flight: _Flight, event: str, error: Exception, retry_after_s: float | None = None) -> None:
        """Nothing is known of these records: they are ahead of the cursor again, and the link waits."""
        now_s = self._clock.monotonic()
        self._rewind(flight.batch.records[0].seq)
        if retry_after_s is not None:
            self._trouble.asked_s = max(self._trouble.asked_s, now_s + retry_after_s)
        if flight.round == self._trouble.round:
            self._begin_trouble(event, error)
            if len(flight.batch.records) == 1 and isinstance(error, LinkError):
                self._blame(flight.batch.records[0].seq, now_s)

    def _begin_trouble(self, event: str, error: Exception) -> None:
        self._trouble.begin(self._clock.monotonic())
        if str(error) != self._trouble.told:
            self._trouble.told = str(error)
            log.warning(event, uplink=self._uplink.name, reason=str(error))

    def _blame(self, seq: int, now_s: float) -> None:
        """A record offered alone failed; it may be the record, it may be the link."""
        self._alone = (seq, self._alone[1] + 1 if self._alone[0] == seq else 1)
        late = self._late.get(seq)
        if late is None and self._alone[1] >= ALONE_MAX:
            late = self._late[seq] = _Late(Backoff(self._rng))
        if late is not None:
            late.suspect = True
            late.due_s = now_s + late.backoff.next_s()

    def _succeed(self, flight: _Flight, outcomes: list[ItemOutcome]) -> None:
        now_s = self._clock.monotonic()
        if flight.round == self._trouble.round:
            self._trouble.end()
        for outcome in outcomes:
            if outcome.outcome is Outcome.RETRY:
                late = self._late.setdefault(outcome.seq, _Late(Backoff(self._rng)))
                late.due_s = now_s + late.backoff.next_s()
            else:
                self._late.pop(outcome.seq, None)
        acked = [o.seq for o in outcomes if o.outcome is Outcome.ACKED]
        if acked:
            log.info("net.delivered", uplink=self._uplink.name, count=len(acked), upto=acked[-1])
        uuids = {r.seq: r.uuid for r in flight.batch.records}
        self._tell_refused(outcomes, uuids)

    def _tell_refused(self, outcomes: list[ItemOutcome], uuids: dict[int, str]) -> None:
        for refused in (o for o in outcomes if o.outcome is Outcome.QUARANTINE):
            log.warning(
                "net.quarantined",
                uplink=self._uplink.name,
                seq=refused.seq,
                uuid=uuids[refused.seq],
                reason=refused.reason,
            )
