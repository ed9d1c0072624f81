"""One station at run time: links and drivers on one side, the state machine in the middle, its effects on the other.

Bytes in, facts, events, effects, bytes out: all of it in the same call on the event loop, without waiting. The one thing
that waits is the commit, in a task of its own; the state machine is told how it ended.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from scaleledger.app.ports import Accept, CardStanding, Link, LinkReceiver, LinkState, Transport
from scaleledger.app.surroundings import Details, Provenance, Source, StationCounts, Surroundings
from scaleledger.domain.catalogue import Card
from scaleledger.domain.channel import LiveWeight
from scaleledger.domain.commands import Command, Lamps, Show, Speak
from scaleledger.domain.errors import LedgerError, StoreError, StoreFull
from scaleledger.domain.guidance import GUIDANCE, Notice
from scaleledger.domain.inputs import CardSeen, DeviceState, Fact, KeysEntered, Problem
from scaleledger.domain.reading import Reading
from scaleledger.domain.station import Commit, Effect, Station, StationRules, Tell
from scaleledger.domain.station_table import State
from scaleledger.domain.weighing import Record
from scaleledger.observe.log import get_logger
from scaleledger.wire.driver import Driver

__all__ = ["Provenance", "Source", "StationCounts", "Surroundings", "WeighingStation"]

log = get_logger()

LOGGED_PER_REASON = 3  # problems of one kind that get a log line each; after that, one line per hundred


class WeighingStation:
    """Runs one station. `scale` brings readings (and cards, where the indicator has a reader); `reader` brings cards."""

    def __init__(
        self,
        rules: StationRules,
        scale: Source,
        reader: Source | None,
        around: Surroundings,
        *,
        driver_name: str,
        on_saved: Callable[[Record], None] = lambda _: None,
        guard: Callable[..., Callable[..., None]] = lambda call: call,
    ) -> None:
        self.name = rules.name
        self.machine = Station(rules)
        self.counts = StationCounts()
        self.driver_name = driver_name
        self.mode = rules.mode.value
        self._sources = [(scale, True)] + ([(reader, False)] if reader is not None else [])
        self._rules = rules
        self._clock = around.clock
        self._ledger = around.ledger
        self._cards = around.cards
        self._around = around
        self._on_saved = on_saved
        self._guard = guard
        self._wires: list[_Wire] = []
        self._commits: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._dark_at: float | None = None
        self._untold: Record | None = None
        self._means: tuple[str, Card | None] = ("", None)
        self._rest: asyncio.Event | None = None

    @property
    def transport(self) -> Transport:
        """The way to the indicator."""
        return self._sources[0][0].transport

    @property
    def silence(self) -> str:
        """What is wrong with the line, in words; empty when frames come. Tells "no bytes" from "bytes, but no frame"."""
        scale, wire = self.transport, self._scale_wire
        if wire is None:
            return f"{scale.url}: {scale.status.detail or scale.status.state.value}"
        now = self._clock.monotonic()
        if wire.is_quiet(now):
            return f"{scale.url}: open, but no bytes come: check cable, power and the indicator's output setting"
        if wire.is_unread(now):
            return f"{scale.url}: bytes come, but no frame: check driver, baud rate and parity"
        return ""

    @property
    def hears_bytes(self) -> bool:
        """Whether bytes came from the indicator lately, readable or not."""
        wire = self._scale_wire
        return wire is not None and not wire.is_quiet(self._clock.monotonic())

    @property
    def _scale_wire(self) -> "_Wire | None":
        return next((w for w in reversed(self._wires) if w.is_scale), None)

    @property
    def live(self) -> LiveWeight:
        """What the indicator shows right now, whatever the station is doing."""
        reading, wire = self.machine.reading, self._scale_wire
        weight = reading.weight if reading is not None else None
        waiting = wire is None and self.transport.status.state is LinkState.WAITING
        return LiveWeight(
            self.name,
            weight,
            ((reading.unit or self._rules.unit or "") if reading is not None and weight is not None else ""),
            reading.stable if reading is not None else None,
            self.machine.state.value,
            "up" if wire is not None else "opening" if waiting else "down",
            self.machine.card,
        )

    @property
    def busy(self) -> bool:
        """A weighing is under way: between the card, or the load, and the end of its commit."""
        return bool(self._commits) or self.machine.state in {State.MEASURING, State.SAVING}

    async def wait_idle(self) -> None:
        """Return when no weighing is under way."""
        while self.busy:
            if self._rest is None:
                self._rest = asyncio.Event()
            await self._rest.wait()

    async def run(self) -> None:
        """Serve until cancelled; a commit under way is finished first. Started anew, it begins with a fresh machine."""
        now = self._clock.monotonic()
        self.machine = Station(self._rules)
        self._apply(self.machine.boot(now, await self._ledger.last_capture(self.name)))
        transports = [
            asyncio.create_task(source.transport.run(self._accept(source, is_scale=is_scale)))
            for source, is_scale in self._sources
        ]
        try:
            await asyncio.gather(*transports)
        finally:
            for task in transports:
                task.cancel()
            await asyncio.wait(transports)
            await self._settle_commits()
            self._wires.clear()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    async def _settle_commits(self) -> None:
        while self._commits:
            await asyncio.wait(self._commits)

    # -- links --------------------------------------------------------------------------------------------------------

    def _accept(self, source: Source, *, is_scale: bool) -> Accept:
        def accept(link: Link) -> LinkReceiver | None:
            present = [w for w in self._wires if w.is_scale is is_scale]
            now = self._clock.monotonic()
            if any(not w.is_unread(now) for w in present):
                return None  # one device per line: a second one would mix two loads
            for old in present:
                old.link.close("replaced by a new connection")
            wire = _Wire(self, link, source.open_driver(), is_scale=is_scale, now=now)
            self._wires.append(wire)
            log.info("hw.link_up", station=self.name, peer=link.peer)
            if is_scale:
                self._apply(self.machine.link(now, up=True))
            self._pump(now)
            return wire

        return accept

    def _gone(self, wire: "_Wire", now: float, reason: str) -> None:
        if wire not in self._wires:
            return
        self._wires.remove(wire)
        log.info("hw.link_down", station=self.name, peer=wire.link.peer, reason=reason)
        if wire.is_scale and not any(w.is_scale for w in self._wires):
            self._apply(self.machine.link(now, up=False))

    # -- facts --------------------------------------------------------------------------------------------------------

    def _take(self, now: float, facts: Sequence[Fact]) -> bool:
        """Whether there was anything but problems among them."""
        counts = self.counts
        before = counts.facts
        for fact in facts:
            if isinstance(fact, Reading):
                counts.readings += 1
                effects = self.machine.reading_seen(now, fact)
            elif isinstance(fact, CardSeen):
                effects = self._take_card(now, fact)
            else:
                effects = self._take_other(fact)
            if not isinstance(fact, Problem):
                counts.facts += 1
            if effects:
                self._apply(effects)
        return counts.facts > before

    def _take_card(self, now: float, card: CardSeen) -> list[Effect]:
        self.counts.cards += 1
        standing = self._cards.standing(card.uid)
        log.info("biz.card", station=self.name, card=card.uid, standing=standing.value)
        self._means = (card.uid, self._cards.about(card.uid))
        return self.machine.card_seen(now, card, known=standing is CardStanding.KNOWN)

    def _take_other(self, fact: Fact) -> list[Effect]:
        if isinstance(fact, KeysEntered):
            log.info("biz.keys", station=self.name, kind=fact.kind, digits=fact.digits)
            return self.machine.keys_entered(fact)
        if isinstance(fact, Problem):
            self.counts.problems[fact.reason] += 1
            seen = self.counts.problems[fact.reason]
            if seen <= LOGGED_PER_REASON or seen % 100 == 0:
                log.warning("hw.problem", station=self.name, reason=fact.reason, raw=fact.raw[:64].hex(), seen=seen)
        elif isinstance(fact, DeviceState):
            self._note_told(lamp_seen=fact.green)
            log.debug("hw.device_state", station=self.name, state=str(fact))
        return []

    def approved(self) -> None:
        """The gateway was approved by the centre; that holds for later machines of this station too."""
        self._rules = replace(self._rules, needs_registration=False)
        self._apply(self.machine.approved(self._clock.monotonic()))
        self._pump(self._clock.monotonic())

    # -- effects ------------------------------------------------------------------------------------------------------

    def _apply(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Show):
                self._ask(effect)
            elif isinstance(effect, Tell):
                self._tell(effect)
            else:
                task = asyncio.get_running_loop().create_task(self._commit(effect))
                self._commits.add(task)
                task.add_done_callback(self._guard(self._commit_over))

    def _commit_over(self, task: asyncio.Task[None]) -> None:
        """The world's failures were dealt with in the task; what is left is our own mistake, and goes up."""
        self._commits.discard(task)
        self._note_rest()
        if not task.cancelled():
            task.result()

    @property
    def _has_lamps(self) -> bool:
        return any(Lamps in w.driver.understands for w in self._wires)

    def _note_told(self, *, lamp_seen: bool) -> None:
        """The operator was told when the device reports its green lamp lit; without a lamp, when the commit returned."""
        if lamp_seen and self._untold is not None and self._scale_wire is not None:
            self.machine.told()
            self._ledger.told(self._untold)
            self._untold = None

    def _tell(self, tell: Tell) -> None:
        guidance = GUIDANCE[tell.notice]
        if self.machine.state is State.SAVING:
            log.error("sys.store_slow", station=self.name)
        elif tell.notice is not Notice.READY:
            log.info("biz.notice", station=self.name, notice=tell.notice.value)
        self._ask(guidance.lamps)
        if guidance.clip:
            self._ask(Speak(guidance.clip))
        self._dark_at = self._clock.monotonic() + guidance.hold_s if guidance.hold_s else None

    def _ask(self, command: Command) -> None:
        for wire in self._wires:
            if type(command) in wire.driver.understands:
                wire.driver.ask(command)

    async def _commit(self, wanted: Commit) -> None:
        clock = self._clock
        draft = self._around.draft(
            wanted, station=self.name, driver=self.driver_name, mode=self.mode, details=self._meaning(wanted.card)
        )
        try:
            record = await self._ledger.append(draft)
        except (StoreError, LedgerError) as failure:
            self.counts.refused += 1
            event = "sys.store_full" if isinstance(failure, StoreFull) else "sys.store_failed"
            log.error(event, station=self.name, uuid=draft.uuid, error=str(failure))
            self._apply(self.machine.commit_failed(clock.monotonic()))
        else:
            self.counts.saved += 1
            fields = {"seq": record.seq, "uuid": record.uuid, "weight": str(record.weight), "unit": record.unit}
            log.info("biz.saved", station=self.name, card=record.card, **fields)
            self._apply(self.machine.committed(clock.monotonic()))
            self._untold = record
            self._note_told(lamp_seen=not self._has_lamps)
            self._on_saved(record)
        self._pump(clock.monotonic())

    def _meaning(self, uid: str) -> Details:
        """The names that the card stood for when it was presented."""
        seen, card = self._means
        card = card if seen == uid else self._cards.about(uid) if uid else None
        named = (("producer", card.producer), ("species", card.species)) if card is not None else ()
        return tuple(pair for pair in named if pair[1])

    # -- bytes out and timers -----------------------------------------------------------------------------------------

    def _pump(self, now: float) -> None:
        """Send what is due, and be woken when the next thing is."""
        self._note_rest()
        wanted = self.machine.get_timer()
        if self._dark_at is not None and (wanted is None or self._dark_at < wanted):
            wanted = self._dark_at
        for wire in self._wires:
            wire.flush()
            at = wire.driver.get_timer()
            if at is not None and (wanted is None or at < wanted):
                wanted = at
        if wanted is None or (self._timer is not None and self._timer_at <= wanted):
            return  # a timer that comes early looks again; moving it at every frame would cost more
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = wanted
        self._timer = asyncio.get_running_loop().call_at(max(wanted, now), self._guard(self._woken))

    def _note_rest(self) -> None:
        if self._rest is not None and not self.busy:
            self._rest.set()
            self._rest = None

    def _woken(self) -> None:
        self._timer = None
        now = self._clock.monotonic()
        for wire in list(self._wires):
            at = wire.driver.get_timer()
            if at is not None and at <= now:
                self._take(now, wire.driver.handle_timer(now))
        at = self.machine.get_timer()
        if at is not None and at <= now:
            self._apply(self.machine.handle_timer(now))
        if self._dark_at is not None and self._dark_at <= now:
            self._dark_at = None
            self._ask(Lamps())
        self._pump(now)


class _Wire:
    """One link of a station, with its driver."""

    def __init__(self, station: WeighingStation, link: Link, driver: Driver, *, is_scale: bool, now: float) -> None:
        self.link = link
        self.driver = driver
        self.is_scale = is_scale
        self._station = station
        self._heard_at = self._read_at = now
        self.received = station._guard(self._received)  # noqa: SLF001 - a part of the station
        self.lost = station._guard(self._lost)  # noqa: SLF001

    def is_quiet(self, now: float) -> bool:
        return now - self._heard_at > self._station.machine.rules.stale_s

    def is_unread(self, now: float) -> bool:
        return now - self._read_at > self._station.machine.rules.stale_s

    def flush(self) -> None:
        due = self.driver.to_send()
        if due:
            self.link.send(due)

    def _received(self, now: float, data: bytes) -> None:
        self._heard_at = now
        station = self._station
        station.counts.bytes += len(data)
        if station._take(now, self.driver.receive(now, data)):  # noqa: SLF001
            self._read_at = now
        station._pump(now)  # noqa: SLF001

    def _lost(self, now: float, reason: str) -> None:
        self._station._take(now, self.driver.finish())  # noqa: SLF001
        self._station._gone(self, now, reason)  # noqa: SLF001
