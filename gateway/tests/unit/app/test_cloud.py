"""The cloud's link: opened again, told of anew, and no event before its time."""

import asyncio
import random
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from fakes.memory_cloud import MemoryCloud
from fakes.memory_uplink import MemoryUplink
from fakes.outbox import batch_of, weighing
from fakes.virtual_clock import LoopClock, running, virtual
from scaleledger.app.cloud import CloudLine, Floor, Gated, health_of
from scaleledger.domain.cloud import DeviceConnected, PluChanged
from scaleledger.domain.device import DeviceCard, DeviceStatus
from scaleledger.domain.errors import LinkError

ONLINE, STALE, GONE = DeviceStatus.ONLINE, DeviceStatus.STALE, DeviceStatus.DISCONNECTED


@dataclass
class Scale:
    card: DeviceCard
    status: DeviceStatus = ONLINE


def line_to(cloud, *scales):
    floor = Floor(lambda: {s.card.device_id: False for s in scales if s.status is not GONE}, lambda: scales)
    return CloudLine(cloud, floor, LoopClock(), random.Random(1))


def scale(number, status=ONLINE):
    return Scale(DeviceCard(f"SCALE-{number:02d}", "hall", source_ip="192.0.2.7"), status)


@asynccontextmanager
async def at_work(line):
    async with running(line):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        yield


@virtual
async def test_a_link_that_ends_is_opened_again_ever_more_slowly_and_said_once_each_way():
    cloud, seen = MemoryCloud(), []
    line = line_to(cloud)
    line.links.append(seen.append)
    async with at_work(line):
        cloud.answer(up=True)
        cloud.answer(up=True)
        assert line.up
        for _ in range(20):
            runs = len(cloud.runs)
            cloud.end(LinkError("cut"))
            while len(cloud.runs) == runs:
                await asyncio.sleep(1)
    assert seen == [True, False]
    gaps = [later - earlier for earlier, later in zip(cloud.runs, cloud.runs[1:], strict=False)]
    assert max(gaps) <= 16
    assert sum(gaps[10:]) > sum(gaps[:10])
    assert line.words == "cut"


@virtual
async def test_after_a_return_it_is_told_which_devices_are_there():
    cloud = MemoryCloud()
    line = line_to(cloud, scale(1), scale(2, GONE), scale(3, STALE))
    async with at_work(line):
        line.tell(DeviceConnected("SCALE-01", "192.0.2.7", "retail"))
        assert cloud.told == [], "nobody was there to hear it"
        cloud.answer(up=True)
    assert [told.device_id for told in cloud.told] == ["SCALE-01", "SCALE-03"]
    assert cloud.watched[-1] == {"SCALE-01": False, "SCALE-03": False}


@virtual
async def test_what_the_cloud_says_reaches_all_who_mind():
    cloud, one, two = MemoryCloud(), [], []
    line = line_to(cloud)
    line.hears += [one.append, two.append]
    async with at_work(line):
        cloud.receive(PluChanged("7"))
    assert one == two == [PluChanged("7")]


@virtual
async def test_a_heartbeat_goes_out_at_once_and_only_while_the_cloud_is_there():
    cloud = MemoryCloud()
    line = line_to(cloud, scale(1), scale(2, GONE))
    beating = asyncio.create_task(line.beat())
    async with at_work(line):
        await asyncio.sleep(100)
        assert cloud.heartbeats == []
        cloud.answer(up=True)
        await asyncio.sleep(1)
        ((health, uptime_s, devices, _),) = cloud.heartbeats
        assert (health, uptime_s, [d["status"] for d in devices]) == ("degraded", 100, ["online", "disconnected"])
    beating.cancel()
    await asyncio.gather(beating, return_exceptions=True)


@pytest.mark.parametrize(
    ("statuses", "health"),
    [
        ((), "ok"),
        ((ONLINE,), "ok"),
        ((ONLINE, STALE), "degraded"),
        ((ONLINE, GONE), "degraded"),
        ((GONE, GONE), "error"),
    ],
)
def test_health_is_that_of_the_devices(statuses, health):
    assert health_of(statuses) == health


@virtual
async def test_no_event_goes_out_before_its_batch_was_announced():
    uplink, prepared = MemoryUplink(), asyncio.Event()
    gated = Gated(uplink, prepared)
    assert uplink.ready
    assert not gated.ready
    with pytest.raises(LinkError):
        await gated.deliver(batch_of(weighing(1)))
    waiting = asyncio.create_task(gated.wait_ready())
    await asyncio.sleep(1)
    assert not waiting.done()
    prepared.set()
    await waiting
    assert len(await gated.deliver(batch_of(weighing(1)))) == 1
    assert gated.in_flight_limit == 1
