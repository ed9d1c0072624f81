"""A port on which scales dial in: it lets them in, gives each link a conversation, and closes those that are of no use."""

import asyncio
from collections.abc import Callable

from scaleledger.app.conversation import Conversation, Desk
from scaleledger.app.nameless import NamelessEvents, Past
from scaleledger.app.ports import Link, LinkReceiver, Transport, TransportStatus
from scaleledger.app.registry import Device, ListenerRules, Registry, ScaleProfile
from scaleledger.domain.copies import recalled
from scaleledger.domain.errors import LedgerError, StoreError
from scaleledger.domain.finished import CLOCK_SUSPECT, ClockTrust
from scaleledger.domain.inputs import FinishedWeighing, Problem
from scaleledger.domain.ledger import payload_fields, weight_text
from scaleledger.domain.weighing import Record
from scaleledger.observe.log import get_logger
from scaleledger.wire.driver import Driver

log = get_logger()

LOOKS_PER_LIMIT = 10
LOOK_S = (0.05, 5.0)


class Listener:
    """Runs one listener. `nameless` is shared by all of them; `open_driver` makes a driver for a link of that profile."""

    def __init__(
        self,
        rules: ListenerRules,
        transport: Transport,
        open_driver: Callable[[ScaleProfile], Driver],
        registry: Registry,
        nameless: NamelessEvents,
        past: Past,
        *,
        boot_id: str = "",
        guard: Callable[..., Callable[..., None]] = lambda call: call,
    ) -> None:
        self.rules = rules
        self.transport = transport
        self._open_driver = open_driver
        self._registry = registry
        self._nameless = nameless
        self._past = past
        self._desk = Desk(registry, nameless, self._reread, boot_id, guard)
        self._conversations: set[Conversation] = set()

    @property
    def name(self) -> str:
        """As configured."""
        return self.rules.name

    @property
    def status(self) -> TransportStatus:
        """How the port stands, in words."""
        return self.transport.status

    async def run(self) -> None:
        """Serve until cancelled; what is on its way to the disk is finished first."""
        await self._remember()
        parts = [asyncio.create_task(self.transport.run(self._accept)), asyncio.create_task(self._look())]
        try:
            await asyncio.gather(*parts)
        finally:
            for part in parts:
                part.cancel()
            await asyncio.wait(parts)
            for conversation in list(self._conversations):
                await conversation.settled()
            self._conversations.clear()

    async def _remember(self) -> None:
        """What the ledger holds of the scales that were here before: a repeat or a copy may be the first thing they send."""
        for device in self._registry.prepare(self.rules):
            if device.card.first_seen_at is None or device.recent.newest is not None:
                continue
            try:
                record = await self._registry.history.newest(device.card.device_id)
            except StoreError as failure:
                log.error("sys.store_failed", what=device.card.device_id, error=str(failure))
                continue
            if record is not None:
                _recall(device, record)
        await self._nameless.recall(self._past, self._registry.clock.now(), self._read)

    def _accept(self, link: Link) -> LinkReceiver | None:
        self._conversations -= {one for one in self._conversations if one.over}
        seen = self._registry.opened(link, self.rules)
        conversation = Conversation(self._desk, seen, self._open_driver(self.rules.profile))
        self._conversations.add(conversation)
        log.info("hw.link_up", station=self.name, peer=link.peer)
        return conversation

    async def _look(self) -> None:
        shortest_s = min(self.rules.lost_s, self.rules.stale_s, self.rules.registration_s)
        every_s = min(max(shortest_s / LOOKS_PER_LIMIT, LOOK_S[0]), LOOK_S[1])
        while True:
            await asyncio.sleep(every_s)
            self._registry.look(self.rules)

    def _reread(self, profile: ScaleProfile, line: bytes) -> FinishedWeighing | Problem | None:
        """One line as a scale of this profile means it."""
        facts = self._open_driver(profile).receive(0.0, line + b"\r\n")
        return next((fact for fact in facts if isinstance(fact, FinishedWeighing | Problem)), None)

    def _read(self, line: bytes) -> FinishedWeighing | None:
        found = self._reread(self.rules.profile, line)
        return found if isinstance(found, FinishedWeighing) else None


def _recall(device: Device, record: Record) -> None:
    try:
        details = payload_fields(record.payload)["details"]
        recent = recalled(record.uuid, weight_text(record.weight), record.unit, details)
    except (LedgerError, ValueError, LookupError, TypeError):
        return  # a record of another kind of station with the same name
    device.recent.put(recent)
    trusted = CLOCK_SUSPECT not in details.get("notes", "").split(",")
    device.clock = ClockTrust(trusted and recent.printed is not None, recent.printed)
    device.weight, device.unit, device.product = record.weight, record.unit, details.get("product", "")
