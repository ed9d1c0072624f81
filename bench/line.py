"""A whole weighing line in this process: the product's station, driver and store, fed by hand with an indicator's bytes.

Only the port is missing. Time is an argument of every part, so that loads need not be waited for: each weighing shows the
empty platform, then three stable frames; the last of them makes the station commit.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path

from scaleledger.app.clock import boot_id, utc_offset_min
from scaleledger.app.ports import Accept, Ledger, LinkReceiver
from scaleledger.app.station import Provenance, Source, Surroundings, WeighingStation
from scaleledger.bootstrap import new_uuid
from scaleledger.domain.reading import Reading, Role
from scaleledger.domain.station import StationRules
from scaleledger.domain.weighing import Draft, LastCapture, Record
from scaleledger.drivers import open_driver, st_gs_comma
from scaleledger.store import Store
from scaleledger.wire.link import LinkState, TransportStatus

RESERVE_MB = 8  # enough that pages come from it, as they do in service
EMPTY = st_gs_comma.encode(Reading(Decimal("0.0"), "kg", stable=True, role=Role.GROSS))


class HandClock:
    """Wall time is the machine's; monotonic time goes as it is told."""

    def __init__(self) -> None:
        self.monotonic_s = time.monotonic()

    def monotonic(self) -> float:
        return self.monotonic_s

    def now(self) -> datetime:
        return datetime.now(UTC)

    def pass_by(self, seconds: float) -> float:
        """Let time pass; the new time."""
        self.monotonic_s += seconds
        return self.monotonic_s


class InHand:
    """A transport whose one link gets its bytes by a call."""

    url = "hand:"
    status = TransportStatus(LinkState.OPEN)
    peer = "hand"

    def __init__(self) -> None:
        self.receiver: LinkReceiver | None = None
        self.open = asyncio.Event()

    async def run(self, accept: Accept) -> None:
        self.receiver = accept(self)
        self.open.set()
        await asyncio.Event().wait()

    def send(self, data: bytes) -> None:
        """The indicator takes no orders."""

    def close(self, reason: str) -> None:
        """Nobody pulls this cable."""


class Watched:
    """The ledger of one station, with the moment at which the station learns that its weighing is durable."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.durable: asyncio.Future[float] | None = None

    async def append(self, draft: Draft) -> Record:
        record = await self._ledger.append(draft)
        assert self.durable is not None
        self.durable.set_result(time.perf_counter())
        return record

    def told(self, record: Record) -> None:
        self._ledger.told(record)

    async def last_capture(self, station: str) -> LastCapture | None:
        return await self._ledger.last_capture(station)


class Dock:
    """One station with its line."""

    def __init__(self, name: str, store: Store, clock: HandClock) -> None:
        self._clock = clock
        self._line = InHand()
        self._ledger = Watched(store.ledger)
        around = Surroundings(clock, self._ledger, store.cards, Provenance(new_uuid, boot_id(), utc_offset_min))
        self.station = WeighingStation(
            StationRules(name, division=Decimal("0.1"), stale_s=86_400),
            Source(self._line, partial(open_driver, "st-gs-comma")),
            None,
            around,
            driver_name="st-gs-comma",
        )
        self._number = 0

    async def ready(self) -> None:
        """The line is open."""
        await self._line.open.wait()

    @property
    def busy(self) -> bool:
        """Whether a weighing is not durable yet."""
        return self._ledger.durable is not None and not self._ledger.durable.done()

    def weigh(self) -> "asyncio.Future[float]":
        """Let a load come; the future tells the seconds from its last frame's bytes to the durable weighing."""
        assert not self.busy, "one load at a time"
        self._number += 1
        weight = Decimal(100 + self._number % 9000) / 10 + 20
        load = st_gs_comma.encode(Reading(weight, "kg", stable=True, role=Role.GROSS))
        receiver = self._line.receiver
        assert receiver is not None
        for wait_s, frame in ((0.1, EMPTY), (0.6, EMPTY), (0.2, load), (0.2, load)):
            receiver.received(self._clock.pass_by(wait_s), frame)
        loop = asyncio.get_running_loop()
        durable = self._ledger.durable = loop.create_future()
        took: asyncio.Future[float] = loop.create_future()
        now = self._clock.pass_by(0.2)
        began = time.perf_counter()
        receiver.received(now, load)
        assert self.station.machine.state == "saving", f"the load was not captured: {self.station.machine.state}"
        durable.add_done_callback(lambda done: took.set_result(done.result() - began))
        return took


@asynccontextmanager
async def docks(folder: Path, count: int) -> AsyncIterator[list[Dock]]:
    """`count` stations on one store in `folder`, running."""
    clock = HandClock()
    store = await Store.open(
        folder, clock=clock, mac_address="02:00:00:00:00:01", hostname="bench", reserve_mb=RESERVE_MB
    )
    made = [Dock(f"dock-{n}", store, clock) for n in range(1, count + 1)]
    tasks = [asyncio.create_task(dock.station.run()) for dock in made]
    try:
        for dock in made:
            await dock.ready()
        yield made
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await store.close()
