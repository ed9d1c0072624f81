"""The live lane: nothing until asked, at most ten frames a second, the newest values, and it ends with its line."""

import asyncio
import itertools
from decimal import Decimal

import pytest

from fakes.hall import Hall
from fakes.virtual_clock import LoopClock, running, virtual
from scaleledger.app.live import LiveLane
from scaleledger.app.station import WeighingStation
from scaleledger.domain.channel import LiveWeight, LiveWeights


class Scale:
    """A station as the lane sees it."""

    def __init__(self, name, weight="0.0"):
        self.name, self.looks = name, 0
        self.show(weight)

    def show(self, weight, state="idle"):
        self._live = LiveWeight(self.name, Decimal(weight), "kg", stable=True, state=state, link="up")

    @property
    def live(self):
        self.looks += 1
        return self._live


class Viewer:
    """Remembers each frame and its time."""

    def __init__(self):
        self.frames = []

    def __call__(self, message):
        assert isinstance(message, LiveWeights)
        self.frames.append((asyncio.get_running_loop().time(), message))

    def shown(self, name):
        return [str(live.weight) for _, frame in self.frames for live in frame.stations if live.station == name]

    @property
    def gaps(self):
        return [round(b - a, 6) for (a, _), (b, _) in itertools.pairwise(self.frames)]


def lane_of(*stations):
    viewer = Viewer()
    return LiveLane(list(stations), viewer, LoopClock()), viewer


@virtual
async def test_nothing_is_looked_at_or_sent_before_somebody_watches():
    scale = Scale("a")
    lane, viewer = lane_of(scale)
    async with running(lane):
        await asyncio.sleep(100)
    assert (viewer.frames, scale.looks) == ([], 0)


@virtual
async def test_a_source_of_fifty_a_second_gives_ten_frames_with_the_newest_value():
    scale = Scale("a")
    lane, viewer = lane_of(scale)
    async with running(lane):
        lane.start(None)
        for n in range(500):
            scale.show(f"{n}.0")
            await asyncio.sleep(0.02)
    assert 95 <= len(viewer.frames) <= 101
    assert min(viewer.gaps) >= 0.099
    shown = [int(Decimal(weight)) for weight in viewer.shown("a")]
    assert shown == sorted(shown)
    assert shown[-1] >= 494


@virtual
async def test_an_unchanged_value_is_repeated_each_second_and_a_change_is_shown_within_a_tick():
    still, moving = Scale("still"), Scale("moving")
    lane, viewer = lane_of(still, moving)
    async with running(lane):
        lane.start(("still", "moving"))
        for n in range(100):
            moving.show(f"{n}.0")
            await asyncio.sleep(0.1)
    assert 9 <= len(viewer.shown("still")) <= 11
    assert len(viewer.shown("moving")) >= 95


@virtual
async def test_a_changed_state_is_shown_whatever_the_station_does():
    scale = Scale("a", "5.0")
    lane, viewer = lane_of(scale)
    async with running(lane):
        lane.start(("a",))
        for state in ("measuring", "saving", "saved", "disconnected"):
            await asyncio.sleep(0.2)
            scale.show("5.0", state)
        await asyncio.sleep(0.2)
    assert [frame.stations[0].state for _, frame in viewer.frames] == [
        "idle", "measuring", "saving", "saved", "disconnected",
    ]  # fmt: skip


@pytest.mark.parametrize("stop", [None, ("a",)])
@virtual
async def test_a_stop_ends_it(stop):
    scale = Scale("a")
    lane, viewer = lane_of(scale)
    async with running(lane):
        lane.start(("a",))
        await asyncio.sleep(1)
        lane.stop(stop)
        count, looks = len(viewer.frames), scale.looks
        for n in range(20):
            scale.show(f"{n}.5")
            await asyncio.sleep(0.1)
        assert (len(viewer.frames), scale.looks) == (count, looks)
        lane.start(("a",))
        await asyncio.sleep(0.2)
        assert len(viewer.frames) == count + 1


@virtual
async def test_of_all_stations_single_ones_can_be_left_out_and_taken_in_again():
    lane, viewer = lane_of(Scale("a"), Scale("b"))
    async with running(lane):
        lane.start(None)
        lane.stop(("a",))
        await asyncio.sleep(1)
        assert (len(viewer.shown("a")), len(viewer.shown("b")) > 0) == (0, True)
        lane.start(("a",))
        await asyncio.sleep(0.3)
        assert viewer.shown("a") == ["0.0"]


@virtual
async def test_a_second_viewer_gets_the_present_value_at_once_and_no_more_than_ten_a_second():
    lane, viewer = lane_of(Scale("a"))
    async with running(lane):
        for _ in range(100):
            lane.start(("a",))
            await asyncio.sleep(0.01)
    assert len(viewer.frames) >= 9
    assert min(viewer.gaps) >= 0.099


@virtual
async def test_names_nobody_bears_take_no_room_without_limit():
    lane, viewer = lane_of(Scale("a"))
    async with running(lane):
        for n in range(100):
            lane.start(tuple(f"ghost-{n}-{m}" for m in range(256)))
        await asyncio.sleep(1)
        assert viewer.frames == []
        assert len(lane._named) <= 1024


@virtual
async def test_a_station_shows_what_its_indicator_shows_even_while_it_saves_nothing():
    hall = Hall()
    viewer = Viewer()
    lane = LiveLane(hall.roster.stations, viewer, LoopClock())
    async with hall.open(), running(lane):
        lane.start(None)
        await hall.assign("1", a={"url": "loop:1"})
        await asyncio.sleep(0.1)
        assert isinstance(hall.station("a"), WeighingStation)
        await hall.belt("loop:1").hold("1.5", 0.3, stable=False)
        live = hall.station("a").live
        assert (str(live.weight), live.unit, live.stable, live.link) == ("1.5", "kg", False, "up")
        await asyncio.sleep(5)
        assert (hall.station("a").live.weight, hall.station("a").live.unit) == (None, "")
        hall.belt("loop:1").port.unplug()
        await asyncio.sleep(0.1)
        assert hall.station("a").live.link != "up"
    assert "1.5" in viewer.shown("a")
