"""A port without a wire: what a simulated device sends arrives at a listener in the same process, in virtual time too."""

import asyncio


class VirtualPort:
    """`listen` is called with all that the device sends. `up` from the start unless `up=False`."""

    where = "virtual"

    def __init__(self, listen=lambda data: None, *, up=True):
        self.up = False
        self._begin_up = up
        self._listen = listen
        self._device = None

    async def start(self, device):
        self._device = device
        self.set_up(up=self._begin_up)

    def set_up(self, *, up):
        if self.up != up:
            self.up = up
            self._device.linked(up=up)

    def send(self, data):
        if self.up:
            self._listen(data)

    def unplug(self):
        self.set_up(up=False)

    def plug(self):
        self.set_up(up=True)

    async def close(self):
        self.set_up(up=False)

    def to_device(self, data):
        if self.up:
            self._device.received(data)


class VirtualLine:
    """A gateway polling a device through a VirtualPort, one look every 10 ms. `gateway` may be replaced, as by a restart."""

    def __init__(self, gateway):
        self.gateway = gateway
        self.port = VirtualPort(self._arrived)
        self._inbox = b""

    def _arrived(self, data):
        self._inbox += data

    async def run(self):
        clock = asyncio.get_running_loop().time
        while True:
            data, self._inbox = self._inbox, b""
            if self.gateway.alive and (due := self.gateway.step(clock(), data)):
                self.port.to_device(due)
            await asyncio.sleep(0.01)
