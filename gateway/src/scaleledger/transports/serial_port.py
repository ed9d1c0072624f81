"""`serial:` a port that heals: opened for us alone, read through the shared reader, opened again when it was unplugged.

Opening happens in a short-lived thread, because configuring a failing USB adapter can take seconds, in which the line of
all other stations must go on.
"""

import asyncio
import os
import random
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from scaleledger.transports.links import STALL_S, STOPPED, WRITE_LIMIT, Backoff, DeviceLink, LinkCounters, Standing
from scaleledger.transports.serial_open import PortError, SerialSettings, close_descriptor, configure, open_descriptor
from scaleledger.transports.serial_thread import GONE, SerialReader
from scaleledger.transports.serial_windows import ThreadedPort
from scaleledger.wire.link import Accept, LinkState, Monotonic, TransportStatus

FIRST_RETRY_S, LAST_RETRY_S = 0.2, 2.0
T = TypeVar("T")
OPENING_STOP_S = 2.0  # how long a stop waits for an opening under way


class SerialWire(Protocol):
    """An open port, whichever way it is read."""

    def write(self, data: bytes) -> str: ...

    def hang_up(self) -> None: ...

    def serve(self, link: DeviceLink) -> None:
        """Begin reading, on behalf of `link`."""
        ...

    async def closed(self) -> None:
        """Wait until the port may be opened again."""
        ...


class DescriptorPort:
    """An open port on POSIX: read by the shared reader, written from the loop, which never waits for it."""

    def __init__(self, fd: int, reader: SerialReader, *, stall_s: float) -> None:
        self._fd = fd
        self._reader = reader
        self._stall_s = stall_s
        self._waiting = bytearray()
        self._stall: asyncio.TimerHandle | None = None
        self._link: DeviceLink | None = None
        self._loop = asyncio.get_running_loop()
        self._closed: asyncio.Future[None] = self._loop.create_future()

    def serve(self, link: DeviceLink) -> None:
        """Let the reader watch the port."""
        self._link = link
        self._reader.attach(self._fd, self)

    def write(self, data: bytes) -> str:
        """Write what the port takes, keep the rest; bounded."""
        if len(self._waiting) + len(data) > WRITE_LIMIT:
            return f"the device takes no bytes: more than {WRITE_LIMIT} are waiting for it"
        if self._waiting:
            self._waiting += data
            return ""
        return self._push(data)

    def _push(self, data: bytes) -> str:
        try:
            taken = os.write(self._fd, data)
        except (BlockingIOError, InterruptedError):
            taken = 0
        except OSError:
            return GONE
        self._waiting[:] = data[taken:]
        if self._stall is not None and (taken or not self._waiting):
            self._stall.cancel()
            self._stall = None
        if self._waiting:
            self._reader.want_room(self._fd)
            if self._stall is None:
                self._stall = self._loop.call_later(self._stall_s, self._stalled)
        return ""

    def writable(self) -> None:
        """The reader says that there is room."""
        if self._waiting and self._link is not None and (fault := self._push(bytes(self._waiting))):
            self._link.end(fault)

    def _stalled(self) -> None:
        assert self._link is not None
        self._link.end(f"the device has taken no bytes for {self._stall_s:g} s")

    def chunk(self, now: float, data: bytes) -> None:
        """The reader brings bytes."""
        if self._link is not None:
            self._link.deliver(now, data)

    def hang_up(self) -> None:
        """Write no more; the reader lets go, then the descriptor is closed."""
        self._waiting.clear()
        if self._stall is not None:
            self._stall.cancel()
        self._reader.detach(self._fd, self)

    def released(self, reason: str) -> None:
        """The reader has let go."""
        if self._link is not None:
            self._link.end(reason or STOPPED)
        if not self._closed.done():
            close_descriptor(self._fd)
            self._closed.set_result(None)

    async def closed(self) -> None:
        """Wait for the descriptor to be closed."""
        await asyncio.shield(self._closed)


class SerialTransport:
    """A serial port by name. A reader of its own is made, and stopped at the end, when none is given."""

    def __init__(
        self,
        url: str,
        settings: SerialSettings,
        *,
        clock: Monotonic,
        rng: random.Random,
        reader: SerialReader | None = None,
        thread_per_port: bool = os.name == "nt",
        stall_s: float = STALL_S,
    ) -> None:
        self._url = url
        self._settings = settings
        self._clock = clock
        self._own_reader = reader is None
        self._reader = reader or SerialReader(clock)
        self._thread_per_port = thread_per_port
        self._stall_s = stall_s
        self._backoff = Backoff(FIRST_RETRY_S, LAST_RETRY_S, rng)
        self._standing = Standing(url)
        self.counters = LinkCounters()

    @property
    def url(self) -> str:
        """As configured."""
        return self._url

    @property
    def status(self) -> TransportStatus:
        """How the port stands, in words."""
        return self._standing.status

    async def run(self, accept: Accept) -> None:
        """Keep the port open until cancelled."""
        try:
            while True:
                await self._serve_once(accept)
                await asyncio.sleep(self._backoff.wait_s())
        finally:
            self._standing.note(LinkState.CLOSED)
            if self._own_reader:
                self._reader.stop()

    async def _serve_once(self, accept: Accept) -> None:
        if self.status.state is LinkState.CLOSED:
            self._standing.note(LinkState.WAITING, f"opening {self._settings.port}")
        try:
            wire = await self._open()
        except PortError as fault:
            self.counters.open_failures += 1
            self._standing.note(LinkState.FAILED, str(fault))
            return
        link = DeviceLink(self._settings.port, wire, self._clock, self.counters)
        before = self.counters.bytes_in
        reason = STOPPED
        try:
            wire.serve(link)
            if link.offer(accept):
                self._standing.note(LinkState.OPEN)
            reason = await link.over()
        finally:
            link.end(reason)
            await link.over()
            await wire.closed()
        if self.counters.bytes_in > before:
            self._backoff.reset()
        self._standing.note(LinkState.WAITING, f"{self._settings.port}: {reason}; it is opened again")

    async def _open(self) -> SerialWire:
        if sys.platform == "win32" or self._thread_per_port:
            port = await in_thread(lambda: configure(self._settings, None, self._stall_s), lambda late: late.close())
            return ThreadedPort(port, self._clock)
        fd = await in_thread(lambda: open_descriptor(self._settings), close_descriptor)
        return DescriptorPort(fd, self._reader, stall_s=self._stall_s)


async def in_thread(call: Callable[[], T], discard: Callable[[T], None]) -> T:
    """Run one blocking call in a thread of its own. If cancelled meanwhile, its late result is discarded."""
    executor = ThreadPoolExecutor(1, thread_name_prefix="serial-open")
    opening = asyncio.get_running_loop().run_in_executor(executor, call)
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:

        def drop(late: asyncio.Future[T]) -> None:
            if not late.cancelled() and late.exception() is None:
                discard(late.result())

        opening.add_done_callback(drop)
        await asyncio.wait({opening}, timeout=OPENING_STOP_S)
        raise
    finally:
        executor.shutdown(wait=opening.done())
