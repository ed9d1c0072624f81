"""What the links of all transports do alike: count, tell their receiver of the end once, and stay quiet after it.

A transport brings the wire; the DeviceLink above it keeps the promises of `wire.link.Link`. The end is told from the event
loop, never from inside `close` or `send`, so that a receiver is not called while it is calling.
"""

import asyncio
import random
from dataclasses import astuple, dataclass
from typing import Protocol

from scaleledger.observe.log import get_logger
from scaleledger.wire.link import Accept, LinkReceiver, LinkState, Monotonic, TransportStatus

log = get_logger()

WRITE_LIMIT = 65_536  # bytes that may wait for a device
STALL_S = 10.0  # a device that takes none of them for so long loses its link
STOPPED = "the gateway stopped listening"


@dataclass(slots=True)
class LinkCounters:
    """What went over a link, or over all links of a transport, since the process began."""

    bytes_in: int = 0
    bytes_out: int = 0
    chunks_in: int = 0
    opened: int = 0
    lost: int = 0
    refused: int = 0
    throttled: int = 0
    open_failures: int = 0

    def add(self, other: "LinkCounters") -> None:
        """Take another's counts in."""
        pairs = zip(self.__slots__, astuple(other), strict=True)
        for name, count in pairs:
            setattr(self, name, getattr(self, name) + count)


class Wire(Protocol):
    """What a transport brings to a link: a way out, and a way to give it up."""

    def write(self, data: bytes) -> str:
        """Queue bytes; the reason why the link is lost by it, or an empty text."""
        ...

    def hang_up(self) -> None:
        """Let go of the device; deliver nothing more."""
        ...


class DeviceLink:
    """One connection, as its receiver sees it."""

    def __init__(self, peer: str, wire: Wire, clock: Monotonic, counters: LinkCounters) -> None:
        self._peer = peer
        self._wire = wire
        self._clock = clock
        self.counters = counters
        self._receiver: LinkReceiver | None = None
        self._ended = False
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[str] = self._loop.create_future()

    @property
    def peer(self) -> str:
        """Who is at the other end, in words."""
        return self._peer

    def send(self, data: bytes) -> None:
        """Queue bytes for the device; after the end they are dropped, as the receiver has been told."""
        if self._ended or not data:
            return
        self.counters.bytes_out += len(data)
        if fault := self._wire.write(data):
            self.end(fault)

    def close(self, reason: str) -> None:
        """Give the link up; the receiver is told soon, by `lost`."""
        self.end(reason)

    def offer(self, accept: Accept) -> bool:
        """Show the link to whoever may want it; false, and the link ends, when nobody does."""
        wanted = False
        try:
            self._receiver = accept(self)
            wanted = self._receiver is not None
        finally:
            if wanted:
                self.counters.opened += 1
            else:
                self.counters.refused += 1
                self.end("nobody wants this device")
        return wanted

    def deliver(self, now: float, data: bytes) -> None:
        """Hand bytes to the receiver. If it breaks over them (our mistake), the link ends and the next one starts afresh."""
        if self._ended:
            return
        assert self._receiver is not None, "bytes came before the link was offered"
        self.counters.bytes_in += len(data)
        self.counters.chunks_in += 1
        taken = False
        try:
            self._receiver.received(now, data)
            taken = True
        finally:
            if not taken:
                self.end("the receiver broke over these bytes")

    def end(self, reason: str) -> None:
        """The link is over, for whatever reason; only the first one counts."""
        if self._ended:
            return
        self._ended = True
        self._wire.hang_up()
        self._loop.call_soon(self._tell, self._clock.monotonic(), reason)

    def _tell(self, now: float, reason: str) -> None:
        try:
            if self._receiver is not None:
                self.counters.lost += 1
                self._receiver.lost(now, reason)
        finally:
            self._over.set_result(reason)

    async def over(self) -> str:
        """Wait until the receiver knows of the end; the reason."""
        return await asyncio.shield(self._over)


class Standing:
    """A transport's status; a failure is logged when it begins or changes, not at every try."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.status = TransportStatus(LinkState.CLOSED)

    def note(self, state: LinkState, detail: str = "") -> None:
        """Keep a new status."""
        if state is LinkState.FAILED and (state, detail) != (self.status.state, self.status.detail):
            log.warning("hw.link_failed", url=self._url, detail=detail)
        self.status = TransportStatus(state, detail)


class Backoff:
    """How long to wait before the next try: doubling from `first_s` to `most_s`, with half of each wait left to chance."""

    def __init__(self, first_s: float, most_s: float, rng: random.Random) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._rng = rng
        self._next_s = first_s

    def wait_s(self) -> float:
        """Seconds to wait now; the next wait is longer."""
        wait_s = self._next_s * self._rng.uniform(0.5, 1.0)
        self._next_s = min(self._next_s * 2, self._most_s)
        return wait_s

    def reset(self) -> None:
        """The device was there: begin anew."""
        self._next_s = self._first_s


class TokenBucket:
    """A byte rate: `rate` bytes per second sustained, `burst` bytes at once."""

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at = now

    def take(self, now: float, count: int) -> float:
        """Spend `count` bytes; seconds until the debt is paid (0: none)."""
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate) - count
        self._at = now
        return max(0.0, -self._tokens / self._rate)
