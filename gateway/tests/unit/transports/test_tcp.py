import asyncio
import socket
import struct
import time

import pytest

from fakes.wires import UNHURRIED, DialsIn, Heard, Listener, Running, eventually, seeded
from scaleledger.transports import ListenError, open_transport
from scaleledger.transports.tcp_connect import TcpConnect
from scaleledger.transports.tcp_listen import DoorLimits, TcpListen
from scaleledger.transports.tcp_peer import PeerLimits, TcpPeer, lost_in_words
from scaleledger.wire.link import LinkState

RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def listen(door=None, limits=UNHURRIED):
    return TcpListen("tcp-listen:", "127.0.0.1", 0, clock=time, rng=seeded(), limits=limits, door=door)


def lines(count):
    return [b"ST,GS,%07d kg\r\n" % number for number in range(count)]


class Honest:
    """A scale that sends its lines through whatever the others do; every byte must arrive, in order."""

    def __init__(self, transport, listener):
        self.device = DialsIn(transport, source="127.0.0.9")
        self.listener = listener
        self.sent = b""

    async def __aenter__(self):
        await self.device.appear()
        self.heard = await self.listener.link()
        return self

    async def speak(self, count):
        for line in lines(count):
            await self.device.send(line)
            self.sent += line
            await asyncio.sleep(0)

    async def __aexit__(self, exc_type, *_):
        if exc_type is None:
            await eventually(lambda: len(self.heard.data) >= len(self.sent))
            assert self.heard.data == self.sent
            assert not self.heard.losses
        await self.device.vanish()


class Storm:
    """Connections from one address, a hundred at a time; those that get in stay, and say nothing."""

    def __init__(self, address, source="127.0.0.2"):
        self.address, self.source = address, source
        self.refused = 0
        self.room = asyncio.Semaphore(100)

    async def rage(self, count):
        self.tasks = []
        for _ in range(count):
            await self.room.acquire()
            self.tasks.append(asyncio.ensure_future(self._one()))

    async def _one(self):
        with socket.socket() as sock:
            sock.setblocking(False)
            sock.bind((self.source, 0))
            try:
                await asyncio.get_running_loop().sock_connect(sock, self.address)
                await asyncio.get_running_loop().sock_recv(sock, 1)
            except ConnectionError:
                self.refused += 1
                self.room.release()

    async def pass_away(self):
        for task in self.tasks:
            task.cancel()
        await asyncio.wait(self.tasks)


async def test_two_thousand_connections_are_turned_away_and_harm_nobody():
    transport = listen()
    listener = Listener()
    async with Running(transport, listener.accept), Honest(transport, listener) as honest:
        storm = Storm(transport.address)
        await asyncio.gather(storm.rage(2000), honest.speak(500))
        await eventually(lambda: storm.refused == 2000 - 8)
        assert transport.counters.refused == 2000 - 8
        assert len(listener.heard) == 1 + 8
        await storm.pass_away()


async def test_there_is_a_limit_for_all_addresses_together():
    transport = listen(DoorLimits(max_peers=3, max_per_address=2))
    listener = Listener()
    async with Running(transport, listener.accept):
        devices = [DialsIn(transport, f"127.0.0.{host}") for host in (2, 2, 3)]
        for number, device in enumerate(devices):
            await device.appear()
            await listener.link(number)
        assert transport.status.state is LinkState.OPEN
        assert transport.status.detail.startswith("3 connected to 127.0.0.1:")
        late = DialsIn(transport, "127.0.0.4")
        await late.is_turned_away()
        await devices[0].vanish()
        await eventually(lambda: listener.heard[0].losses)
        await eventually(lambda: transport.status.detail.startswith("2 connected"))
        await late.appear()
        await listener.link(3)
        assert transport.counters.refused == 1
        for device in (*devices, late):
            await device.vanish()


async def test_an_address_outside_the_list_is_turned_away():
    transport = open_transport("tcp-listen://127.0.0.1:0?allow=127.0.0.8/30,10.0.0.0/8", clock=time)
    listener = Listener()
    async with Running(transport, listener.accept):
        stranger, known = DialsIn(transport, "127.0.0.2"), DialsIn(transport, "127.0.0.10")
        await stranger.is_turned_away()
        await known.appear()
        heard = await listener.link()
        assert heard.link.peer.startswith("127.0.0.10:")
        assert transport.counters.refused == 1
        await known.vanish()


async def test_an_endless_line_arrives_as_it_is_and_keeps_nobody_waiting():
    transport = listen()
    listener = Listener()
    async with Running(transport, listener.accept), Honest(transport, listener) as honest:
        endless = DialsIn(transport)
        await endless.appear()
        await listener.link(1)
        await asyncio.gather(endless.send(b"9" * 1_048_576), honest.speak(500))
        await eventually(lambda: len(listener.heard[1].data) == 1_048_576)
        await endless.vanish()


async def test_slow_loris_connections_leave_the_honest_peer_alone():
    transport = listen()
    listener = Listener()
    async with Running(transport, listener.accept), Honest(transport, listener) as honest:
        loris = [DialsIn(transport, f"127.0.0.{10 + number // 8}") for number in range(40)]
        for each in loris:
            await each.appear()
        await listener.link(40)

        async def drip():
            for byte in b"ST,GS,+":
                for each in loris:
                    await each.send(bytes([byte]))

        await asyncio.gather(drip(), honest.speak(500))
        await eventually(lambda: all(heard.data == b"ST,GS,+" for heard in listener.heard[1:]))
        for each in loris:
            await each.vanish()


async def test_a_flood_is_slowed_not_cut_and_only_for_the_flooder():
    transport = listen(limits=PeerLimits(rate=50_000, burst=20_000))
    listener = Listener()
    async with Running(transport, listener.accept), Honest(transport, listener) as honest:
        flooder = DialsIn(transport)
        await flooder.appear()
        heard = await listener.link(1)
        flooder.writer.write(b"ABCDEFGH" * 1_000_000)
        await honest.speak(500)
        await eventually(lambda: transport.counters.throttled >= 3)
        assert not heard.losses
        assert heard.data == (b"ABCDEFGH" * 1_000_000)[: len(heard.data)]
        assert len(heard.data) < 4_000_000, "the flood is held back"
        await flooder.vanish()


async def test_what_was_slowed_arrives_whole():
    transport = listen(limits=PeerLimits(rate=2_000_000, burst=1_000))
    listener = Listener()
    async with Running(transport, listener.accept):
        device = DialsIn(transport)
        await device.appear()
        heard = await listener.link()
        await device.send(bytes(range(256)) * 800)
        await eventually(lambda: len(heard.data) == 256 * 800)
        assert heard.data == bytes(range(256)) * 800
        assert transport.counters.throttled
        await device.vanish()


async def test_a_silent_peer_is_let_go_only_if_asked_for():
    transport = listen(limits=PeerLimits(idle_s=0.05))
    listener = Listener()
    async with Running(transport, listener.accept):
        device = DialsIn(transport)
        await device.appear()
        heard = await listener.link()
        await eventually(lambda: heard.losses)
        assert heard.losses == ["silent for 0.05 s"]
        await device.vanish()


async def test_a_peer_that_takes_nothing_for_too_long_loses_its_link():
    transport = listen(limits=PeerLimits(stall_s=0.05, rate=1e9, burst=1e9))
    listener = Listener()
    async with Running(transport, listener.accept):
        device = DialsIn(transport)
        await device.appear()
        device.writer.transport.pause_reading()
        heard = await listener.link()
        heard.link._wire._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        while not heard.losses:
            if heard.link._wire._transport.get_write_buffer_size() == 0:
                heard.link.send(bytes(32_768))
            await asyncio.sleep(0)
        assert heard.losses == ["the device has taken no bytes for 0.05 s"]
        await device.vanish()


async def test_the_last_word_leaves_before_the_close():
    class SaysGoodbye(Heard):
        def received(self, now, data):
            self.link.send(b"OK\r\n" * 5000)
            self.link.close("done")

    transport = listen()
    listener = Listener(SaysGoodbye)
    async with Running(transport, listener.accept):
        device = DialsIn(transport)
        await device.appear()
        await device.send(b"x")
        assert await device.receive(20_000) == b"OK\r\n" * 5000
        await device.let_go()
        await device.vanish()


async def test_half_open_connections_are_looked_for():
    transport = listen()
    listener = Listener()
    async with Running(transport, listener.accept):
        device = DialsIn(transport)
        await device.appear()
        wire = (await listener.link()).link._wire
        assert isinstance(wire, TcpPeer)
        sock = wire._transport.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert 0 < sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) <= 60
        await device.vanish()
    assert "keepalive" in lost_in_words(TimeoutError())


async def test_an_address_in_use_is_said_and_taken_when_free():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        transport = open_transport(f"tcp-listen://127.0.0.1:{port}", clock=time)
        with pytest.raises(ListenError, match=f"127.0.0.1:{port} is used by another program"):
            transport.bind()
        listener = Listener()
        async with Running(transport, listener.accept):
            await eventually(lambda: transport.status.state is LinkState.FAILED)
            assert "used by another program" in transport.status.detail
            other.close()
            await eventually(lambda: transport.status.state is LinkState.WAITING)
            device = DialsIn(transport)
            await device.appear()
            await listener.link()
            await device.vanish()


async def test_a_foreign_address_is_said():
    with pytest.raises(ListenError, match="no address of this machine"):
        open_transport("tcp-listen://192.0.2.1:4001", clock=time).bind()


async def test_a_device_that_is_off_is_said_and_dialled_again():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        host, port = sock.getsockname()
        transport = TcpConnect("tcp:", host, port, clock=time, rng=seeded())
        listener = Listener()
        async with Running(transport, listener.accept):
            await eventually(lambda: transport.counters.open_failures >= 2)
            assert transport.status.state is LinkState.FAILED
            assert f"127.0.0.1:{port} refuses the connection" in transport.status.detail
            sock.listen()
            await listener.link()
            assert transport.status.state is LinkState.OPEN


async def test_a_converter_that_resets_at_once_is_dialled_with_growing_pauses():
    accepted = 0
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        sock.setblocking(False)
        host, port = sock.getsockname()
        transport = TcpConnect("tcp:", host, port, clock=time, rng=seeded())
        listener = Listener()
        async with Running(transport, listener.accept):
            while accepted < 3:
                caller, _ = await asyncio.get_running_loop().sock_accept(sock)
                caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                caller.close()
                accepted += 1
            await eventually(lambda: transport._backoff._next_s > 0.8)  # a link without a byte is no success
