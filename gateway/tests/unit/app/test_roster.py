"""Stations come, change and go while others weigh: real stations, drivers and links on loopback wires, virtual time."""

import asyncio

import pytest

from fakes.hall import Hall
from fakes.heard_log import HeardLog
from fakes.memory_store import Held, MemoryStore
from fakes.virtual_clock import virtual
from scaleledger.app.roster import BUSY_S, LOOK_AGAIN_S, STATIONS_MAX
from scaleledger.domain.assignment import AssignedStation, Assignment, PortIdentity
from scaleledger.domain.errors import StoreError
from scaleledger.domain.inputs import CardSeen
from scaleledger.domain.station_table import State

ONE, TWO, THREE = ({"url": url} for url in ("loop:1", "loop:2", "loop:3"))


@pytest.fixture
def heard(monkeypatch):
    log = HeardLog()
    monkeypatch.setattr("scaleledger.app.roster.log", log)
    return log


async def soon():
    await asyncio.sleep(0.05)


@virtual
async def test_stations_come_change_and_go_while_another_weighs_without_a_missed_frame():
    hall = Hall()
    hall.add_file("steady", "loop:0")
    async with hall.open():
        await soon()
        steady, machine = hall.station("steady"), hall.station("steady").machine
        weighing = asyncio.create_task(hall.belt("loop:0").weigh("75.50"))
        await hall.assign("1", a=ONE, b=TWO)
        await soon()
        assert hall.running == ["a", "b", "steady"]
        b = hall.station("b")
        await hall.assign("2", a=ONE | {"min_weight": "9"}, b=TWO, c=THREE)
        await soon()
        assert hall.station("b") is b, "what did not change is not touched"
        await hall.assign("3", c=THREE)
        await soon()
        assert hall.running == ["c", "steady"]
        await weighing
        await soon()
        assert hall.station("steady") is steady
        assert steady.machine is machine
        assert steady.counts.readings == 20
        assert hall.store.disk.weights == ["75.50"]


@virtual
async def test_an_untouched_station_keeps_its_armed_card_and_its_link():
    hall = Hall()
    async with hall.open():
        await hall.assign("1", a=ONE | {"mode": "tag"})
        await soon()
        await hall.belt("loop:1").hold("0.0", 1)
        station = hall.station("a")
        station._take(asyncio.get_running_loop().time(), [CardSeen("A1B2")])
        await hall.assign("2", a=ONE | {"mode": "tag"}, b=TWO)
        await soon()
        assert (station.machine.card, station.live.link) == ("A1B2", "up")


@virtual
async def test_a_changed_station_weighs_by_its_new_rules():
    hall = Hall()
    async with hall.open():
        await hall.assign("1", a=ONE)
        await soon()
        await hall.belt("loop:1").weigh("5.0")
        await hall.assign("2", a=ONE | {"min_weight": "20"})
        await hall.belt("loop:1").weigh("6.0")
        await hall.belt("loop:1").weigh("30.0")
        assert hall.store.disk.weights == ["5.0", "30.0"]


@virtual
async def test_a_weighing_under_way_is_finished_before_its_station_changes():
    hall = Hall()
    async with hall.open():
        await hall.assign("1", a=ONE)
        await soon()
        belt, before = hall.belt("loop:1"), hall.station("a")
        await belt.hold("0.0", 1)
        await belt.hold("40.0", 0.5, stable=False)
        assert before.busy
        await hall.assign("2", a=ONE | {"min_weight": "9"})
        await belt.hold("40.0", 2, stable=False)
        assert hall.station("a") is before
        await belt.hold("40.0", 1)
        await soon()
        assert hall.station("a") is not before
        assert hall.store.disk.weights == ["40.0"]


@virtual
async def test_a_load_that_never_rests_holds_up_the_change_for_half_a_minute_only(heard):
    hall = Hall()
    async with hall.open():
        await hall.assign("1", a=ONE)
        await soon()
        belt, before = hall.belt("loop:1"), hall.station("a")
        await belt.hold("0.0", 1)
        await belt.hold("40.0", 0.5, stable=False)
        await hall.assign("2", b=TWO)
        await belt.hold("40.0", BUSY_S - 1, stable=False)
        assert before in hall.roster.stations
        assert hall.running == ["a", "b"], "the others do not wait"
        await belt.hold("40.0", 2, stable=False)
        assert hall.running == ["b"]


@virtual
async def test_a_commit_under_way_is_finished_before_the_station_goes():
    held = Held()
    hall = Hall(MemoryStore(fault=held))
    async with hall.open():
        await hall.assign("1", a=ONE)
        await soon()
        await hall.belt("loop:1").weigh("40.0")
        await held.begun.wait()
        assert hall.station("a").machine.state is State.SAVING
        await hall.assign("2")
        await asyncio.sleep(BUSY_S + 5)
        assert hall.running == ["a"]
        held.release()
        await soon()
        assert hall.running == []
        assert hall.store.disk.weights == ["40.0"]


@virtual
async def test_one_broken_station_is_refused_with_words_while_the_others_run(heard):
    hall = Hall()
    async with hall.open():
        await hall.assign("1", a=ONE, b={"broken": "driver: no such driver"}, c=None)
        await soon()
        assert hall.running == ["a"]
        assert hall.refused == {"b": "driver: no such driver"}
        await hall.assign("2", a=ONE, b={"broken": "driver: no such driver"})
        assert len(heard.of("net.station_refused")) == 1, "said once"


@virtual
async def test_a_station_whose_change_cannot_be_made_runs_on_as_it_was():
    hall = Hall()
    async with hall.open():
        await hall.assign("1", a=ONE)
        await soon()
        before = hall.station("a")
        await hall.assign("2", a={"broken": "url: no such port"})
        await soon()
        assert hall.station("a") is before
        assert hall.refused == {"a": "url: no such port"}
        assert [s.config for s in hall.kept[-1].stations] == [ONE], "and so it does at the next start"
        await hall.assign("3", a={"broken": "url: no such port"}, b=ONE)
        await soon()
        assert hall.running == ["b"], "its port was given to another"


@virtual
async def test_the_file_goes_first_and_a_port_has_one_station():
    hall = Hall()
    hall.add_file("dock", "loop:0")
    async with hall.open():
        await hall.assign("1", dock=ONE, a={"url": "loop:0"}, b=TWO, c=TWO)
        await soon()
        assert hall.running == ["b", "dock"]
        assert hall.station("dock").transport.url == "loop:0"
        assert "file" in hall.refused["dock"]
        assert "loop:0 is used by station dock" in hall.refused["a"]
        assert "loop:2 is used by station b" in hall.refused["c"]


@virtual
async def test_two_stations_may_change_places():
    hall = Hall()
    async with hall.open():
        await hall.assign("1", a=ONE, b=TWO)
        await soon()
        await hall.assign("2", a=TWO, b=ONE)
        await soon()
        assert {s.name: s.transport.url for s in hall.roster.stations} == {"a": "loop:2", "b": "loop:1"}
        await hall.belt("loop:2").weigh("7.0")
        assert [r.station for r in hall.store.disk.records] == ["a"]


@virtual
async def test_a_gateway_runs_so_many_stations_and_no_more():
    hall = Hall()
    async with hall.open():
        await hall.assign("1", **{f"s{n}": {"url": f"loop:{n}"} for n in range(STATIONS_MAX + 2)})
        await soon()
        assert len(hall.running) == STATIONS_MAX
        assert list(hall.refused) == [f"s{STATIONS_MAX}", f"s{STATIONS_MAX + 1}"]


@virtual
async def test_a_port_is_found_again_under_another_path_and_awaited_when_it_is_away():
    hall = Hall()
    hall.ports = [{"device": "loop:1", "serial_number": "A5"}]
    set_ = Assignment("1", (AssignedStation("a", PortIdentity(serial_number="A5"), {"usb": "A5", "url": "loop:9"}),))
    async with hall.open():
        await hall.roster.take(set_)
        await soon()
        assert hall.station("a").transport.url == "loop:1"
        scans = hall.scans
        await asyncio.sleep(10 * LOOK_AGAIN_S)
        assert hall.scans == scans, "no scan while all is well"
        hall.belt("loop:1").port.unplug()
        hall.ports = [{"device": "loop:2", "serial_number": "A5"}]
        await asyncio.sleep(LOOK_AGAIN_S + 1)
        assert hall.station("a").transport.url == "loop:2"


@virtual
async def test_a_port_that_is_away_at_the_start_is_taken_when_it_comes():
    hall = Hall()
    async with hall.open():
        await hall.assign("1", a={"usb": "A5", "url": "loop:9"})
        await asyncio.sleep(3 * LOOK_AGAIN_S)
        assert (hall.running, hall.refused) == ([], {"a": "no port A5"})
        hall.ports = [{"device": "loop:2", "serial_number": "A5"}]
        await asyncio.sleep(LOOK_AGAIN_S + 1)
        assert (hall.running, hall.refused) == (["a"], {})


@virtual
async def test_a_station_whose_port_was_away_when_it_was_assigned_is_kept_for_a_start_without_the_centre():
    hall = Hall()
    awaited = {"usb": "A5", "url": "loop:9"}
    async with hall.open():
        await hall.assign("1", a=awaited, b=ONE, c={"broken": "no such driver"})
    assert {s.name: s.config for s in hall.kept[-1].stations} == {"a": awaited, "b": ONE}
    again = Hall()
    again.ports = [{"device": "loop:2", "serial_number": "A5"}]
    await again.roster.take(hall.kept[-1], stored=True)
    assert again.running == ["a", "b"]
    async with again.open():
        await soon()


@virtual
async def test_the_stored_set_starts_with_the_file_s_and_is_not_taken_for_the_centre_s_newest():
    hall = Hall()
    hall.add_file("dock", "loop:0")
    await hall.roster.take(Assignment("7", (AssignedStation("a", config=ONE),)), stored=True)
    assert hall.running == ["a", "dock"]
    assert (hall.roster.version, hall.kept) == ("", [])
    async with hall.open():
        await soon()
        await hall.belt("loop:1").weigh("12.5")
        assert hall.store.disk.weights == ["12.5"]


@virtual
async def test_a_disk_that_refuses_the_set_does_not_hold_up_the_stations(heard):
    hall = Hall()

    async def refuse(_):
        raise StoreError("no room")

    hall.roster._duties = type(hall.roster._duties)(hall._scan, hall._fit, refuse)
    async with hall.open():
        await hall.assign("1", a=ONE)
        await soon()
        assert hall.running == ["a"]
    assert heard.of("sys.store_failed") == [{"reason": "no room"}]


@virtual
async def test_the_reports_say_where_a_station_comes_from_and_how_it_stands():
    hall = Hall()
    hall.add_file("dock", "loop:0")
    async with hall.open():
        await hall.assign("1", a=ONE)
        await soon()
        hall.belt("loop:1").port.unplug()
        await hall.belt("loop:0").weigh("8.5")
        reports = {report.name: report for report in hall.roster.reports()[0]}
        assert (reports["dock"].source, reports["dock"].link, reports["dock"].saved) == ("file", "up", 1)
        assert (reports["a"].source, reports["a"].port, reports["a"].link) == ("centre", "loop:1", "opening")
        assert "cable is out" in reports["a"].detail


@virtual
async def test_the_gateway_stops_in_good_order_in_the_midst_of_a_change():
    hall = Hall()
    async with hall.open():
        await hall.assign("1", a=ONE)
        await soon()
        await hall.belt("loop:1").hold("0.0", 1)
        await hall.belt("loop:1").hold("40.0", 0.5, stable=False)
        await hall.assign("2", a=ONE | {"min_weight": "9"}, b=TWO)
        await soon()
    assert asyncio.all_tasks() == {asyncio.current_task()}
