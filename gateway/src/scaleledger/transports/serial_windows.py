"""Serial ports where no selector can wait for them (Windows): a reading and a writing thread per port.

The hand-over is the same as the shared reader's: what arrived since the loop last looked is given to it with one wake-up.
It works on POSIX too, so that it can be tested there.
"""

import asyncio
import queue
import threading
from collections.abc import Callable

import serial

from scaleledger.transports.links import WRITE_LIMIT, DeviceLink
from scaleledger.transports.serial_thread import GONE, PENDING_LIMIT, READ_SIZE
from scaleledger.wire.link import Monotonic


class ThreadedPort:
    """An open pyserial port with two threads. The port's read blocks (no time-out), its write has one."""

    def __init__(self, port: serial.Serial, clock: Monotonic) -> None:
        self._port = port
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._link: DeviceLink | None = None
        self._closed: asyncio.Future[None] = self._loop.create_future()
        self._shared = threading.Condition()  # guards the next four
        self._arrived: list[tuple[float, bytes]] = []
        self._arrived_bytes = 0
        self._writing_bytes = 0
        self._stopping = False
        self._outgoing: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._threads = (
            threading.Thread(target=self._read, name=f"serial-read {port.port}", daemon=True),
            threading.Thread(target=self._write, name=f"serial-write {port.port}", daemon=True),
        )

    def serve(self, link: DeviceLink) -> None:
        """Start the threads."""
        self._link = link
        for thread in self._threads:
            thread.start()

    def write(self, data: bytes) -> str:
        """Queue bytes for the writing thread; bounded."""
        with self._shared:
            if self._writing_bytes + len(data) > WRITE_LIMIT:
                return f"the device takes no bytes: more than {WRITE_LIMIT} are waiting for it"
            self._writing_bytes += len(data)
        self._outgoing.put(data)
        return ""

    def hang_up(self) -> None:
        """Let both threads end; the port is closed when they have."""
        with self._shared:
            self._stopping = True
            self._shared.notify_all()
        self._outgoing.put(b"")
        self._port.cancel_read()
        self._port.cancel_write()
        threading.Thread(target=self._close, name="serial-close", daemon=True).start()

    async def closed(self) -> None:
        """Wait for the port to be closed."""
        await asyncio.shield(self._closed)

    def _drain(self) -> None:
        with self._shared:
            arrived, self._arrived, self._arrived_bytes = self._arrived, [], 0
            self._shared.notify_all()
        assert self._link is not None
        for now, data in arrived:
            self._link.deliver(now, data)

    def _end(self, reason: str) -> None:
        assert self._link is not None
        self._link.end(reason)

    def _read(self) -> None:
        while not self._stopping:
            try:
                data = self._port.read(1)
                data += self._port.read(min(self._port.in_waiting, READ_SIZE)) if data else b""
            except (OSError, TypeError):  # pyserial raises TypeError for a port that is closed under it
                if not self._stopping:
                    self._call(lambda: self._end(GONE))
                return
            if data:
                self._hand_over(data)

    def _hand_over(self, data: bytes) -> None:
        with self._shared:
            wake = not self._arrived
            self._arrived.append((self._clock.monotonic(), data))
            self._arrived_bytes += len(data)
        if wake:
            self._call(self._drain)
        with self._shared:
            while self._arrived_bytes > PENDING_LIMIT and not self._stopping:
                self._shared.wait()

    def _write(self) -> None:
        while data := self._outgoing.get():
            try:
                self._port.write(data)
            except serial.SerialTimeoutException:
                self._call(lambda: self._end(f"the device has taken no bytes for {self._port.write_timeout:g} s"))
                return
            except (OSError, TypeError):
                self._call(lambda: self._end(GONE))
                return
            with self._shared:
                self._writing_bytes -= len(data)

    def _close(self) -> None:
        while any(thread.is_alive() for thread in self._threads):
            self._port.cancel_read()
            self._port.cancel_write()
            for thread in self._threads:
                thread.join(timeout=0.1)
        self._port.close()
        self._call(self._note_closed)

    def _note_closed(self) -> None:
        if not self._closed.done():
            self._closed.set_result(None)

    def _call(self, what: Callable[[], object]) -> None:
        try:
            self._loop.call_soon_threadsafe(what)
        except RuntimeError:
            return  # the loop is closed; nobody is left to tell
