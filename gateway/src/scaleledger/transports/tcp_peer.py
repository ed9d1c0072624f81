"""One TCP connection to a device, whoever dialled: bounded both ways, so that a slow or hostile peer harms only itself.

Reads go into a small buffer of the peer's own: at most 16 KB per turn of the event loop, so a flooding peer takes turns with
an honest one, and memory stays flat. A peer above its byte rate is paused; TCP then makes it wait, and nothing is dropped.
"""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, cast

from scaleledger.transports.address import Address
from scaleledger.transports.links import STALL_S, WRITE_LIMIT, DeviceLink, LinkCounters, TokenBucket
from scaleledger.wire.link import Monotonic

READ_SIZE = 16_384
LINGER_S = 1.0  # how long queued bytes may take to leave after a close
KEEPALIVE = {"TCP_KEEPIDLE": 20, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4, "TCP_USER_TIMEOUT": 40_000}


@dataclass(frozen=True, slots=True)
class PeerLimits:
    """What one peer may do. `idle_s` 0: a peer may be silent for ever (many scales speak only when they print)."""

    idle_s: float = 0
    rate: float = 65_536  # bytes per second, sustained
    burst: float = 262_144
    stall_s: float = STALL_S

    KEYS: ClassVar = ("idle_s", "rate", "burst")

    @classmethod
    def of(cls, address: Address) -> "PeerLimits":
        """From an address' options."""
        return cls(
            idle_s=address.number("idle_s", 0, most=86_400 * 30),
            rate=address.number("rate", 65_536, least=1),
            burst=address.number("burst", 262_144, least=1),
        )


class TcpPeer(asyncio.BufferedProtocol):
    """The wire under a TCP link. `opened` is called once the link stands; it offers it to whoever may want it."""

    def __init__(
        self, clock: Monotonic, limits: PeerLimits, opened: Callable[["TcpPeer"], None], counters: LinkCounters
    ) -> None:
        self._clock = clock
        self._limits = limits
        self._opened = opened
        self._counters = counters
        self._buffer = bytearray(READ_SIZE)
        self._bucket = TokenBucket(limits.rate, limits.burst, clock.monotonic())
        self._loop = asyncio.get_running_loop()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._last_in = clock.monotonic()
        self._closed: asyncio.Future[None] = self._loop.create_future()
        self._transport: asyncio.Transport
        self.link: DeviceLink

    # -- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=0)
        keep_alive(self._transport.get_extra_info("socket"))
        peer = address_in_words(self._transport.get_extra_info("peername"))
        self.link = DeviceLink(peer, self, self._clock, self._counters)
        self._opened(self)
        if self._limits.idle_s:
            self._after("idle", self._limits.idle_s, self._check_idle)

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 - asyncio's signature
        """Where the next bytes go."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes arrived."""
        now = self._last_in = self._clock.monotonic()
        debt_s = self._bucket.take(now, nbytes)
        if debt_s and not self._transport.is_closing():
            self._counters.throttled += 1
            self._transport.pause_reading()
            self._after("throttle", debt_s, self._resume)
        self.link.deliver(now, bytes(memoryview(self._buffer)[:nbytes]))

    def eof_received(self) -> None:
        """The device will send no more: the connection is of no use."""
        self.link.end("the device closed the connection")

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self.link.end(lost_in_words(exc))
        for timer in self._timers.values():
            timer.cancel()
        if not self._closed.done():
            self._closed.set_result(None)

    def pause_writing(self) -> None:
        """Bytes wait for the device."""
        waiting = self._transport.get_write_buffer_size()
        self._after("stall", self._limits.stall_s, lambda: self._check_stall(waiting))

    def resume_writing(self) -> None:
        """The device has taken all."""
        if (timer := self._timers.pop("stall", None)) is not None:
            timer.cancel()

    # -- what the link calls

    def write(self, data: bytes) -> str:
        """Queue bytes; bounded."""
        if self._transport.get_write_buffer_size() + len(data) > WRITE_LIMIT:
            self._transport.abort()
            return f"the device takes no bytes: more than {WRITE_LIMIT} are waiting for it"
        self._transport.write(data)
        return ""

    def hang_up(self) -> None:
        """Close; what is queued may still leave, for a moment."""
        self._transport.close()
        if not self._closed.done() and self._transport.get_write_buffer_size():
            self._after("linger", LINGER_S, self._transport.abort)

    async def closed(self) -> None:
        """Wait until the socket is closed."""
        await asyncio.shield(self._closed)

    def when_closed(self, call: Callable[["TcpPeer"], None]) -> None:
        """Be told of it."""
        self._closed.add_done_callback(lambda _: call(self))

    # -- time

    def _after(self, name: str, delay_s: float, call: Callable[[], None]) -> None:
        if (old := self._timers.get(name)) is not None:
            old.cancel()
        self._timers[name] = self._loop.call_later(delay_s, call)

    def _resume(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def _check_idle(self) -> None:
        left_s = self._last_in + self._limits.idle_s - self._clock.monotonic()
        if left_s <= 0:
            self.link.end(f"silent for {self._limits.idle_s:g} s")
        else:
            self._after("idle", left_s, self._check_idle)

    def _check_stall(self, before: int) -> None:
        waiting = self._transport.get_write_buffer_size()
        if waiting >= before:
            self._transport.abort()
            self.link.end(f"the device has taken no bytes for {self._limits.stall_s:g} s")
        else:
            self._after("stall", self._limits.stall_s, lambda: self._check_stall(waiting))


def keep_alive(sock: socket.socket) -> None:
    """Find half-open connections: a peer that lost its power answers no probe for about 40 s, and is given up."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE.items():
        if (option := getattr(socket, name, None)) is not None:
            with contextlib.suppress(OSError):  # not every system has every one of them
                sock.setsockopt(socket.IPPROTO_TCP, option, value)


def address_in_words(address: tuple[object, ...] | None) -> str:
    """`10.0.0.5:51234`, or `[fe80::1]:51234`."""
    if not address:
        return "a peer that left at once"
    host, port = str(address[0]), address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def lost_in_words(fault: BaseException | None) -> str:
    """Why a connection ended."""
    if fault is None:
        return "the connection was closed"
    if isinstance(fault, ConnectionResetError | BrokenPipeError):
        return "the device reset the connection"
    if isinstance(fault, TimeoutError) or (isinstance(fault, OSError) and fault.errno == errno.ETIMEDOUT):
        return "the device does not answer any more (keepalive)"
    return f"the connection failed: {fault}"
