"""`loop:` both ends of a wire in one process: for tests and simulators, also on a virtual clock (no thread, no socket)."""

import asyncio

from scaleledger.transports.links import STOPPED, WRITE_LIMIT, DeviceLink, LinkCounters, Standing
from scaleledger.wire.link import Accept, LinkState, Monotonic, TransportStatus


class Peer:
    """The far end, where the device is. Plugged in from the start."""

    def __init__(self, clock: Monotonic) -> None:
        self._clock = clock
        self._arrived = bytearray()
        self._changed = asyncio.Event()
        self._plugged = True
        self._link: DeviceLink | None = None

    @property
    def connected(self) -> bool:
        """Whether the gateway's side has a link."""
        return self._link is not None

    def send(self, data: bytes) -> None:
        """Let the gateway receive bytes, on the loop's next turn. Raises ConnectionError when it has no link."""
        if self._link is None:
            raise ConnectionError("the gateway's side is not open")
        link = self._link
        asyncio.get_running_loop().call_soon(lambda: link.deliver(self._clock.monotonic(), data))

    async def receive(self) -> bytes:
        """Wait for bytes from the gateway; all that have come."""
        while not self._arrived:
            await self._wait_change()
        data = bytes(self._arrived)
        self._arrived.clear()
        return data

    async def wait_connected(self, connected: bool = True) -> None:  # noqa: FBT001, FBT002 - reads as a sentence
        """Wait until the gateway's side has a link, or has none."""
        while self.connected is not connected:
            await self._wait_change()

    def unplug(self, reason: str = "unplugged") -> None:
        """Pull the cable; it stays out until `plug`."""
        self._plugged = False
        if self._link is not None:
            self._link.end(reason)
        self._note_change()

    def plug(self) -> None:
        """Put the cable in."""
        self._plugged = True
        self._note_change()

    async def wait_plugged(self) -> None:
        """Wait until the cable is in."""
        while not self._plugged:
            await self._wait_change()

    def attach(self, link: DeviceLink | None) -> None:
        """The gateway's side opened, or closed, its end; what was not received is lost with the link."""
        self._link = link
        self._arrived.clear()
        self._note_change()

    def write(self, data: bytes) -> str:
        """The wire under the gateway's link (see links.Wire)."""
        if len(self._arrived) + len(data) > WRITE_LIMIT:
            return f"the device takes no bytes: more than {WRITE_LIMIT} are waiting for it"
        self._arrived += data
        self._note_change()
        return ""

    def hang_up(self) -> None:
        """The wire under the gateway's link."""
        self.attach(None)

    def _note_change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _wait_change(self) -> None:
        await self._changed.wait()


class LoopTransport:
    """The gateway's end. `far` is the device's."""

    def __init__(self, url: str, clock: Monotonic) -> None:
        self._url = url
        self._clock = clock
        self._standing = Standing(url)
        self.far = Peer(clock)
        self.counters = LinkCounters()

    @property
    def url(self) -> str:
        """As configured."""
        return self._url

    @property
    def status(self) -> TransportStatus:
        """How the wire stands."""
        return self._standing.status

    async def run(self, accept: Accept) -> None:
        """A link whenever the cable is in, until cancelled."""
        try:
            while True:
                self._standing.note(LinkState.WAITING, "the cable is out")
                await self.far.wait_plugged()
                await self._serve_once(accept)
                await asyncio.sleep(0)
        finally:
            self._standing.note(LinkState.CLOSED)

    async def _serve_once(self, accept: Accept) -> None:
        link = DeviceLink(self._url, self.far, self._clock, self.counters)
        if link.offer(accept):
            self.far.attach(link)
            self._standing.note(LinkState.OPEN)
        try:
            await link.over()
        finally:
            link.end(STOPPED)
            await link.over()


def pair(clock: Monotonic, name: str = "pair") -> tuple[LoopTransport, Peer]:
    """A transport and the device's end of it."""
    transport = LoopTransport(f"loop:{name}", clock)
    return transport, transport.far
