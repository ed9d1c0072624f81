"""A SUWOL-1000 station on a port, with the pace of its 9600 baud line and, if wanted, a porter who works it."""

import asyncio
from collections import deque
from collections.abc import Callable

from scaleledger.simulators.journal import Journal
from scaleledger.simulators.porter import Porter
from scaleledger.simulators.ports import Port
from scaleledger.simulators.suwol_device import SuwolDevice

BYTE_S = 10 / 9600
CHUNK_BYTES = 16
"""What a USB serial adapter gathers before it hands bytes on."""
QUEUE_BYTES = 4096


class SuwolStation:
    """The wire side of a device. `pace` 1 is a real line's speed; 0 sends everything at once."""

    def __init__(self, name: str, port: Port, device: SuwolDevice, *, journal: Journal, pace: float = 1.0) -> None:
        self.name = name
        self.port = port
        self.device = device
        self._journal = journal
        self._pace = pace
        self._clock: Callable[[], float] = lambda: asyncio.get_running_loop().time()
        self._chunks: deque[tuple[float, bytes]] = deque()
        self._line_free_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._porter: Porter | None = None
        self._work: asyncio.Task[None] | None = None

    async def start(self, porter: Porter | None = None) -> None:
        """Plug in, and let the porter begin. Raises OSError when the port cannot be had."""
        await self.port.start(self)
        self._journal.say(self.name, f"answers on {self.port.where}")
        if porter is not None:
            self._porter = porter
            self._work = asyncio.create_task(porter.run(), name=f"porter of {self.name}")

    async def finish(self) -> None:
        """Wait until the porter has ended the present box; at once if there is none."""
        if self._porter is not None and self._work is not None:
            self._porter.finish()
            await self._work

    async def wait_done(self) -> None:
        """Wait until the porter has no more boxes; at once if there is none."""
        if self._work is not None:
            await asyncio.shield(self._work)

    async def close(self) -> None:
        """Unplug; a porter at work drops everything."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)
        if self._timer is not None:
            self._timer.cancel()
        await self.port.close()

    def linked(self, *, up: bool) -> None:
        if not up:
            self.device.hang_up()
            self._chunks.clear()
        self._journal.say(self.name, "a gateway is connected" if up else "the gateway is gone")

    def received(self, data: bytes) -> None:
        now = self._clock()
        for answer in self.device.receive(now, data):
            if not (self._pace or answer.delay_s or self._chunks):
                self.port.send(answer.content)
            else:
                self._queue(now + answer.delay_s + len(data) * BYTE_S * self._pace, answer.content)

    def _queue(self, start: float, content: bytes) -> None:
        """Lay a reply's chunks out in time behind what is still on the line."""
        if len(self._chunks) * CHUNK_BYTES > QUEUE_BYTES:
            return
        at = max(start, self._line_free_at)
        for i in range(0, len(content), CHUNK_BYTES):
            chunk = content[i : i + CHUNK_BYTES]
            at += len(chunk) * BYTE_S * self._pace
            self._chunks.append((at, chunk))
        self._line_free_at = at
        self._arm()

    def _arm(self) -> None:
        if self._timer is None and self._chunks:
            self._timer = asyncio.get_running_loop().call_at(self._chunks[0][0], self._send_due)

    def _send_due(self) -> None:
        self._timer = None
        now = self._clock()
        while self._chunks and self._chunks[0][0] <= now:
            self.port.send(self._chunks.popleft()[1])
        self._arm()
