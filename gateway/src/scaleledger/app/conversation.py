"""One link of a listener: what the scale says, in order, and the OK that it is owed.

Every event goes to the ledger at once; answers leave in the order of what they answer, each when all before it is durable.
Nothing here waits for a cloud. An event that the store refuses is offered again, by us and by the scale, until it is kept or
the link ends; until then no OK leaves this link, as the scale could take it for the one that is missing.

A line that is no weighing gets no OK, and the question that follows it gets none either: it would say "kept" of a line that
was not taken as a weighing.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum

from scaleledger.app.keeping import Keeping
from scaleledger.app.nameless import Nameless, NamelessEvents
from scaleledger.app.registry import Device, DialledIn, Registry, ScaleProfile
from scaleledger.domain import finished
from scaleledger.domain.commands import Acknowledge
from scaleledger.domain.copies import LATE, Heard, Recent, RecentEvents, Verdict
from scaleledger.domain.finished import Arrival, Place
from scaleledger.domain.inputs import AckAsked, Fact, FinishedWeighing, Heartbeat, Problem, Registration
from scaleledger.domain.ledger import payload_fields
from scaleledger.domain.weighing import Draft, Record
from scaleledger.observe.log import get_logger
from scaleledger.wire.driver import Driver

log = get_logger()

DUE_MAX = 4_096
TOKEN_BYTES = 24
"""A problem of fewer bytes without a comma is a broken token, not a line: it is counted only."""
REJECTED_PER_MINUTE = 120
"""A link may have so many lines kept a minute; of more, every UNKEPT_LOGGED-th is in the log."""
UNKEPT_LOGGED = 100
REPEATED_LATE, NO_NAME, NO_WEIGHT = "repeated-late", "no-name", "no-weight"


class Owed(Enum):
    """What an entry of the row is."""

    EVENT = "event"
    QUESTION = "question"
    REJECTED = "rejected"
    NOTHING = "nothing"


@dataclass(eq=False, slots=True)
class _Due:
    """Something in the row. `done` once it is settled, `kept` if it may be answered with OK."""

    owed: Owed
    done: bool = False
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Desk:
    """What all links of a listener share. `reread` reads one line by another scale's profile."""

    registry: Registry
    nameless: NamelessEvents
    reread: Callable[[ScaleProfile, bytes], FinishedWeighing | Problem | None]
    boot_id: str
    guard: Callable[..., Callable[..., None]]


class Conversation:
    """The receiver of one link."""

    def __init__(self, desk: Desk, seen: DialledIn, driver: Driver) -> None:
        self.seen = seen
        self.received = desk.guard(self._received)
        self.lost = desk.guard(self._lost)
        self._desk = desk
        self._registry = desk.registry
        self._driver = driver
        self._row: deque[_Due] = deque()
        self._tasks: set[asyncio.Task[bool]] = set()
        self._keeping = Keeping(desk.registry, seen)
        self._refused = False
        self._spoilt = False
        self._recent = RecentEvents()
        self._unclaimed: list[Nameless] = []
        self._first = True
        self._rejected: deque[float] = deque()
        self._unkept = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def over(self) -> bool:
        """The link has ended, and nothing of it is under way any more."""
        return self._keeping.over.is_set() and not self._tasks

    async def settled(self) -> None:
        """Wait until nothing of this link is under way any more; after its end."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    # -- what the link calls ------------------------------------------------------------------------------------------

    def _received(self, now: float, data: bytes) -> None:
        self._registry.heard(self.seen, now)
        self._take(now, self._driver.receive(now, data))
        self._flush()

    def _lost(self, now: float, reason: str) -> None:
        self._take(now, self._driver.finish())
        self._keeping.over.set()
        if self._timer is not None:
            self._timer.cancel()
        self._registry.closed(self.seen, reason)

    def _woken(self) -> None:
        self._timer = None
        now = self._registry.clock.monotonic()
        self._take(now, self._driver.handle_timer(now))
        self._flush()

    def _flush(self) -> None:
        if self._keeping.over.is_set():
            return
        if due := self._driver.to_send():
            self.seen.link.send(due)
        at = self._driver.get_timer()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if at is not None:
            self._timer = asyncio.get_running_loop().call_at(at, self._desk.guard(self._woken))

    # -- facts --------------------------------------------------------------------------------------------------------

    def _take(self, now: float, facts: list[Fact]) -> None:
        for fact in facts:
            if self._refused:
                return
            match fact:
                case FinishedWeighing():
                    self._weighed(now, fact)
                case AckAsked():
                    self._owe(Owed.QUESTION)
                case Heartbeat():
                    self._registry.alive(self.seen)
                case Registration(device):
                    self._named(device)
                case Problem(reason, raw):
                    self._problem(now, reason, raw)
                case _:
                    pass

    def _named(self, device_id: str) -> None:
        before = self.seen.device
        if why := self._registry.name(self.seen, device_id):
            self._refused = True
            log.warning("hw.device_refused", device=device_id, peer=self.seen.link.peer, why=why)
            self.seen.link.close(why)
            return
        device = self.seen.device
        if device is None or device is before:
            return
        for event in self._unclaimed:
            self._claim(event, device)
        self._unclaimed.clear()
        self._recent = RecentEvents()

    def _weighed(self, now: float, event: FinishedWeighing) -> None:
        device, rules = self.seen.device, self.seen.rules
        profile = rules.profile_of(device.card.device_id if device is not None else "")
        if profile is not rules.profile:
            again = self._desk.reread(profile, event.raw)
            if isinstance(again, Problem):
                self._reject(again.reason, event.raw)
                return
            event = again or event
        if event.net is None or event.unit is None:
            self._reject(NO_WEIGHT, event.raw)
            return
        if len(self._row) >= DUE_MAX:
            self._refused = True
            self.seen.link.close(f"{DUE_MAX} lines wait for the disk already")
            return
        arrival = Arrival(event, self.seen.link.peer, self._registry.clock.now(), now)
        self.seen.events += 1
        if device is not None:
            self._of_device(device, arrival)
        elif rules.only_listed:
            self._reject(NO_NAME, event.raw)
        else:
            self._of_nobody(arrival)
        self._first = False

    def _of_device(self, device: Device, arrival: Arrival) -> None:
        if (earlier := self._desk.nameless.find(arrival, device.card.device_id)) is not None:
            device.repeats += 1
            if not earlier.device:
                self._claim(earlier, device)
            self._owe(Owed.EVENT, self._again(earlier.draft, arrival, earlier.arrival.received_at, device))
            return
        heard, timed = self._heard(arrival, device)
        verdict, recent = device.recent.judge(heard)
        if recent is not None:
            self._told_again(verdict, recent, device, heard, arrival)
            return
        device.clock, device.clock_offset = timed.trust, timed.offset
        if verdict is Verdict.DOUBTFUL:
            heard = replace(heard, draft=finished.noted(heard.draft, finished.POSSIBLE_COPY))
        device.recent.take(heard)
        self._owe(Owed.EVENT, self._keep(heard.draft, arrival, device))

    def _of_nobody(self, arrival: Arrival) -> None:
        for device in self._registry.at_host(arrival.host):
            as_device, _ = self._heard(arrival, device)
            verdict, recent = device.recent.judge(as_device)
            if recent is not None:
                self._told_again(verdict, recent, device, as_device, arrival)
                return
        heard, _ = self._heard(arrival, None)
        verdict, recent = self._recent.judge(heard)
        if recent is not None:
            self._recent.pair(recent, heard)
            self._owe(Owed.EVENT, self._again(recent.draft, arrival, recent.received_at, None))
            return
        if verdict is Verdict.DOUBTFUL:
            heard = replace(heard, draft=finished.noted(heard.draft, finished.POSSIBLE_COPY))
        self._recent.take(heard)
        event = Nameless(heard.draft.uuid, arrival, heard.draft)
        self._desk.nameless.put(event)
        self._unclaimed = [*self._unclaimed, event][-DUE_MAX:]
        self._owe(Owed.EVENT, self._keep(heard.draft, arrival, None))

    def _told_again(self, verdict: Verdict, recent: Recent, device: Device, heard: Heard, arrival: Arrival) -> None:
        device.recent.pair(recent, heard)
        if verdict is Verdict.COPY:
            device.copies += 1
        else:
            device.repeats += 1
        self._owe(Owed.EVENT, self._again(recent.draft, arrival, recent.received_at, device))

    def _claim(self, event: Nameless, device: Device) -> None:
        """An event from before the name is this device's; a copy or a repeat of it will find the first record."""
        event.device = device.card.device_id
        line = event.arrival.event.raw
        again = self._desk.reread(self.seen.rules.profile_of(event.device), line)
        arrival = event.arrival
        if isinstance(again, FinishedWeighing):
            arrival = replace(arrival, event=again)
        heard, timed = self._heard(arrival, device)
        device.clock, device.clock_offset = timed.trust, timed.offset
        device.recent.put(Recent(event.uuid, heard.like, heard.printed, arrival.received_at, arrival.host, event.draft))
        correction = finished.attributed(event.uuid, heard.draft)
        self._owe(Owed.NOTHING, self._attribute(event, correction, device))

    def _problem(self, now: float, reason: str, raw: bytes) -> None:
        device, rules = self.seen.device, self.seen.rules
        profile = rules.profile_of(device.card.device_id if device is not None else "")
        if profile is not rules.profile and b"," in raw:
            again = self._desk.reread(profile, raw)
            if isinstance(again, FinishedWeighing):
                self._weighed(now, again)
                return
        self._reject(reason, raw)

    def _reject(self, reason: str, raw: bytes) -> None:
        device, now = self.seen.device, self._registry.clock.monotonic()
        if device is not None:
            device.problems[reason] += 1
        if len(raw) < TOKEN_BYTES and b"," not in raw:
            return
        while self._rejected and now - self._rejected[0] > 60:
            self._rejected.popleft()
        if len(self._rejected) >= REJECTED_PER_MINUTE or len(self._row) >= DUE_MAX:
            self._unkept += 1
            if self._unkept % UNKEPT_LOGGED == 1:
                log.warning(
                    "hw.problem", peer=self.seen.link.peer, reason=reason, raw=raw[:64].hex(), seen=self._unkept
                )
            self._owe(Owed.REJECTED)
            return
        self._rejected.append(now)
        log.warning("biz.rejected", peer=self.seen.link.peer, reason=reason, raw=raw[:64].hex())
        self._owe(Owed.REJECTED, self._keeping.reject(reason, raw, self._registry.clock.now()))

    def _heard(self, arrival: Arrival, device: Device | None) -> tuple[Heard, finished.Timed]:
        rules = self.seen.rules
        device_id = device.card.device_id if device is not None else ""
        zone, tolerance = rules.profile_of(device_id).zone, timedelta(seconds=rules.clock_tolerance_s)
        place = Place(
            rules.name, rules.driver, device_id, zone, tolerance, self._desk.boot_id, self._desk.nameless.gateway
        )
        printed = finished.printed_time(arrival.event)
        trust = device.clock if device is not None else finished.UNTRIED
        timed = finished.judge_time(printed, zone, arrival.received_at, tolerance, trust)
        session = self._registry.sessions.at(device_id, timed.at) if device_id else None
        draft = finished.draft_of(arrival, place, timed, session)
        prefixed = bool(finished.fields_of(arrival.event).get("prefix"))
        return Heard(draft, printed, prefixed, arrival.received_at, arrival.host, self._first), timed

    # -- what takes time ----------------------------------------------------------------------------------------------

    async def _keep(self, draft: Draft, arrival: Arrival, device: Device | None) -> bool:
        record = await self._keeping.append(draft)
        if record is None:
            return False
        if not _is_of(record, arrival):
            if device is not None:
                device.repeats += 1
            received_at = datetime.fromisoformat(payload_fields(record.payload)["details"]["received_at"])
            return await self._mind_repeat(arrival, received_at, device, record)
        fields = {"seq": record.seq, "uuid": record.uuid, "weight": str(record.weight), "unit": record.unit}
        log.info("biz.saved", station=draft.station, **fields)
        if device is not None:
            product = finished.fields_of(arrival.event).get("product", "")
            self._registry.weighed(device, draft, record, product)
        else:
            self._registry.tell_record(record)
        return True

    async def _again(self, draft: Draft | None, arrival: Arrival, received_at: datetime, device: Device | None) -> bool:
        """A line that tells of an event we know. Its draft is offered again: the first offer may have been refused."""
        record = None
        if draft is not None and (record := await self._keeping.append(draft)) is None:
            return False
        return await self._mind_repeat(arrival, received_at, device, record)

    async def _mind_repeat(
        self, arrival: Arrival, received_at: datetime, device: Device | None, record: Record | None
    ) -> bool:
        late = arrival.received_at - received_at > LATE
        device_id = device.card.device_id if device is not None else ""
        log.info("biz.repeated", device=device_id, peer=arrival.peer, late=late, seq=record.seq if record else 0)
        return not late or await self._keeping.reject(REPEATED_LATE, arrival.event.raw, arrival.received_at)

    async def _attribute(self, event: Nameless, correction: Draft, device: Device) -> bool:
        if event.draft is not None and await self._keeping.append(event.draft) is None:
            event.device = ""
            return False
        record = await self._keeping.append(correction)
        if record is None:
            event.device = ""
            return False
        log.info("biz.attributed", device=event.device, uuid=event.uuid, seq=record.seq)
        self._registry.weighed(device, correction, record, dict(correction.details).get("product", ""))
        return True

    # -- answers, in order --------------------------------------------------------------------------------------------

    def _owe(self, owed: Owed, work: Coroutine[None, None, bool] | None = None) -> None:
        due = _Due(owed)
        self._row.append(due)
        if work is None:
            self._done(due, kept=owed is Owed.QUESTION)
            return
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._desk.guard(lambda ended: self._worked(due, ended)))

    def _worked(self, due: _Due, task: asyncio.Task[bool]) -> None:
        self._tasks.discard(task)
        self._done(due, kept=not task.cancelled() and task.result())

    def _done(self, due: _Due, *, kept: bool) -> None:
        due.done, due.kept = True, kept
        while self._row and self._row[0].done:
            self._answer(self._row.popleft())
            self._flush()

    def _answer(self, due: _Due) -> None:
        if due.owed is Owed.NOTHING:
            return
        if due.owed is Owed.REJECTED or not due.kept:
            self._spoilt = True
        elif due.owed is Owed.EVENT:
            self._spoilt = False
            self._driver.ask(Acknowledge())
        elif self._spoilt:
            self._spoilt = False
        else:
            self._driver.ask(Acknowledge())


def _is_of(record: Record, arrival: Arrival) -> bool:
    """Whether the record was made of this very arrival, and not of an earlier one of the same line."""
    return f'"received_at":"{finished.received_text(arrival)}"' in record.payload
