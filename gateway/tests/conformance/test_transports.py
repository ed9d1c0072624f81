"""What every transport promises, whatever the wire."""

import asyncio
import os
import random
import socket
import threading

import pytest

from fakes.wires import (
    BENCHES,
    BreaksOnFirstBytes,
    HangsUpInTheMiddle,
    Heard,
    Listener,
    Running,
    eventually,
    open_descriptors,
)
from scaleledger.transports import SCHEMES
from scaleledger.wire.link import LinkState

pytestmark = pytest.mark.skipif(os.name != "posix", reason="ptys")

EVERY_BYTE = bytes(range(256))


@pytest.fixture(params=BENCHES)
async def bench(request, tmp_path):
    """A transport, not yet run, and its device, not yet there."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        transport, device = BENCHES[request.param](tmp_path, sock)
        yield transport, device
        await device.vanish()


def test_every_transport_is_here():
    assert {name.partition("-threads")[0] for name in BENCHES} == set(SCHEMES) - {"replay"}  # plays, and is not a wire


async def test_bytes_go_both_ways_unchanged_and_in_order(bench):
    transport, device = bench
    listener = Listener()
    async with Running(transport, listener.accept):
        await device.appear()
        heard = await listener.link()
        for number in range(20):
            await device.send(EVERY_BYTE + number.to_bytes(2, "big"))
        expected = b"".join(EVERY_BYTE + n.to_bytes(2, "big") for n in range(20))
        await eventually(lambda: len(heard.data) >= len(expected))
        assert heard.data == expected
        for number in range(8):
            heard.link.send(EVERY_BYTE[::-1] + bytes([number]))
        expected = b"".join(EVERY_BYTE[::-1] + bytes([n]) for n in range(8))
        assert await device.receive(len(expected)) == expected
        assert transport.status.state is LinkState.OPEN
        assert transport.counters.bytes_in == 20 * 258
        assert transport.counters.bytes_out == len(expected)
    assert transport.status.state is LinkState.CLOSED


async def test_a_burst_of_a_megabyte_arrives_whole(bench):
    transport, device = bench
    listener = Listener()
    burst = random.Random(3).randbytes(1_048_576)
    async with Running(transport, listener.accept):
        await device.appear()
        heard = await listener.link()
        await device.send(burst)
        await eventually(lambda: len(heard.data) >= len(burst))
        assert heard.data == burst
        assert not heard.losses


async def test_a_loss_is_told_once_and_healed(bench):
    transport, device = bench
    listener = Listener()
    async with Running(transport, listener.accept):
        for number in range(3):
            await device.appear()
            heard = await listener.link(number)
            await device.send(b"%d\r\n" % number)
            await eventually(lambda heard=heard: heard.data.endswith(b"\n"))
            await device.vanish()
            await eventually(lambda heard=heard: heard.losses, "word of the loss")
            heard.link.send(b"too late")
            heard.link.close("too late")
            assert transport.status.state is not LinkState.CLOSED
        await device.appear()
        heard = await listener.link(3)
        await device.send(b"3\r\n")
        await eventually(lambda: heard.data == b"3\r\n")
    assert [bytes(heard.data) for heard in listener.heard[:3]] == [b"0\r\n", b"1\r\n", b"2\r\n"]
    assert [len(heard.losses) for heard in listener.heard] == [1] * 4
    assert transport.counters.opened == transport.counters.lost == 4
    assert all(reason and reason.isprintable() for heard in listener.heard for reason in heard.losses)


async def test_a_refused_link_is_closed(bench):
    transport, device = bench
    async with Running(transport, lambda link: None):
        await device.appear()
        await device.let_go()
        await eventually(lambda: transport.counters.refused)
        assert transport.status.state is not LinkState.OPEN
    assert transport.counters.opened == 0


async def test_a_device_that_never_reads_loses_its_link(bench):
    transport, device = bench
    listener = Listener()
    async with Running(transport, listener.accept):
        await device.appear()
        heard = await listener.link()
        for _ in range(64 * 1024):
            heard.link.send(bytes(1024))
            await asyncio.sleep(0)
            if heard.losses:
                break
        await eventually(lambda: heard.losses, "the end of patience")
        assert "takes no bytes" in heard.losses[0]
        assert len(heard.losses) == 1


async def test_a_link_can_be_given_up_from_inside(bench):
    transport, device = bench
    listener = Listener(HangsUpInTheMiddle)
    async with Running(transport, listener.accept):
        await device.appear()
        heard = await listener.link()
        await device.send(b"first")
        await eventually(lambda: heard.losses)
        assert heard.losses == ["enough"]
        assert b"first".startswith(heard.data)


async def test_a_receiver_that_breaks_gets_a_fresh_start(bench):
    transport, device = bench
    broken = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: broken.append(context["exception"]))
    listener = Listener(BreaksOnFirstBytes)
    async with Running(transport, listener.accept):
        await device.appear()
        heard = await listener.link()
        await device.send(b"x")
        await eventually(lambda: heard.losses)
        assert [str(fault) for fault in broken] == ["a mistake of our own"]
        listener.kind = Heard
        await device.vanish()
        await device.appear()
        await eventually(lambda: not listener.heard[-1].losses, "the next link")
        await device.send(b"well")
        await eventually(lambda: bytes(listener.heard[-1].data) == b"well")


@pytest.mark.parametrize("when", ["before it is open", "while it is open", "with bytes waiting both ways"])
async def test_a_cancelled_run_leaves_nothing(bench, when):
    transport, device = bench
    listener = Listener()
    tasks, threads = asyncio.all_tasks(), set(threading.enumerate())
    descriptors = open_descriptors()
    async with Running(transport, listener.accept):
        await asyncio.sleep(0)
        if when != "before it is open":
            await device.appear()
            heard = await listener.link()
        if when == "with bytes waiting both ways":
            heard.link.send(bytes(60_000))
            await device.send(bytes(4_000))
    assert all(len(heard.losses) == 1 for heard in listener.heard)
    await device.vanish()
    await eventually(lambda: asyncio.all_tasks() <= tasks, "the end of all tasks")
    await eventually(lambda: set(threading.enumerate()) <= threads, "the end of all threads")
    await eventually(lambda: open_descriptors() <= descriptors, "the closing of all descriptors")
