"""`replay:` a capture instead of a device: the same bytes, at the same distances in time, or faster."""

import asyncio
import random
from pathlib import Path

from scaleledger.transports.address import Address
from scaleledger.transports.capture_file import read
from scaleledger.transports.links import STOPPED, Backoff, DeviceLink, LinkCounters, Standing
from scaleledger.wire.link import Accept, LinkState, Monotonic, TransportStatus

FIRST_RETRY_S, LAST_RETRY_S = 0.2, 5.0
PLAYED = "the capture has been played to its end"


class ReplayTransport:
    """Plays a file once, then ends. `speed` 2 is twice as fast, 0 as fast as it is taken. What is sent to it is dropped."""

    def __init__(self, url: str, path: Path, speed: float, *, clock: Monotonic, rng: random.Random) -> None:
        self._url = url
        self._path = path
        self._speed = speed
        self._clock = clock
        self._backoff = Backoff(FIRST_RETRY_S, LAST_RETRY_S, rng)
        self._standing = Standing(url)
        self.counters = LinkCounters()

    @classmethod
    def of(cls, address: Address, clock: Monotonic, rng: random.Random) -> "ReplayTransport":
        """From `replay:path?speed=1`."""
        address.only("speed")
        return cls(address.url, Path(address.target), address.number("speed", 1, most=1e6), clock=clock, rng=rng)

    @property
    def url(self) -> str:
        """As configured."""
        return self._url

    @property
    def status(self) -> TransportStatus:
        """How far it is, in words."""
        return self._standing.status

    async def run(self, accept: Accept) -> None:
        """Play; returns when the capture is at its end. A file that cannot be read is waited for."""
        end = STOPPED
        try:
            while end is STOPPED:
                if await self._played(accept):
                    end = PLAYED
                else:
                    await asyncio.sleep(self._backoff.wait_s())
        finally:
            self._standing.note(LinkState.CLOSED, end)

    async def _played(self, accept: Accept) -> bool:
        link = DeviceLink(f"replay of {self._path}", self, self._clock, self.counters)
        end = STOPPED
        try:
            return await self._play(link, accept)
        except (OSError, ValueError) as fault:
            end = f"cannot replay {self._path}: {fault}"
            self.counters.open_failures += 1
            self._standing.note(LinkState.FAILED, end)
            return False
        finally:
            link.end(PLAYED if end is STOPPED else end)
            await link.over()

    async def _play(self, link: DeviceLink, accept: Accept) -> bool:
        start: float | None = None
        for chunk in read(self._path):
            if start is None:
                start = self._clock.monotonic()
                if not link.offer(accept):
                    return True
                self._standing.note(LinkState.OPEN)
            due_s = start + chunk.at_s / self._speed - self._clock.monotonic() if self._speed else 0
            await asyncio.sleep(max(0.0, due_s))
            if not chunk.sent:
                link.deliver(self._clock.monotonic(), chunk.data)
        return True

    def write(self, data: bytes) -> str:  # noqa: ARG002 - the recorded device does not listen
        """The wire under the link: nobody is there."""
        return ""

    def hang_up(self) -> None:
        """The wire under the link: nothing to let go of."""
