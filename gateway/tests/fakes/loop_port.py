"""A simulated device plugged into the gateway's loopback transport: real link, real driver, virtual time."""

import asyncio

from scaleledger.transports.loopback import LoopTransport, Peer


class LoopPort(Peer):
    """The far end of a loopback wire, as simulated devices want a port. It outlives the gateway's process."""

    where = "loop"

    def __init__(self, clock):
        super().__init__(clock)
        self._device = None

    @property
    def up(self):
        return self.connected

    def transport(self, name):
        """The gateway's end, new for each start of a gateway."""
        transport = LoopTransport(f"loop:{name}", self._clock)
        transport.far = self
        return transport

    async def start(self, device):
        self._device = device

    def send(self, data):
        if self.connected:
            super().send(data)

    def attach(self, link):
        before = self.connected
        super().attach(link)
        if before != self.connected and self._device is not None:
            asyncio.get_running_loop().call_soon(lambda up: self._device.linked(up=up), self.connected)

    def write(self, data):
        if self.connected and self._device is not None:
            asyncio.get_running_loop().call_soon(self._device.received, data)
        return ""

    def cut(self):
        """The gateway's process is dead: its end is closed, and nothing it still says arrives."""
        self.attach(None)

    async def close(self):
        self.unplug()


class Overheard:
    """Stands between a port and its device, and remembers what reached it and when; while `deaf`, nothing does."""

    def __init__(self, device):
        self.sent, self.deaf = [], False
        self._device = device

    def linked(self, *, up):
        self._device.linked(up=up)

    def received(self, data):
        if self.deaf:
            return
        self.sent.append((asyncio.get_running_loop().time(), data))
        self._device.received(data)
