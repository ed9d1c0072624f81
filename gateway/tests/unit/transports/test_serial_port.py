import asyncio
import errno
import os
import termios
import threading
import time

import pytest

from fakes.wires import (
    WAIT_S,
    BreaksOnFirstBytes,
    Heard,
    Listener,
    PtyDevice,
    Running,
    eventually,
    open_descriptors,
    seeded,
    serial_bench,
)
from scaleledger.transports.serial_open import SerialSettings, in_words
from scaleledger.transports.serial_port import SerialTransport
from scaleledger.transports.serial_thread import SerialReader
from scaleledger.wire.link import LinkState


@pytest.fixture
async def devices(tmp_path):
    made = []

    def make(count):
        for number in range(count):
            made.append(PtyDevice(tmp_path, f"scale{number}"))
            made[-1].plug()
        return made

    yield make
    for device in made:
        device.unplug()


@pytest.fixture
async def reader():
    reader = SerialReader(time)
    yield reader
    reader.stop()
    assert not reader.running


def port_at(path, reader=None, **options):
    return SerialTransport(
        f"serial://{path}", SerialSettings(str(path)), clock=time, rng=seeded(), reader=reader, **options
    )


class Ports:
    """Several ports run on one reader, each with a listener."""

    def __init__(self, devices, reader, kind=Heard):
        self.transports = [port_at(device.name, reader) for device in devices]
        self.listeners = [Listener(kind) for _ in devices]

    async def __aenter__(self):
        self.tasks = [
            asyncio.ensure_future(transport.run(listener.accept))
            for transport, listener in zip(self.transports, self.listeners, strict=True)
        ]
        return [await listener.link() for listener in self.listeners]

    async def __aexit__(self, *_):
        for task in self.tasks:
            task.cancel()
        await asyncio.wait(self.tasks)


def wait_with_the_loop_busy(condition):
    """As a slow callback would: nothing else runs on the event loop meanwhile."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


async def test_64_ports_share_one_thread_and_a_busy_loop_is_woken_once(devices, reader, monkeypatch):
    scales = devices(64)
    before = threading.active_count()
    async with Ports(scales, reader) as heard:
        await eventually(lambda: threading.active_count() == before + 1, "one thread for all")
        loop = asyncio.get_running_loop()
        calls = []
        wake = loop.call_soon_threadsafe
        monkeypatch.setattr(loop, "call_soon_threadsafe", lambda *args: (calls.append(args), wake(*args))[1])
        gathers, expected = reader.gathers, b""
        for number in range(5):
            expected += b"ST,GS,%07d kg\r\n" % number
            for scale in scales:
                os.write(scale.master, expected[-18:])
            wait_with_the_loop_busy(lambda each=number + 1: reader.pending_bytes == 64 * each * 18)
        assert reader.gathers >= gathers + 5
        assert len(calls) == 1
        await eventually(lambda: all(each.data == expected for each in heard))
        await eventually(lambda: reader.pending_bytes == 0)


@pytest.mark.parametrize(("ports", "most"), [(9, 1), (8, 8)])
async def test_many_ports_are_gathered_and_few_are_not_kept_waiting(devices, ports, most):
    reader = SerialReader(time, gather_s=0.5, gather_above=8)
    scales = devices(ports)
    async with Ports(scales, reader):
        await eventually(lambda: reader.watching == ports)
        gathers = reader.gathers
        for number, scale in enumerate(scales, 1):
            os.write(scale.master, b"0123456789\r\n")
            if ports > 8:
                time.sleep(0.005)  # the thread would wake for each of them if it did not gather
            else:
                wait_with_the_loop_busy(lambda number=number: reader.pending_bytes == 12 * number)
        wait_with_the_loop_busy(lambda: reader.pending_bytes == 12 * ports)
        assert reader.gathers == gathers + most
    reader.stop()


async def test_a_cable_in_and_out_under_the_same_name_heals_while_others_go_on(devices, reader):
    scales = devices(2)
    ports = Ports(scales, reader)
    async with ports as (first, second):
        scales[0].unplug()
        await eventually(lambda: ports.transports[0].status.state is LinkState.FAILED)
        assert "no such port" in ports.transports[0].status.detail
        os.write(scales[1].master, b"still here\r\n")
        await eventually(lambda: second.data == b"still here\r\n")
        scales[0].plug()
        back = await ports.listeners[0].link(1)
        await scales[0].send(b"back\r\n")
        await eventually(lambda: back.data == b"back\r\n")
        assert len(first.losses) == 1
        assert "unplugged" in first.losses[0]
        assert ports.transports[0].status.state is LinkState.OPEN
        assert not second.losses


async def test_a_name_that_points_elsewhere_is_followed_after_the_loss(devices, reader):
    (scale,) = devices(1)
    ports = Ports([scale], reader)
    async with ports:
        master, slave = scale.master, scale.slave
        scale.plug()  # the name points to another pty already; the old one is still held
        os.close(master)
        os.close(slave)
        moved = await ports.listeners[0].link(1)
        await scale.send(b"moved")
        await eventually(lambda: moved.data == b"moved")


async def test_a_port_in_use_is_said_and_taken_when_free(devices, reader):
    (scale,) = devices(1)
    late = Listener()
    waiting = port_at(scale.name, reader)
    async with Ports([scale], reader):
        task = asyncio.ensure_future(waiting.run(late.accept))
        await eventually(lambda: waiting.status.state is LinkState.FAILED)
        assert waiting.status.detail.startswith(f"{scale.name} is used by another program")
    await late.link()
    assert waiting.status.state is LinkState.OPEN
    task.cancel()
    await asyncio.wait([task])


@pytest.mark.parametrize(
    ("name", "said"), [("nothing", "no such port"), ("file", "not a serial port"), ("", "not a serial port")]
)
async def test_what_is_no_port_is_said_and_tried_again(tmp_path, name, said):
    (tmp_path / "file").write_bytes(b"")
    transport = port_at(tmp_path / name)
    async with Running(transport, Listener().accept):
        await eventually(lambda: transport.counters.open_failures >= 2)
        assert said in transport.status.detail
        assert str(tmp_path) in transport.status.detail


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (PermissionError(errno.EACCES, "x"), "add the gateway's user to the group"),
        (OSError(errno.EBUSY, "x"), "is used by another program"),
        (OSError(errno.EIO, "x"), "was unplugged, or has failed"),
        (termios.error(errno.EINVAL, "x"), "cannot do 110 baud, 8 bits, parity N, stop 1"),
        (ValueError("x"), "cannot do 110 baud"),
        (OSError(errno.EMFILE, "x"), "too many files open"),
        (OSError(errno.ENOSYS, "what the system says"), "what the system says"),
    ],
)
def test_faults_are_said_in_words(fault, said):
    assert said in in_words(SerialSettings("/dev/ttyS7", 110), fault)


async def test_input_from_before_the_opening_is_dropped(devices, reader):
    (scale,) = devices(1)
    os.write(scale.master, b"old weight\r\n")
    async with Ports([scale], reader) as (heard,):
        await scale.send(b"new weight\r\n")
        await eventually(lambda: heard.data.endswith(b"new weight\r\n"))
        assert heard.data == b"new weight\r\n"


async def test_a_device_that_stops_taking_bytes_loses_its_link(tmp_path):
    transport, scale = serial_bench(tmp_path, None, stall_s=0.1)
    scale.plug()
    listener = Listener()
    async with Running(transport, listener.accept):
        heard = await listener.link()
        heard.link.send(bytes(40_000))
        await eventually(lambda: heard.losses)
        assert heard.losses == ["the device has taken no bytes for 0.1 s"]
    scale.unplug()


async def test_a_slow_device_gets_all_bytes(tmp_path):
    transport, scale = serial_bench(tmp_path, None)
    scale.plug()
    listener = Listener()
    slip = os.urandom(60_000)
    async with Running(transport, listener.accept):
        heard = await listener.link()
        heard.link.send(slip[:50_000])
        heard.link.send(slip[50_000:])
        assert await scale.receive(len(slip)) == slip
        assert not heard.losses
    scale.unplug()


async def test_a_receiver_that_breaks_costs_the_others_nothing(devices, reader):
    scales = devices(3)
    broken = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: broken.append(context["exception"]))
    ports = Ports(scales, reader)
    ports.listeners[0].kind = BreaksOnFirstBytes
    async with ports as heard:
        for _ in range(20):
            for scale in scales:
                os.write(scale.master, b"0123456789\r\n")
        await eventually(lambda: all(len(each.data) == 240 for each in heard[1:]))
        await eventually(lambda: heard[0].losses)
        assert len(broken) == 1


async def test_a_loop_that_lags_behind_stops_the_reading_not_the_memory(devices):
    reader = SerialReader(time, pending_limit=100_000)
    (scale,) = devices(1)
    async with Ports([scale], reader) as (heard,):
        sent = 0
        deadline = time.monotonic() + 20
        while reader.pending_bytes <= 100_000:  # this loop keeps the event loop busy, as a slow callback would
            assert time.monotonic() < deadline
            try:
                sent += os.write(scale.master, bytes(4096))
            except BlockingIOError:
                time.sleep(0.001)
        assert reader.pending_bytes <= 100_000 + 65_536
        await eventually(lambda: len(heard.data) == sent)
    reader.stop()


async def test_stopping_the_reader_first_ends_all_links(devices):
    reader = SerialReader(time)
    scales = devices(12)
    descriptors = open_descriptors()
    ports = Ports(scales, reader)
    async with ports as heard:
        reader.stop()
        assert not reader.running
        await eventually(lambda: all(each.losses for each in heard))
        again = await ports.listeners[0].link(1)
        await eventually(lambda: again.losses == ["the serial reader was stopped"])
    assert [len(each.losses) for each in heard] == [1] * 12
    await eventually(lambda: open_descriptors() <= descriptors)
