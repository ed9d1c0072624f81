"""One thread reads all serial ports, because wake-ups cost, not bytes.

A line from a scale is 20 bytes; waking a thread and the event loop for each one costs a hundred times more than reading it.
So one selector watches every port, what arrives within a few milliseconds is gathered (only when there are many ports: with
few, gathering costs more than it saves), and the loop is woken once for all of it.

The thread only waits and reads. Orders come to it through a queue and a pipe; what it finds goes back in order. It never
closes a descriptor: the loop does, once the thread has let go of it, so nobody can write to a number that means another
file by then.
"""

import asyncio
import os
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Protocol

from scaleledger.wire.link import Monotonic

READ_SIZE = 65_536
PENDING_LIMIT = 1_048_576  # bytes read and not yet taken by the loop; above it the thread stops reading
READER_STOPPED = "the serial reader was stopped"
GONE = "the port is gone: unplugged or switched off"


class WatchedPort(Protocol):
    """A port as the reader serves it. All methods are called on the event loop."""

    def chunk(self, now: float, data: bytes) -> None:
        """Bytes arrived."""
        ...

    def writable(self) -> None:
        """The port takes bytes again (asked for once by `want_room`)."""
        ...

    def released(self, reason: str) -> None:
        """The reader has let go of the descriptor for good; `reason` is empty when that was asked for."""
        ...


class SerialReader:
    """The thread and its queues. Started by the first port, stopped by `stop`; belongs to one event loop."""

    def __init__(
        self,
        clock: Monotonic,
        *,
        gather_s: float = 0.010,
        gather_above: int = 8,
        pending_limit: int = PENDING_LIMIT,
    ) -> None:
        self._clock = clock
        self._pending_limit = pending_limit
        self._gather_s = gather_s
        self._gather_above = gather_above
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._orders: deque[Callable[[selectors.BaseSelector], None]] = deque()
        self._found: list[Callable[[], None]] = []  # the thread's, until handed over
        self._found_bytes = 0
        self._shared = threading.Condition()  # guards the next three
        self._pending: list[Callable[[], None]] = []
        self._pending_bytes = 0
        self._scheduled = False
        self._batch: deque[Callable[[], None]] = deque()  # the loop's
        self.watching = 0  # ports
        self.gathers = 0
        self.hand_overs = 0

    @property
    def running(self) -> bool:
        """Whether the thread is alive."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def pending_bytes(self) -> int:
        """Bytes that were read and wait for the loop."""
        return self._pending_bytes

    def attach(self, fd: int, port: WatchedPort) -> None:
        """Watch a non-blocking descriptor. The caller closes it, after `released` (which comes at once from a stopped one)."""
        if self._stopped:
            asyncio.get_running_loop().call_soon(port.released, READER_STOPPED)
            return
        if self._thread is None:
            self._loop = asyncio.get_running_loop()
            self._wake_out, self._wake_in = os.pipe()
            os.set_blocking(self._wake_out, False)
            os.set_blocking(self._wake_in, False)
            self._thread = threading.Thread(target=self._work, name="serial-reader", daemon=True)
            self._thread.start()
        assert self._loop is asyncio.get_running_loop(), "one serial reader serves one event loop"
        self._order(lambda selector: self._watch(selector, fd, port))

    def detach(self, fd: int, port: WatchedPort) -> None:
        """Stop watching; `released` follows. Harmless when it is under way already."""
        self._order(lambda selector: self._let_go(selector, fd, port, ""))

    def want_room(self, fd: int) -> None:
        """Ask for one `writable`."""
        both = selectors.EVENT_READ | selectors.EVENT_WRITE
        self._order(lambda selector: self._listen_for(selector, fd, both))

    def stop(self) -> None:
        """End the thread and release every port. Returns when the thread is gone; it waits for nothing but its gathering."""
        self._stopped = True
        if self._thread is None:
            return
        with self._shared:
            self._shared.notify_all()
        self._wake()
        self._thread.join(timeout=5)
        assert not self._thread.is_alive(), "the serial reader hangs"
        self._thread = None
        os.close(self._wake_in)
        os.close(self._wake_out)
        self._drain()

    # -- the loop's side

    def _order(self, order: Callable[[selectors.BaseSelector], None]) -> None:
        if self._thread is not None:
            self._orders.append(order)
            self._wake()

    def _wake(self) -> None:
        try:
            os.write(self._wake_in, b"\0")
        except BlockingIOError:
            return  # full: it will wake anyway

    def _drain(self) -> None:
        with self._shared:
            found, self._pending = self._pending, []
            self._pending_bytes = 0
            self._scheduled = False
            self._shared.notify()
        self._batch.extend(found)
        try:
            while self._batch:
                self._batch.popleft()()
        finally:
            if self._batch and self._loop is not None:  # one receiver broke; the others' bytes are not lost
                self._loop.call_soon(self._drain)

    # -- the thread's side

    def _work(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_out, selectors.EVENT_READ)
            while not self._stopped:
                ready = selector.select()
                many = self.watching > self._gather_above
                if many and any(key.data is not None for key, _ in ready):
                    time.sleep(self._gather_s)
                    ready = selector.select(0)
                self._serve(selector, ready)
                if not self._hand_over():
                    return
            self._follow_orders(selector)
            for key in list(selector.get_map().values()):
                if key.data is not None:
                    self._let_go(selector, key.fd, key.data, READER_STOPPED)
            self._publish()

    def _serve(self, selector: selectors.BaseSelector, ready: list[tuple[selectors.SelectorKey, int]]) -> None:
        now = self._clock.monotonic()
        for key, events in ready:
            if key.data is None:
                os.read(self._wake_out, 4096)
                continue
            if events & selectors.EVENT_WRITE:
                selector.modify(key.fd, selectors.EVENT_READ, key.data)
                self._found.append(key.data.writable)
            if events & selectors.EVENT_READ:
                self._read(selector, key, now)
        self._follow_orders(selector)

    def _read(self, selector: selectors.BaseSelector, key: selectors.SelectorKey, now: float) -> None:
        try:
            data = os.read(key.fd, READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if data:
            self._found.append(partial(key.data.chunk, now, data))
            self._found_bytes += len(data)
        else:
            self._let_go(selector, key.fd, key.data, GONE)

    def _follow_orders(self, selector: selectors.BaseSelector) -> None:
        while self._orders:
            self._orders.popleft()(selector)
        self.watching = len(selector.get_map()) - 1

    def _watch(self, selector: selectors.BaseSelector, fd: int, port: WatchedPort) -> None:
        try:
            selector.register(fd, selectors.EVENT_READ, port)
        except OSError:
            self._found.append(partial(port.released, "this is not a port that can be waited for"))

    def _listen_for(self, selector: selectors.BaseSelector, fd: int, events: int) -> None:
        key = selector.get_map().get(fd)
        if key is not None:
            selector.modify(fd, events, key.data)

    def _let_go(self, selector: selectors.BaseSelector, fd: int, port: WatchedPort, reason: str) -> None:
        key = selector.get_map().get(fd)
        if key is not None and key.data is port:
            selector.unregister(fd)
            self._found.append(partial(port.released, reason))

    def _publish(self) -> bool:
        """Move what was found to where the loop takes it; whether the loop must be woken for it."""
        with self._shared:
            wake = bool(self._found) and not self._scheduled
            self._scheduled = self._scheduled or wake
            self._pending += self._found
            self._pending_bytes += self._found_bytes
            self._found, self._found_bytes = [], 0
        return wake

    def _hand_over(self) -> bool:
        """Wake the loop, once, if there is news; wait while it lags behind. False when the loop is gone."""
        self.gathers += bool(self._found)
        if self._publish():
            assert self._loop is not None
            try:
                self._loop.call_soon_threadsafe(self._drain)
            except RuntimeError:  # the loop was closed without stopping us
                return False
            self.hand_overs += 1
        with self._shared:
            while self._pending_bytes > self._pending_limit and not self._stopped:
                self._shared.wait()
        return True
