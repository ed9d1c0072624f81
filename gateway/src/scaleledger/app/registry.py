"""The scales that dial in: who is there, how each one stands, what was last heard of it.

A device stands as its links do, so there are no ghosts: a link that names itself anew leaves its old device at once. The
state is worked out when somebody asks, from the time of the last byte; nothing has to be set, and nothing flaps.

Two links under one name are one scale that dialled in anew (its old connection has not been given up yet), or two scales
with the same number. Which it is, the older one shows: silent for longer than a scale's signs of life, it is closed; as soon
as it speaks, it is a conflict, which is logged and shown. Both stay in, and the events of both are kept under the one name,
each with the peer that it came from: a wrong number is a matter for people, and no reason to stop a line.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from types import MappingProxyType

from scaleledger.app.plant_ports import DeviceShelf, EventHistory, RejectedLines, Sessions
from scaleledger.app.ports import Clock, Ledger
from scaleledger.domain.cloud import CloudTold, DeviceAlive, DeviceConnected, DeviceDisconnected
from scaleledger.domain.copies import RecentEvents
from scaleledger.domain.device import DeviceCard, DeviceStatus
from scaleledger.domain.errors import StoreError
from scaleledger.domain.finished import UNTRIED, ClockTrust, host_of
from scaleledger.domain.session import WorkSession
from scaleledger.domain.weighing import Draft, Record
from scaleledger.observe.log import get_logger
from scaleledger.wire.link import Link

log = get_logger()

DEVICES_MAX = 1_000
KEEP_EVERY_S = 30.0


@dataclass(frozen=True, slots=True)
class ScaleProfile:
    """What a scale's lines do not say of themselves, and a person's first words for it."""

    unit: str
    decimals: int
    codepage: str
    zone: tzinfo
    name: str = ""
    location: str = ""
    type: str = "disassembly"


@dataclass(frozen=True, slots=True)
class ListenerRules:
    """One listener's configuration. `scales` are those that are listed; the others are as `profile` says."""

    name: str
    driver: str
    profile: ScaleProfile
    scales: Mapping[str, ScaleProfile] = field(default_factory=lambda: MappingProxyType({}))
    only_listed: bool = False
    registration_s: float = 60.0
    idle_s: float = 300.0
    stale_s: float = 75.0
    lost_s: float = 150.0
    clock_tolerance_s: float = 120.0

    def profile_of(self, device_id: str) -> ScaleProfile:
        """How this scale's lines are read; "" is one that has not named itself."""
        return self.scales.get(device_id, self.profile)


@dataclass(eq=False, slots=True)
class DialledIn:
    """One link. Times are monotonic seconds."""

    link: Link
    rules: ListenerRules
    since: float
    heard_at: float
    device: "Device | None" = None
    named_at: float = 0.0
    events: int = 0

    @property
    def host(self) -> str:
        """The address at the other end."""
        return host_of(self.link.peer)


@dataclass(eq=False, slots=True)
class Device:
    """One scale. `card` is what is kept of it; the rest lives as long as the gateway."""

    card: DeviceCard
    rules: ListenerRules
    links: list[DialledIn] = field(default_factory=list)
    recent: RecentEvents = field(default_factory=RecentEvents)
    clock: ClockTrust = UNTRIED
    clock_offset: timedelta | None = None
    weight: Decimal | None = None
    unit: str = ""
    product: str = ""
    weighed_mono: float | None = None
    connected_mono: float = 0.0
    conflict: bool = False
    repeats: int = 0
    copies: int = 0
    problems: Counter[str] = field(default_factory=Counter)

    def status(self, now: float) -> DeviceStatus:
        """How it stands at `now` (monotonic seconds)."""
        if not self.links:
            return DeviceStatus.DISCONNECTED
        if now - max(link.heard_at for link in self.links) > self.rules.stale_s:
            return DeviceStatus.STALE
        active = max(self.connected_mono, self.weighed_mono or self.connected_mono)
        return DeviceStatus.IDLE if now - active > self.rules.idle_s else DeviceStatus.ONLINE


@dataclass(frozen=True, slots=True)
class DeviceSnapshot:
    """A device at one moment. `clock_offset_s`: so far its clock was ahead of ours at its last event, None if unknown.

    `weight` is its last event's, which is what such a scale shows; `conflict`: two living links have its name.
    """

    card: DeviceCard
    status: DeviceStatus
    peers: tuple[str, ...]
    conflict: bool
    clock_trusted: bool
    clock_offset_s: float | None
    weight: Decimal | None
    unit: str
    product: str
    repeats: int
    copies: int
    problems: Mapping[str, int]
    session: WorkSession | None


@dataclass(frozen=True, slots=True)
class LinkSnapshot:
    """A link that has not named itself."""

    listener: str
    peer: str
    open_s: float
    silent_s: float
    events: int


class NoSessions:
    """Where no cloud gives sessions."""

    def at(self, device_id: str, at: datetime) -> None:
        """None, always."""


class Registry:
    """All devices of a gateway. Set `sessions` before the listeners run; add to `hears` and `records` who wants to know.

    `hears` is called with what the cloud may be told of devices, `records` with each new event's record once it is durable.
    """

    def __init__(
        self, clock: Clock, ledger: Ledger, shelf: DeviceShelf, history: EventHistory, rejected: RejectedLines
    ) -> None:
        self.clock = clock
        self.ledger = ledger
        self.rejected = rejected
        self.history = history
        self.sessions: Sessions = NoSessions()
        self.hears: list[Callable[[CloudTold], None]] = []
        self.records: list[Callable[[Record], None]] = []
        self.devices: dict[str, Device] = {}
        self.links: list[DialledIn] = []
        self._shelf = shelf
        self._cards: dict[str, DeviceCard] = {}
        self._due: set[str] = set()
        self._new = asyncio.Event()

    # -- what is kept -------------------------------------------------------------------------------------------------

    async def load(self) -> None:
        """Take what is kept of devices; before any listener runs. Raises StoreError."""
        self._cards = {card.device_id: card for card in await self._shelf.load()}

    def prepare(self, rules: ListenerRules) -> list[Device]:
        """The devices of a listener that are known from before, or listed; none of them is there yet."""
        for device_id, card in self._cards.items():
            if card.listener == rules.name and device_id not in self.devices:
                self.devices[device_id] = Device(card, rules)
        for device_id in rules.scales:
            self._device(device_id, rules)
        return [device for device in self.devices.values() if device.rules is rules]

    async def run(self) -> None:
        """Keep what changed, until cancelled: a new device at once, counters every KEEP_EVERY_S. Call `keep` at the end."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(KEEP_EVERY_S):
                    await self._new.wait()
            self._new.clear()
            await self.keep()

    async def keep(self) -> None:
        """Keep what changed. What the disk refuses is kept with the next change."""
        due, self._due = self._due, set()
        try:
            await self._shelf.keep([self.devices[device_id].card for device_id in sorted(due)])
            due = set()
        except StoreError as failure:
            log.error("sys.store_failed", what="devices", error=str(failure))
        finally:
            self._due |= due

    async def describe(self, device_id: str, *, name: str, location: str, kind: str) -> None:
        """A person's words for a device; kept when it returns. Raises KeyError for one that was never here, StoreError."""
        device = self.devices[device_id]
        known_since = device.card.first_seen_at or self.clock.now()
        card = replace(device.card, name=name[:100], location=location[:100], type=kind, first_seen_at=known_since)
        await self._shelf.keep([card])
        device.card = replace(device.card, name=card.name, location=card.location, type=kind, first_seen_at=known_since)

    # -- who is there -------------------------------------------------------------------------------------------------

    def snapshots(self) -> list[DeviceSnapshot]:
        """All devices, by id."""
        return [self.snapshot(device_id) for device_id in sorted(self.devices)]

    def snapshot(self, device_id: str) -> DeviceSnapshot:
        """One device. Raises KeyError."""
        device, clock = self.devices[device_id], self.clock
        offset = device.clock_offset
        return DeviceSnapshot(
            card=device.card,
            status=device.status(clock.monotonic()),
            peers=tuple(link.link.peer for link in device.links),
            conflict=device.conflict,
            clock_trusted=device.clock.trusted,
            clock_offset_s=None if offset is None else offset.total_seconds(),
            weight=device.weight,
            unit=device.unit,
            product=device.product,
            repeats=device.repeats,
            copies=device.copies,
            problems=dict(device.problems),
            session=self.sessions.at(device_id, clock.now()),
        )

    def nameless(self) -> list[LinkSnapshot]:
        """The links that have not named themselves."""
        now = self.clock.monotonic()
        return [
            LinkSnapshot(seen.rules.name, seen.link.peer, now - seen.since, now - seen.heard_at, seen.events)
            for seen in self.links
            if seen.device is None
        ]

    def connected(self) -> dict[str, bool]:
        """The devices that have a link, each with whether it has a session now."""
        now = self.clock.now()
        return {d: self.sessions.at(d, now) is not None for d, device in self.devices.items() if device.links}

    # -- links --------------------------------------------------------------------------------------------------------

    def opened(self, link: Link, rules: ListenerRules) -> DialledIn:
        """A link is there."""
        now = self.clock.monotonic()
        seen = DialledIn(link, rules, now, now)
        self.links.append(seen)
        return seen

    def closed(self, seen: DialledIn, reason: str) -> None:
        """A link is gone."""
        if seen in self.links:
            self.links.remove(seen)
            self._leave(seen, reason)

    def heard(self, seen: DialledIn, now: float) -> None:
        """Bytes came on a link."""
        seen.heard_at = now
        device = seen.device
        if device is not None and len(device.links) > 1 and not device.conflict and seen is not device.links[-1]:
            device.conflict = True
            peers = [link.link.peer for link in device.links]
            log.warning("hw.device_conflict", device=device.card.device_id, peers=peers)

    def name(self, seen: DialledIn, device_id: str) -> str:
        """A link named itself. Returns why it may not come in, or an empty text."""
        rules = seen.rules
        if rules.only_listed and device_id not in rules.scales:
            return f"{device_id} is not listed for listener {rules.name}: add it there as [[listener.scale]]"
        if device_id not in self.devices and len(self.devices) >= DEVICES_MAX:
            return f"{DEVICES_MAX} scales are known already"
        if seen.device is not None and seen.device.card.device_id == device_id:
            return ""
        self._leave(seen, f"the scale calls itself {device_id} now")
        self._join(seen, self._device(device_id, rules))
        return ""

    def alive(self, seen: DialledIn) -> None:
        """A link's sign of life."""
        if (device := seen.device) is None:
            return
        at, card = self.clock.now(), device.card
        device.card = card = replace(card, last_heartbeat_at=at, heartbeat_count=card.heartbeat_count + 1)
        self._due.add(card.device_id)
        status = device.status(self.clock.monotonic()).value
        self._tell(DeviceAlive(card.device_id, status, card.heartbeat_count, card.event_count, at))

    def look(self, rules: ListenerRules) -> None:
        """Close the links of a listener that are of no use: silent, nameless, or left behind by their scale."""
        now = self.clock.monotonic()
        for seen in [link for link in self.links if link.rules is rules]:
            silent_s, device = now - seen.heard_at, seen.device
            if silent_s > rules.lost_s:
                log.warning("hw.device_lost", peer=seen.link.peer, device=device.card.device_id if device else "")
                seen.link.close(f"silent for {silent_s:.0f} s")
            elif device is None and not seen.events and now - seen.since > rules.registration_s:
                log.warning("hw.device_nameless", peer=seen.link.peer, listener=rules.name)
                seen.link.close(f"it neither named itself nor weighed for {rules.registration_s:g} s")
            elif device is not None and seen is not device.links[-1] and silent_s > rules.stale_s:
                seen.link.close("replaced by a newer connection of the same scale")

    def weighed(self, device: Device, draft: Draft, record: Record | None, product: str) -> None:
        """An event of a device is durable. `record` is None when it was told of before, under no name."""
        at, card = self.clock.now(), device.card
        if card.last_event_at is None:
            self._new.set()
        device.card = replace(card, last_event_at=at, event_count=card.event_count + 1)
        device.weighed_mono = self.clock.monotonic()
        device.weight, device.unit, device.product = draft.weight, draft.unit, product
        self._due.add(card.device_id)
        if record is not None:
            self.tell_record(record)

    def tell_record(self, record: Record) -> None:
        """A new record is durable."""
        for told in self.records:
            told(record)

    # -- inside -------------------------------------------------------------------------------------------------------

    def _device(self, device_id: str, rules: ListenerRules) -> Device:
        device = self.devices.get(device_id)
        if device is None:
            profile = rules.profile_of(device_id)
            card = self._cards.get(device_id) or DeviceCard(
                device_id, rules.name, profile.name, profile.location, profile.type
            )
            device = self.devices[device_id] = Device(card, rules)
        return device

    def _join(self, seen: DialledIn, device: Device) -> None:
        now, at = self.clock.monotonic(), self.clock.now()
        rules, card = seen.rules, device.card
        for older in list(device.links):
            if now - older.heard_at > rules.stale_s:
                older.link.close("replaced by a newer connection of the same scale")
        device.links.append(seen)
        device.rules, device.connected_mono = rules, now
        seen.device, seen.named_at = device, now
        first = card.first_seen_at is None
        device.card = replace(
            card,
            listener=rules.name,
            source_ip=seen.host,
            connected_at=at,
            first_seen_at=card.first_seen_at or at,
        )
        self._due.add(card.device_id)
        if first:
            self._new.set()
        log.info("hw.device_up", device=card.device_id, peer=seen.link.peer, listener=rules.name)
        self._tell(DeviceConnected(card.device_id, seen.host, card.type))

    def _leave(self, seen: DialledIn, reason: str) -> None:
        device, seen.device = seen.device, None
        if device is None:
            return
        device.links.remove(seen)
        if len(device.links) < 2:
            device.conflict = False
        device_id = device.card.device_id
        log.info("hw.device_down", device=device_id, peer=seen.link.peer, reason=reason)
        if not device.links:
            self._tell(DeviceDisconnected(device_id, reason, self.clock.now()))

    def _tell(self, told: CloudTold) -> None:
        for hear in self.hears:
            hear(told)

    def at_host(self, host: str) -> Sequence[Device]:
        """Devices without a link that dialled in from this address when they were last here."""
        return [d for d in self.devices.values() if not d.links and d.card.source_ip == host]
