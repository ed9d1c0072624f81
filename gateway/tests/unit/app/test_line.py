"""The open line: what the centre asks for reaches those who do it, streams end with it, and it is opened again."""

import asyncio
import random
from decimal import Decimal

import pytest

from fakes.heard_log import HeardLog
from fakes.virtual_clock import LoopClock, running, virtual
from scaleledger.app.line import Line, LineDuties
from scaleledger.app.live import LiveLane
from scaleledger.domain.channel import (
    LiveWeight,
    LiveWeights,
    PortsScanned,
    ScanPorts,
    StartStream,
    StopStream,
    SyncMarket,
    SyncStations,
)
from scaleledger.domain.errors import CentreRefusal, LinkError


class Scale:
    name = "a"
    live = LiveWeight("a", Decimal("1.5"), "kg", stable=True, state="idle", link="up")


class Wire:
    """A channel whose far end is the test. `fail` ends the line."""

    def __init__(self, fails_at_once=None):
        self.opened, self.said, self.receive = [], [], None
        self.fails_at_once = fails_at_once
        self._end = None

    @property
    def up(self):
        return self.receive is not None

    async def run(self, receive, opened):
        self.opened.append(asyncio.get_running_loop().time())
        if self.fails_at_once is not None:
            raise self.fails_at_once
        opened()
        self.receive, self._end = receive, asyncio.get_running_loop().create_future()
        try:
            await self._end
        finally:
            self.receive = None

    def fail(self, error):
        self._end.set_exception(error)

    def send(self, message):
        self.said.append(message)


@pytest.fixture
def heard(monkeypatch):
    log = HeardLog()
    monkeypatch.setattr("scaleledger.app.line.log", log)
    return log


class Office:
    """A line with its lane, and what was asked of the others."""

    def __init__(self, wire):
        self.wire, self.done, self.scans = wire, [], 0
        self.lane = LiveLane([Scale()], wire.send, LoopClock())
        duties = LineDuties(lambda: self.done.append("stations"), lambda: self.done.append("market"), self.scan)
        self.line = Line(wire, self.lane, duties, LoopClock(), random.Random(1))

    async def scan(self):
        self.scans += 1
        await asyncio.sleep(1)
        return [{"device": f"/dev/ttyUSB{n}"} for n in range(300)]

    def open(self):
        return running(self.line, self.lane)


@virtual
async def test_what_the_centre_asks_for_is_done():
    wire = Wire()
    office = Office(wire)
    async with office.open():
        await asyncio.sleep(0.1)
        for _ in range(5):
            wire.receive(ScanPorts())
        wire.receive(SyncStations())
        wire.receive(SyncMarket())
        await asyncio.sleep(2)
        assert office.done == 2 * ["stations", "market"], "once when the line opened, once when they were pushed"
        [scanned] = wire.said
        assert isinstance(scanned, PortsScanned)
        assert (len(scanned.ports), office.scans) == (256, 1)


@virtual
async def test_what_may_have_been_pushed_without_a_line_is_asked_for_as_soon_as_it_is_open_again():
    wire = Wire()
    office = Office(wire)
    async with office.open():
        await asyncio.sleep(60)
        office.done.clear()
        wire.fail(LinkError("the line broke"))
        await asyncio.sleep(2)
        assert wire.up
        assert office.done == ["stations", "market"]


@virtual
async def test_a_line_that_does_not_open_asks_for_nothing():
    office = Office(Wire(LinkError("away")))
    async with office.open():
        await asyncio.sleep(100)
    assert office.done == []


@virtual
async def test_nothing_is_said_before_a_start_and_a_stop_ends_it():
    wire = Wire()
    async with Office(wire).open():
        await asyncio.sleep(10)
        assert wire.said == []
        wire.receive(StartStream(("a",)))
        await asyncio.sleep(2)
        assert {type(message) for message in wire.said} == {LiveWeights}
        wire.receive(StopStream())
        count = len(wire.said)
        await asyncio.sleep(10)
        assert len(wire.said) == count > 0


@virtual
async def test_streams_and_scans_end_with_the_line_and_a_new_line_begins_in_silence(heard):
    wire = Wire()
    office = Office(wire)
    async with office.open():
        await asyncio.sleep(60)
        wire.receive(StartStream())
        wire.receive(ScanPorts())
        await asyncio.sleep(0.5)
        wire.fail(LinkError("the line broke"))
        await asyncio.sleep(5)
        assert wire.up
        count = len(wire.said)
        await asyncio.sleep(20)
        assert len(wire.said) == count
        assert not any(isinstance(message, PortsScanned) for message in wire.said)
    assert heard.of("net.line_down") == [{"reason": "the line broke"}]


@pytest.mark.parametrize("error", [LinkError("away"), CentreRefusal("token_unknown", "no")])
@virtual
async def test_a_line_that_does_not_open_is_tried_ever_more_slowly_and_said_once(heard, error):
    wire = Wire(error)
    async with Office(wire).open():
        await asyncio.sleep(1200)
    assert 15 < len(wire.opened) < 80
    assert len(heard.lines) == 1


@virtual
async def test_the_wait_that_the_centre_wishes_is_kept(heard):
    wire = Wire(LinkError("connected anew elsewhere", retry_after_s=100.0))
    async with Office(wire).open():
        await asyncio.sleep(250)
    assert [round(at) for at in wire.opened] == [0, 100, 200]
