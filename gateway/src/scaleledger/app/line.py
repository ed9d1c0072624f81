"""The open line to the centre: kept open, and what the centre says on it handed to those who do it.

Nothing durable depends on it. When it ends, nobody watches any more; what was pushed meanwhile is asked for as soon as the
line is open again.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from scaleledger.app.backoff import Backoff
from scaleledger.app.live import LiveLane
from scaleledger.app.ports import Channel, Clock
from scaleledger.domain.channel import Asked, PortsScanned, ScanPorts, StartStream, StopStream, SyncMarket, SyncStations
from scaleledger.domain.errors import CentreRefusal, LinkError
from scaleledger.observe.log import get_logger

log = get_logger()

Ports = Sequence[Mapping[str, str | int | None]]
PORTS_MAX = 256
LASTED_S = 30.0  # a line that held so long is opened again without delay


@dataclass(frozen=True, slots=True)
class LineDuties:
    """Who does what the centre asks for."""

    sync_stations: Callable[[], None]
    sync_market: Callable[[], None]
    scan: Callable[[], Awaitable[Ports]]


class Line:
    """Keeps `channel` open; run it as one task."""

    def __init__(self, channel: Channel, lane: LiveLane, duties: LineDuties, clock: Clock, rng: random.Random) -> None:
        self._channel, self._lane, self._duties, self._clock = channel, lane, duties, clock
        self._backoff = Backoff(rng)
        self._scanning: asyncio.Task[None] | None = None
        self._told = ""

    async def run(self) -> None:
        """Open the line, and again after a loss, until cancelled."""
        while True:
            began_s, wished_s = self._clock.monotonic(), 0.0
            try:
                await self._channel.run(self._hear, self._catch_up)
            except (LinkError, CentreRefusal) as error:
                wished_s = (error.retry_after_s or 0.0) if isinstance(error, LinkError) else 0.0
                self._tell(str(error))
            finally:
                self._lane.stop(None)
                await self._end_scan()
            if self._clock.monotonic() - began_s >= LASTED_S:
                self._backoff.reset()
                self._told = ""
            await asyncio.sleep(max(self._backoff.next_s(), wished_s))

    def _catch_up(self) -> None:
        """A push that came while there was no line is lost."""
        self._duties.sync_stations()
        self._duties.sync_market()

    def _hear(self, asked: Asked) -> None:
        if isinstance(asked, StartStream):
            self._lane.start(asked.stations)
        elif isinstance(asked, StopStream):
            self._lane.stop(asked.stations)
        elif isinstance(asked, SyncStations):
            self._duties.sync_stations()
        elif isinstance(asked, SyncMarket):
            self._duties.sync_market()
        else:
            assert isinstance(asked, ScanPorts)
            if self._scanning is None or self._scanning.done():
                self._scanning = asyncio.create_task(self._scan())

    async def _scan(self) -> None:
        ports = await self._duties.scan()
        self._channel.send(PortsScanned(tuple(ports[:PORTS_MAX])))

    async def _end_scan(self) -> None:
        scanning, self._scanning = self._scanning, None
        if scanning is not None:
            scanning.cancel()
            await asyncio.wait({scanning})
            if not scanning.cancelled():
                scanning.result()

    def _tell(self, reason: str) -> None:
        if reason != self._told:
            self._told = reason
            log.info("net.line_down", reason=reason)
