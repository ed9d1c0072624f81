"""A station at run time: real drivers and links over a loopback wire, a ledger with faults by name, virtual time."""

import asyncio
import random
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial

import pytest

from fakes.heard_log import HeardLog
from fakes.loop_port import LoopPort, Overheard
from fakes.memory_store import Disk, FailsOnce, Full, Held, MemoryStore, Slow, Sound, Unplugs
from fakes.virtual_clock import LoopClock, virtual
from scaleledger.app.ports import CardStanding
from scaleledger.app.station import Provenance, Source, Surroundings, WeighingStation
from scaleledger.app.supervisor import Supervisor
from scaleledger.app.watch import Watch
from scaleledger.domain.errors import StoreError
from scaleledger.domain.inputs import CardSeen
from scaleledger.domain.reading import Reading, Role
from scaleledger.domain.station import Mode, StationRules
from scaleledger.domain.station_table import State
from scaleledger.drivers import open_driver, rfid_em4100, st_gs_comma
from scaleledger.simulators.journal import Journal
from scaleledger.simulators.scenario import Indicator
from scaleledger.simulators.suwol1000 import SuwolStation
from scaleledger.simulators.suwol_device import SuwolDevice
from scaleledger.transports.links import DeviceLink, LinkCounters
from scaleledger.wire import suwol_frames as frames
from scaleledger.wire.link import LinkState, TransportStatus

TAG = "62E3086CED"
GREEN, RED = frames.GREEN, frames.RED


class KnownCards:
    def __init__(self, *known):
        self.known = known

    def standing(self, uid):
        return CardStanding.KNOWN if not self.known or uid in self.known else CardStanding.UNKNOWN

    def about(self, uid):
        return None


def surroundings(store, *cards):
    numbers = iter(range(1, 10**9))
    provenance = Provenance(lambda: f"0192f0c1-7a00-7000-8000-{next(numbers):012d}", "boot-1", lambda: 540)
    return Surroundings(LoopClock(), store, KnownCards(*cards), provenance)


class Shop:
    """Stations under one supervisor, on one store, until the block ends."""

    def __init__(self, store=None, cards=()):
        self.store = store or MemoryStore()
        self.around = surroundings(self.store, *cards)
        self.supervisor = Supervisor(random.Random(1))
        self.parts, self.stations, self._devices = {}, {}, []
        self._stop = asyncio.Event()

    @property
    def disk(self):
        return self.store.disk

    def add(self, name, scale, reader=None, **rules):
        part = self.parts[name] = self.supervisor.part(name)
        station = WeighingStation(
            StationRules(name, **rules), scale, reader, self.around, driver_name="any", guard=part.guard
        )
        self.supervisor.add(part, station.run)
        self.stations[name] = station
        return station

    @asynccontextmanager
    async def open(self):
        work = asyncio.create_task(self.supervisor.run(self._stop))
        try:
            yield self
        finally:
            self._stop.set()
            await work


class Dock:
    """A SUWOL-1000 station with its simulated device."""

    def __init__(self, shop, name="dock-1", **rules):
        self.port = LoopPort(LoopClock())
        self.device = SuwolDevice(Indicator(Decimal("0.5")), random.Random(1))
        self._wire_side = SuwolStation(name, self.port, self.device, journal=Journal(), pace=0)
        self.overheard = Overheard(self._wire_side)
        self.port._device = self.overheard
        self.station = shop.add(
            name, Source(self.port.transport(name), partial(open_driver, "suwol-1000")), mode=Mode.TAG, **rules
        )

    @property
    def now(self):
        return asyncio.get_running_loop().time()

    def put(self, weight):
        self.device.platform.put(self.now, Decimal(weight))

    def tap(self, uid="A1B2C3D4"):
        self.device.present_card(self.now, uid)

    def requests(self, since=0.0):
        """The display requests sent from `since` on."""
        found = [frames.decode_request(data) for at, data in self.overheard.sent if at >= since]
        return [r for r in found if isinstance(r, frames.DisplayRequest)]

    def lamps(self, since=0.0):
        return {r.relays for r in self.requests(since)}

    def clips(self, since=0.0):
        return {r.voice for r in self.requests(since)} - {0}

    async def arm(self):
        """Show the empty platform for long enough."""
        self.put("0")
        await asyncio.sleep(2)

    async def weigh(self, weight, uid="A1B2C3D4"):
        self.put(weight)
        await asyncio.sleep(1)
        self.tap(uid)
        await asyncio.sleep(2)


@asynccontextmanager
async def one_dock(fault=None, cards=(), disk=None, **rules):
    shop = Shop(MemoryStore(disk, fault), cards)
    dock = Dock(shop, **rules)
    async with shop.open():
        await dock.arm()
        yield shop, dock


# --- durable before green ----------------------------------------------------------------------------------------------


@virtual
async def test_a_card_and_a_stable_load_are_one_append_then_green_lamp_and_voice():
    async with one_dock() as (shop, dock):
        await dock.weigh("152.5")
        assert shop.disk.weights == ["152.5"]
        [record] = shop.disk.records
        assert (record.card, record.unit, record.station) == ("A1B2C3D4", "kg", "dock-1")
        assert dock.requests()[-1].relays == GREEN
        assert 1 in dock.clips()
        await asyncio.sleep(60)
        assert shop.store.asked == 1
        assert shop.disk.told == {1}


@virtual
async def test_nothing_green_is_asked_for_while_the_commit_is_under_way():
    held = Held()
    async with one_dock(held) as (_shop, dock):
        await dock.weigh("20")
        await held.begun.wait()
        await asyncio.sleep(20)
        assert len(dock.requests()) > 150, "the polling goes on meanwhile"
        assert (dock.lamps(), dock.clips() - {3}) == ({0}, set())
        assert dock.station.machine.state is State.SAVING
        before = dock.now
        held.release()
        await asyncio.sleep(1)
        assert GREEN in dock.lamps(before)
        assert 1 in dock.clips(before)


@pytest.mark.parametrize("fault", [Full(), FailsOnce(StoreError("no"))], ids=["full", "fails-once"])
@virtual
async def test_a_refused_commit_is_told_red_and_the_next_try_is_saved(fault):
    async with one_dock(fault) as (shop, dock):
        await dock.weigh("20")
        assert (shop.disk.records, dock.station.counts.refused) == ([], 1)
        assert RED in dock.lamps()
        assert GREEN not in dock.lamps()
        assert {10} <= dock.clips() <= {3, 10}
        shop.store.fault = Sound()
        await asyncio.sleep(5)
        dock.tap()
        await asyncio.sleep(2)
        assert shop.disk.weights == ["20.0"]
        assert dock.requests()[-1].relays == GREEN


@virtual
async def test_a_record_the_operator_could_not_be_told_of_is_not_marked_told():
    async with one_dock() as (shop, dock):
        shop.store.fault = Unplugs(dock.port)
        await dock.weigh("20")
        assert (shop.disk.weights, shop.disk.told) == (["20.0"], set())


@virtual
async def test_a_press_during_whose_commit_the_cable_was_pulled_is_answered_when_repeated():
    async with one_dock() as (shop, dock):
        shop.store.fault = Unplugs(dock.port)
        await dock.weigh("20")
        dock.port.plug()
        await asyncio.sleep(4)
        dock.tap()
        await asyncio.sleep(2)
        assert 1 in dock.clips()
        assert shop.disk.weights == ["20.0"]


@virtual
async def test_a_lamp_that_was_lost_with_the_link_is_lit_when_the_card_is_shown_again():
    held = Held()
    async with one_dock(held) as (shop, dock):
        await dock.weigh("20")
        dock.overheard.deaf = True
        held.release()
        await asyncio.sleep(0.5)
        assert dock.station.machine.state is State.SAVED
        dock.port.unplug()
        dock.overheard.deaf = False
        await asyncio.sleep(4)
        assert (dock.lamps(), shop.disk.told) == ({0}, set())
        dock.port.plug()
        await asyncio.sleep(3)
        dock.tap()
        await asyncio.sleep(2)
        assert 1 in dock.clips()
        assert shop.disk.weights == ["20.0"]
        assert shop.disk.told == {1}


# --- what else the operator is told ------------------------------------------------------------------------------------


@virtual
async def test_an_unknown_card_is_told_by_voice_8_and_goes_dark():
    async with one_dock(cards=("A1B2C3D4",)) as (shop, dock):
        await dock.weigh("20", uid="0000BEEF")
        assert dock.requests()[-1].relays == RED
        assert dock.clips() == {8}
        before = dock.now
        await asyncio.sleep(5)
        assert dock.requests()[-1].relays == 0, "the notice is over"
        assert dock.lamps(before + 4) == {0}
        dock.tap()
        await asyncio.sleep(2)
        assert shop.disk.weights == ["20.0"]


@virtual
async def test_overload_is_told_by_voice_6_and_nothing_is_captured():
    async with one_dock() as (shop, dock):
        dock.tap()
        await asyncio.sleep(1)
        await dock.weigh("9999")
        assert 6 in dock.clips()
        assert dock.requests()[-1].relays == RED
        assert shop.disk.records == []
        dock.put("500")
        await asyncio.sleep(2)
        assert shop.disk.weights == ["500.0"]


@virtual
async def test_an_unregistered_gateway_refuses_until_approved_and_an_approval_survives_a_restart_of_the_part():
    async with one_dock(needs_registration=True) as (shop, dock):
        await dock.weigh("20")
        assert (shop.disk.records, 7 in dock.clips()) == ([], True)
        dock.station.approved()
        await dock.arm()
        shop.parts["dock-1"].guard(lambda: 1 / 0)()
        await asyncio.sleep(3)
        await dock.weigh("30")
        assert shop.disk.weights == ["30.0"]


@virtual
async def test_the_display_shows_the_weight_and_the_end_of_the_card_while_a_commit_is_under_way():
    async with one_dock(Slow(3)) as (_, dock):
        await dock.weigh("20")
        shown = dock.requests()[-1]
        assert (shown.weight, shown.line) == ("+20.0", "B2C3D4")


@virtual
async def test_counts_add_up():
    async with one_dock(cards=("A1B2C3D4",)) as (shop, dock):
        await dock.weigh("20")
        dock.tap("0000BEEF")
        await asyncio.sleep(1)
        dock.port.send(b"\x02nonsense")
        await asyncio.sleep(5)
        counts = dock.station.counts
        assert (counts.saved, counts.refused, counts.cards) == (1, 0, 2)
        assert sum(counts.problems.values()) >= 1
        assert counts.bytes >= 53 * counts.readings
        assert counts.facts >= counts.readings + counts.cards
        assert shop.disk.weights == ["20.0"]


# --- links that come and go --------------------------------------------------------------------------------------------


@virtual
async def test_a_scale_that_is_back_with_its_load_on_gives_no_second_record():
    async with one_dock() as (shop, dock):
        await dock.weigh("20")
        dock.port.unplug()
        await asyncio.sleep(3)
        assert dock.station.machine.state is State.DISCONNECTED
        dock.port.plug()
        await asyncio.sleep(3)
        dock.tap("00000042")
        await asyncio.sleep(5)
        assert shop.disk.weights == ["20.0"]
        await dock.arm()
        await dock.weigh("30", "00000042")
        assert shop.disk.weights == ["20.0", "30.0"]


class Bench:
    """A talking scale worked by hand, and if wanted a card reader of its own."""

    def __init__(self, shop, name="bench", *, with_reader=False, driver="st-gs-comma", **rules):
        self.scale, self.reader = LoopPort(LoopClock()), LoopPort(LoopClock())
        reader = Source(self.reader.transport("reader"), partial(open_driver, "rfid-em4100")) if with_reader else None
        make = driver if callable(driver) else partial(open_driver, driver)
        self.station = shop.add(name, Source(self.scale.transport("scale"), make), reader, **rules)

    async def show(self, weight, seconds=1.0, stable=True):
        line = st_gs_comma.encode(Reading(Decimal(weight), "kg", stable, role=Role.GROSS))
        for _ in range(round(seconds * 10)):
            self.scale.send(line)
            await asyncio.sleep(0.1)

    def tap(self, uid=TAG):
        self.reader.send(rfid_em4100.encode(CardSeen(uid)))


@asynccontextmanager
async def one_bench(**options):
    shop = Shop()
    bench = Bench(shop, **options)
    async with shop.open():
        await asyncio.sleep(0.1)
        yield shop, bench


@virtual
async def test_a_reader_of_its_own_brings_the_card_to_a_scale_that_has_none():
    async with one_bench(with_reader=True, mode=Mode.TAG) as (shop, bench):
        await bench.show("0.0")
        await bench.show("12.5")
        assert shop.disk.records == []
        bench.tap()
        await bench.show("12.5")
        assert [(r.card, str(r.weight)) for r in shop.disk.records] == [(TAG, "12.5")]


@virtual
async def test_a_reader_that_is_lost_does_not_disturb_the_scale():
    async with one_bench(with_reader=True, mode=Mode.TAG) as (shop, bench):
        await bench.show("0.0")
        bench.tap()
        await bench.show("0.0", 0.2)
        bench.reader.unplug()
        await bench.show("12.5")
        assert shop.disk.weights == ["12.5"]
        assert bench.station.silence == ""
        bench.reader.plug()
        await bench.show("0.0")
        bench.tap()
        await bench.show("13.0")
        assert shop.disk.weights == ["12.5", "13.0"]


class ManyDoors:
    """A transport that any number of devices may come in by, as through a listening socket."""

    url = "doors:"
    status = TransportStatus(LinkState.OPEN)

    async def run(self, accept):
        self._accept = accept
        await asyncio.Event().wait()

    def come_in(self, name):
        """A device's link, or None if it was turned away."""
        link = DeviceLink(name, LoopPort(LoopClock()), LoopClock(), LinkCounters())
        return link if link.offer(self._accept) else None


@virtual
async def test_a_second_device_is_refused_while_the_first_talks_and_taken_when_it_is_silent():
    shop, doors = Shop(), ManyDoors()
    empty = st_gs_comma.encode(Reading(Decimal("0.0"), "kg", stable=True))
    load = st_gs_comma.encode(Reading(Decimal("20.0"), "kg", stable=True))
    station = shop.add("gate", Source(doors, partial(open_driver, "st-gs-comma")))
    async with shop.open():
        await asyncio.sleep(0.1)
        first = doors.come_in("first")
        for _ in range(50):
            first.deliver(asyncio.get_running_loop().time(), empty)
            await asyncio.sleep(0.1)
            assert doors.come_in("second") is None
        await asyncio.sleep(station.machine.rules.stale_s)
        second = doors.come_in("second")
        assert await first.over() == "replaced by a new connection"
        for shown in [empty] * 10 + [load] * 10:
            second.deliver(asyncio.get_running_loop().time(), shown)
            await asyncio.sleep(0.1)
        assert shop.disk.weights == ["20.0"]
        second.close("done")


@virtual
async def test_a_stranger_whose_bytes_are_no_frames_keeps_no_scale_out():
    shop, doors = Shop(), ManyDoors()
    empty = st_gs_comma.encode(Reading(Decimal("0.0"), "kg", stable=True))
    station = shop.add("gate", Source(doors, partial(open_driver, "st-gs-comma")))
    async with shop.open():
        await asyncio.sleep(0.1)
        stranger = doors.come_in("stranger")
        for _ in range(50):
            stranger.deliver(asyncio.get_running_loop().time(), b"GET / HTTP/1.1\r\n")
            await asyncio.sleep(0.1)
        scale = doors.come_in("scale")
        assert scale is not None
        assert await stranger.over() == "replaced by a new connection"
        scale.deliver(asyncio.get_running_loop().time(), empty)
        assert station.silence == ""
        scale.close("done")


# --- our own mistakes --------------------------------------------------------------------------------------------------


class BreaksOn:
    """A driver with a bug: it raises over one text, once."""

    def __init__(self, text):
        self.text = text

    def __call__(self):
        driver, breaking = open_driver("st-gs-comma"), self

        class Broken:
            name, understands = driver.name, driver.understands
            get_timer, handle_timer = staticmethod(driver.get_timer), staticmethod(driver.handle_timer)
            ask, to_send, finish = staticmethod(driver.ask), staticmethod(driver.to_send), staticmethod(driver.finish)

            @staticmethod
            def receive(now, data):
                if breaking.text and breaking.text in data:
                    breaking.text = b""
                    raise ZeroDivisionError("a bug in the driver")
                return driver.receive(now, data)

        return Broken()


@virtual
async def test_a_bug_in_a_driver_restarts_its_station_alone_and_it_weighs_again(monkeypatch):
    heard = HeardLog()
    monkeypatch.setattr("scaleledger.app.supervisor.log", heard)
    shop = Shop()
    bench, other = Bench(shop, driver=BreaksOn(b"13.5")), Bench(shop, "other")
    async with shop.open():
        await asyncio.sleep(0.1)
        machine = other.station.machine
        await asyncio.gather(bench.show("0.0"), other.show("0.0"))
        await asyncio.gather(bench.show("13.5", 0.1), other.show("20.0"))
        await asyncio.gather(bench.show("0.0", 2), other.show("20.0", 2))
        await asyncio.gather(bench.show("13.5"), other.show("0.0"))
        assert sorted(shop.disk.weights) == ["13.5", "20.0"]
        assert {name: part.restarts for name, part in shop.parts.items()} == {"bench": 1, "other": 0}
        assert other.station.machine is machine
    assert heard.of("sys.part_failed")[-1]["part"] == "bench"


@virtual
async def test_a_bug_under_a_commit_restarts_the_station_which_would_wait_for_ever():
    async with one_dock(FailsOnce(ZeroDivisionError("a bug in the store"))) as (shop, dock):
        await dock.weigh("20")
        assert shop.parts["dock-1"].restarts == 1
        await dock.arm()
        await dock.weigh("30")
        assert shop.disk.weights == ["30.0"]


@virtual
async def test_stopping_under_a_commit_finishes_it_first_and_says_that_nobody_was_told():
    held = Held()
    shop = Shop(MemoryStore(None, held))
    dock = Dock(shop)
    work = asyncio.create_task(dock.station.run())
    await dock.arm()
    await dock.weigh("20")
    work.cancel()
    await asyncio.sleep(1)
    assert not work.done()
    held.release()
    await asyncio.wait({work})
    assert work.cancelled()
    assert shop.disk.weights == ["20.0"]
    assert not (await shop.store.last_capture("dock-1")).told


@virtual
async def test_after_a_stop_under_a_commit_the_repeated_press_is_answered_and_not_recorded_twice():
    disk = Disk()
    async with one_dock(Slow(1), disk=disk) as (_, dock):
        dock.put("20")
        await asyncio.sleep(1)
        dock.tap()
        await asyncio.sleep(0.6)
    assert disk.weights == ["20.0"]
    shop = Shop(MemoryStore(disk))
    dock = Dock(shop)
    dock.put("20")
    async with shop.open():
        await asyncio.sleep(2)
        dock.tap()
        await asyncio.sleep(2)
        assert 1 in dock.clips()
        assert disk.weights == ["20.0"]


# --- what is wrong with a line -----------------------------------------------------------------------------------------


@virtual
async def test_silence_tells_no_link_from_no_bytes_from_no_frame():
    shop = Shop()
    bench = Bench(shop)
    silence = partial(getattr, bench.station, "silence")
    async with shop.open():
        bench.scale.unplug()
        await asyncio.sleep(1)
        assert "the cable is out" in silence()
        bench.scale.plug()
        await asyncio.sleep(1)
        assert silence() == "", "a device is given time to begin"
        await asyncio.sleep(2)
        assert "no bytes" in silence()
        bench.scale.send(b"\x00\xff\r\n")
        await asyncio.sleep(1)
        assert "no frame" in silence()
        await bench.show("0.0")
        assert silence() == ""


@virtual
async def test_silence_also_tells_when_a_line_that_spoke_falls_silent_or_is_garbled():
    async with one_bench() as (_, bench):
        await bench.show("0.0")
        assert bench.station.silence == ""
        await asyncio.sleep(5)
        assert "no bytes" in bench.station.silence
        await bench.show("0.0")
        assert bench.station.silence == ""
        for _ in range(50):
            bench.scale.send(b"\x80\x80\r\n")
            await asyncio.sleep(0.1)
        assert "no frame" in bench.station.silence


@virtual
async def test_the_watch_says_each_change_once(monkeypatch):
    heard = HeardLog()
    monkeypatch.setattr("scaleledger.app.watch.log", heard)
    async with one_bench() as (_, bench):
        watch = Watch([bench.station])
        work = asyncio.create_task(watch.run())
        await asyncio.sleep(9)
        bench.scale.send(b"\x80\x80\r\n" * 3)
        await asyncio.sleep(1.5)
        assert heard.events == ["hw.silent", "hw.no_frame"]
        await bench.show("0.0", 5)
        await asyncio.sleep(9)
        work.cancel()
    assert heard.events == ["hw.silent", "hw.no_frame", "hw.silent"]


@virtual
async def test_problems_of_one_kind_do_not_flood_the_log(monkeypatch):
    heard = HeardLog()
    monkeypatch.setattr("scaleledger.app.station.log", heard)
    async with one_bench() as (_, bench):
        for _ in range(1000):
            bench.scale.send(b"nonsense\r\n")
            await asyncio.sleep(0.01)
        assert bench.station.counts.problems == {"bad-line": 1000}
    assert len(heard.of("hw.problem")) == 3 + 10
