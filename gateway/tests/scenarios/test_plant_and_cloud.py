"""A whole gateway between scales and a CarniTrack cloud, over both carriers: real-time, cut off, and back."""

import asyncio
import statistics
import time

import pytest

from fakes.carnitrack_cloud import CloudBooks, carnitrack_cloud
from fakes.clouded_gateway import CloudedGateway, clouded_gateway, taken, until

WAYS = pytest.mark.parametrize("way", ["ws", "rest"])


def weights(events):
    return [event["weightGrams"] for event in events]


@WAYS
async def test_an_event_is_at_the_cloud_at_once(tmp_path, way, capsys):
    late_ms = []
    async with carnitrack_cloud() as cloud, clouded_gateway(tmp_path, cloud, way) as gateway:
        scale = await gateway.scale("SCALE-01")
        await scale.prints()
        await until(lambda: taken(cloud)["SCALE-01"])
        for _ in range(30):
            grams = await scale.prints()
            durable = time.perf_counter()
            while grams not in weights(taken(cloud)["SCALE-01"]):
                await asyncio.sleep(0.001)
            late_ms.append((time.perf_counter() - durable) * 1000)
        await scale.hang_up()
    with capsys.disabled():
        print(f"\n{way}: from durable to the cloud {statistics.median(late_ms):.1f} ms, at most {max(late_ms):.1f} ms")
    assert statistics.median(late_ms) < 1000, "it waited for the sweep"


@WAYS
async def test_what_is_weighed_without_the_cloud_comes_later_in_order_in_batches_of_right_counts(tmp_path, way):
    async with carnitrack_cloud() as cloud, clouded_gateway(tmp_path, cloud, way) as gateway:
        await until_there(cloud)
        one, two = await gateway.scale("SCALE-01"), await gateway.scale("SCALE-02")
        await one.prints()
        await until(lambda: len(taken(cloud)["SCALE-01"]) == 1)
        await cloud.go_away()
        await until_lost(gateway)
        for _ in range(7):
            await one.prints()
        for _ in range(3):
            await two.prints()
        assert len(taken(cloud)["SCALE-01"]) == 1
        await cloud.come_back()
        await until(lambda: len(cloud.books.batches) == 2, 60)
        await one.prints()
        await until(lambda: len(taken(cloud)["SCALE-01"]) == 9)
        found = taken(cloud)
        assert weights(found["SCALE-01"]) == list(range(1_001, 1_010))
        assert weights(found["SCALE-02"]) == [1_001, 1_002, 1_003]
        assert [event["offlineMode"] for event in found["SCALE-01"]] == [False] + [True] * 7 + [False]
        assert set(cloud.books.accepted.values()) == {1}, "none was double"
        for device, first in (("SCALE-01", 1), ("SCALE-02", 0)):
            offline = [event for event in found[device] if event["offlineMode"]]
            (batch,) = [batch for batch in cloud.books.batches if batch["deviceId"] == device]
            assert {event["offlineBatchId"] for event in offline} == {batch["batchId"]}
            assert batch["eventCount"] == len(offline)
            assert batch["totalWeightGrams"] == sum(weights(offline))
            assert found[device][first]["offlineMode"]
        await until_reconciled(gateway, 2)
        if way == "ws":
            kinds = [message["type"] for message in cloud.messages]
            begins, first_event = kinds.index("offline_batch_start"), kinds.index("event_batch")
            assert begins < first_event, "a batch is announced before its first event"
        await one.hang_up()
        await two.hang_up()


async def until_lost(gateway):
    """Return when the gateway has noticed that its cloud is away."""
    async with asyncio.timeout(30):
        while not (await gateway.store.batches.load())[0]:
            await asyncio.sleep(0.05)


async def until_there(cloud):
    """Return when a gateway that has just begun is in touch with its cloud."""
    await until(lambda: any("heartbeat" in resource for _, resource in cloud.books.calls))


async def until_reconciled(gateway, count):
    async with asyncio.timeout(20):
        while True:
            _, batches = await gateway.store.batches.load()
            if [batch.status.value for batch in batches] == ["reconciled"] * count:
                return
            await asyncio.sleep(0.05)


@WAYS
async def test_a_session_of_the_cloud_is_on_its_events_and_an_older_event_is_given_to_it(tmp_path, way):
    async with carnitrack_cloud() as cloud, clouded_gateway(tmp_path, cloud, way) as gateway:
        scale = await gateway.scale("SCALE-01")
        await scale.prints()
        await until(lambda: taken(cloud)["SCALE-01"])
        (event,) = taken(cloud)["SCALE-01"]
        assert event["cloudSessionId"] is None
        session = {
            "cloudSessionId": "s-1",
            "deviceId": "SCALE-01",
            "animalTag": "TR-1",
            "status": "active",
            "startedAt": event["measuredAt"],
            "changes": [{"at": event["measuredAt"], "status": "active"}],
        }
        cloud.books.sessions.append(session)
        if way == "ws":
            await cloud.push("session_started", session)
        await until(lambda: cloud.books.revisions[event["localEventId"]])
        grams = await scale.prints()
        await until(lambda: grams in weights(taken(cloud)["SCALE-01"]))
        assert taken(cloud)["SCALE-01"][-1]["cloudSessionId"] == "s-1"
        await scale.hang_up()


async def test_a_resource_that_the_cloud_lacks_is_no_loss_of_the_cloud(tmp_path):
    """With the first programs this loop lost the cloud a hundred times a second, and began a batch each time."""
    books = CloudBooks(missing={"print-jobs", "printers", "plu", "heartbeat", "devices"})
    async with carnitrack_cloud(books) as cloud, clouded_gateway(tmp_path, cloud, "rest") as gateway:
        scale = await gateway.scale("SCALE-01")
        for _ in range(20):
            await scale.prints()
            await asyncio.sleep(0.05)
        await until(lambda: len(taken(cloud)["SCALE-01"]) == 20)
        _, batches = await gateway.store.batches.load()
        assert len(batches) <= 1, "only what was weighed before the cloud first answered"
        assert len(books.registrations) == 1
        await scale.hang_up()


@WAYS
async def test_a_start_goes_on_with_what_was_not_delivered_and_keeps_its_batch(tmp_path, way):
    async with carnitrack_cloud() as cloud:
        async with clouded_gateway(tmp_path, cloud, way) as gateway:
            await until_there(cloud)
            scale = await gateway.scale("SCALE-01")
            await scale.prints()
            await until(lambda: taken(cloud)["SCALE-01"])
            await cloud.go_away()
            await until_lost(gateway)
            for _ in range(3):
                await scale.prints()
            await scale.hang_up()
        async with clouded_gateway(tmp_path, cloud, way) as gateway:
            scale = await gateway.scale("SCALE-01")
            scale.printed = 4
            await scale.prints()
            await cloud.come_back()
            await until(lambda: len(cloud.books.batches) == 1, 60)
            await scale.hang_up()
        assert weights(taken(cloud)["SCALE-01"]) == [1_001, 1_002, 1_003, 1_004, 1_005]
        assert len({event["offlineBatchId"] for event in taken(cloud)["SCALE-01"][1:]}) == 1
        assert cloud.books.batches[0]["eventCount"] == 4


@WAYS
async def test_a_cloud_that_takes_every_connection_and_says_nothing_delays_no_scale(tmp_path, way):
    """Where a registration waits for an answer of the cloud, the first OK comes after the cloud's time-out."""
    held = []

    async def listen(_, writer):
        held.append(writer)

    silent = await asyncio.start_server(listen, "127.0.0.1", 0)
    address = f"127.0.0.1:{silent.sockets[0].getsockname()[1]}"
    gateway = CloudedGateway(tmp_path, f"{'ws' if way == 'ws' else 'http'}://{address}", f"http://{address}")
    await gateway.start()
    try:
        await until(lambda: held)
        scale = await gateway.scale("SCALE-01")
        async with asyncio.timeout(4):
            for _ in range(3):
                await scale.prints()
        await scale.hang_up()
    finally:
        await gateway.stop()
        silent.close()
        for writer in held:
            writer.close()
        await silent.wait_closed()
