"""Far ends of wires, for tests: devices on ptys, sockets and the loopback, with the faults that real ones have.

All have the same shape: `appear`, `vanish`, `send`, `receive`, `let_go` (wait until the gateway gave the connection up).
One that is not asked to `receive` never reads.
"""

import asyncio
import contextlib
import fcntl
import os
import random
import time
import tty
from pathlib import Path

from scaleledger.transports import pair
from scaleledger.transports.serial_open import SerialSettings
from scaleledger.transports.serial_port import SerialTransport
from scaleledger.transports.tcp_connect import TcpConnect
from scaleledger.transports.tcp_listen import TcpListen
from scaleledger.transports.tcp_peer import PeerLimits

WAIT_S = 20.0
UNHURRIED = PeerLimits(rate=1e9, burst=1e9)


async def eventually(condition, what="the condition"):
    """Wait until `condition()` holds; fails after a long time."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come about"
        await asyncio.sleep(0.002)


def open_descriptors():
    return set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names are what is compared


def seeded():
    return random.Random(7)


class Heard:
    """A receiver that keeps what it is told about one link."""

    def __init__(self, link):
        self.link = link
        self.data = bytearray()
        self.losses = []

    def received(self, now, data):
        assert not self.losses, "bytes after the end"
        self.data += data

    def lost(self, now, reason):
        self.losses.append(reason)


class Listener:
    """Accepts every link with a receiver of the given kind."""

    def __init__(self, kind=Heard):
        self.kind = kind
        self.heard = []

    def accept(self, link):
        self.heard.append(self.kind(link))
        return self.heard[-1]

    async def link(self, number=0):
        await eventually(lambda: len(self.heard) > number, f"link {number}")
        return self.heard[number]


class BreaksOnFirstBytes(Heard):
    """A receiver with a mistake of our own in it."""

    def received(self, now, data):
        super().received(now, data)
        raise AssertionError("a mistake of our own")


class HangsUpInTheMiddle(Heard):
    """A receiver that gives its link up from inside `received`."""

    def received(self, now, data):
        super().received(now, data)
        self.link.close("enough")
        assert not self.losses, "told of the end while still inside received"


class Running:
    """A transport's `run`, as a context."""

    def __init__(self, transport, accept):
        self.transport, self.accept = transport, accept

    async def __aenter__(self):
        self.task = asyncio.ensure_future(self.transport.run(self.accept))
        return self.transport

    async def __aexit__(self, *_):
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task


class PtyDevice:
    """A device on a pty, under a name that stays (as /dev/serial/by-id does) while the pty behind it changes."""

    def __init__(self, folder: Path, name="scale"):
        self.name = folder / name
        self.master = self.slave = -1

    async def appear(self):
        self.plug()

    def plug(self):
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        os.set_blocking(self.master, False)
        fresh = self.name.with_suffix(".new")
        fresh.symlink_to(os.ttyname(self.slave))
        fresh.replace(self.name)

    async def vanish(self):
        self.unplug()

    def unplug(self):
        if self.master >= 0:
            self.name.unlink(missing_ok=True)
            os.close(self.master)
            os.close(self.slave)
            self.master = self.slave = -1

    async def send(self, data):
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self.master, view) :]
            except BlockingIOError:
                await asyncio.sleep(0)

    async def receive(self, count):
        got = b""

        def take():
            nonlocal got
            with contextlib.suppress(BlockingIOError):
                got += os.read(self.master, 65536)
            return len(got) >= count

        await eventually(take, f"{count} bytes at the device, {len(got)} came")
        return got

    async def let_go(self):
        def unlocked():
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(self.slave, fcntl.LOCK_EX | fcntl.LOCK_NB)
                fcntl.flock(self.slave, fcntl.LOCK_UN)
                return True
            return False

        await eventually(unlocked, "the gateway letting the port go")


class SocketDevice:
    """What both kinds of TCP device share: a stream, once it is there."""

    reader = writer = None

    async def vanish(self):
        if self.writer is not None:
            self.writer.transport.abort()
            self.writer = None

    async def send(self, data):
        self.writer.write(data)
        await self.writer.drain()

    async def receive(self, count):
        return await asyncio.wait_for(self.reader.readexactly(count), WAIT_S)

    async def let_go(self):
        with contextlib.suppress(ConnectionError):
            while await asyncio.wait_for(self.reader.read(65536), WAIT_S):
                pass


class DialsIn(SocketDevice):
    """A scale that connects to the gateway."""

    def __init__(self, transport, source="127.0.0.1"):
        self.transport, self.source = transport, source

    async def appear(self):
        await eventually(lambda: self.transport.address[1] and self.transport.status.state != "closed")
        host, port = self.transport.address
        self.reader, self.writer = await asyncio.open_connection(host, port, local_addr=(self.source, 0))

    async def is_turned_away(self):
        with contextlib.suppress(ConnectionError):  # so soon that not even the connecting ends well
            await self.appear()
            await self.let_go()
        await self.vanish()


class WaitsForCalls(SocketDevice):
    """A scale, or a converter, that the gateway connects to. It keeps its port while it is away."""

    def __init__(self, sock):
        self.sock = sock
        self.server = None

    async def appear(self):
        self.server = await asyncio.start_server(self._called, sock=self.sock.dup())

    def _called(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def vanish(self):
        if self.server is not None:
            self.server.close()
            self.server = None
        await super().vanish()

    async def send(self, data):
        await eventually(lambda: self.writer is not None, "the gateway's call")
        await super().send(data)

    async def receive(self, count):
        await eventually(lambda: self.writer is not None, "the gateway's call")
        return await super().receive(count)

    async def let_go(self):
        await eventually(lambda: self.writer is not None, "the gateway's call")
        await super().let_go()


class LoopDevice:
    """The loopback's far end."""

    def __init__(self, peer):
        self.peer = peer

    async def appear(self):
        self.peer.plug()

    async def vanish(self):
        self.peer.unplug()

    async def send(self, data):
        await asyncio.wait_for(self.peer.wait_connected(), WAIT_S)
        for start in range(0, len(data), 65536):
            self.peer.send(data[start : start + 65536])

    async def receive(self, count):
        got = b""
        while len(got) < count:
            got += await asyncio.wait_for(self.peer.receive(), WAIT_S)
        return got

    async def let_go(self):
        await asyncio.wait_for(self.peer.wait_connected(False), WAIT_S)


def serial_bench(folder, sock, **options):
    device = PtyDevice(folder)
    settings = SerialSettings(str(device.name))
    url = f"serial://{device.name}"
    return SerialTransport(url, settings, clock=time, rng=seeded(), **options), device


def threaded_bench(folder, sock):
    return serial_bench(folder, sock, thread_per_port=True, stall_s=0.3)


def listen_bench(folder, sock):
    transport = TcpListen("tcp-listen:", "127.0.0.1", 0, clock=time, rng=seeded(), limits=UNHURRIED)
    return transport, DialsIn(transport)


def connect_bench(folder, sock):
    host, port = sock.getsockname()
    return TcpConnect("tcp:", host, port, clock=time, rng=seeded(), limits=UNHURRIED), WaitsForCalls(sock)


def loop_bench(folder, sock):
    transport, peer = pair(time)
    peer.unplug()
    return transport, LoopDevice(peer)


BENCHES = {
    "serial": serial_bench,
    "serial-threads": threaded_bench,
    "tcp-listen": listen_bench,
    "tcp": connect_bench,
    "loop": loop_bench,
}
