"""Offline batches over a real store: exact by construction, none empty, honest to the end."""

import asyncio
import random
from dataclasses import replace

import pytest

from fakes.memory_cloud import MemoryCloud
from fakes.scale_events import SetClock, event
from fakes.virtual_clock import running
from fakes.weighings import MAC, draft, open_store
from scaleledger.app.offline import OfflineBatches
from scaleledger.domain.delivery import ItemOutcome, Outcome
from scaleledger.domain.errors import LinkError
from scaleledger.domain.offline import BatchStatus, EventContext
from scaleledger.domain.weighing import Kind

CLOSED, ANNOUNCED, RECONCILED = BatchStatus.CLOSED, BatchStatus.ANNOUNCED, BatchStatus.RECONCILED


@pytest.fixture
async def store(tmp_path, monkeypatch):
    monkeypatch.setattr("scaleledger.app.offline.TICK_S", 0.02)
    opened = await open_store(tmp_path)
    yield opened
    await opened.close()


async def books_of(store, cloud):
    batches = OfflineBatches(
        "carnitrack", MAC, cloud, store.batches, store.outbox, clock=SetClock(), rng=random.Random(1)
    )
    await batches.load()
    return batches


async def weigh(store, *numbers, **fields):
    return [await store.ledger.append(event(number, **fields)) for number in numbers]


async def settle(store, records, outcome=Outcome.ACKED):
    await store.outbox.settle("carnitrack", [ItemOutcome(r.seq, outcome, "words") for r in records])


async def until(true):
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.01)


def standings(batches):
    return {batch.device_id: (batch.event_count, batch.status) for batch in batches.batches}


async def test_each_device_gets_a_batch_of_its_own_events_and_no_other_record_is_in_one(store):
    cloud = MemoryCloud()
    batches = await books_of(store, cloud)
    async with asyncio.timeout(20), running(batches):
        mine = await weigh(store, 1, 2, 3)
        (other,) = await weigh(store, 1, device="SCALE-02", weight="1.5", unit="kg")
        dock = await store.ledger.append(draft(1))
        batches.link(True)
        await batches.prepared.wait()
        contexts = [batches.context(record) for record in mine]
        assert len(set(contexts)) == 1
        assert contexts[0].offline
        assert contexts[0] != batches.context(other)
        assert {told.device_id for told in cloud.told} == {"SCALE-01", "SCALE-02"}
        await settle(store, [*mine, other])
        await asyncio.sleep(0.1)
        assert cloud.settled == [], "a record below the last event is not settled yet"
        await settle(store, [dock])
        await until(lambda: {status for _, status in standings(batches).values()} == {RECONCILED})
        after = await weigh(store, 4)
        assert batches.context(after[0]) == EventContext()
    ends = {told.device_id: (told.event_count, told.total_grams, len(told.event_ids)) for told in cloud.settled}
    assert ends == {"SCALE-01": (3, 3750, 3), "SCALE-02": (1, 1500, 1)}
    assert standings(batches) == {"SCALE-01": (3, RECONCILED), "SCALE-02": (1, RECONCILED)}


async def test_a_link_that_flaps_leaves_no_batch_and_no_write_behind(store):
    """The first programs made 3,981 empty batches in 17 seconds."""
    cloud = MemoryCloud()
    batches = await books_of(store, cloud)
    async with asyncio.timeout(20), running(batches):
        for _ in range(2_000):
            batches.link(True)
            batches.link(False)
        batches.link(True)
        await batches.prepared.wait()
    assert (batches.batches, cloud.told, cloud.settled) == ((), [], [])
    assert await store.batches.load() == ((), [])


async def test_a_batch_keeps_its_name_and_its_count_over_a_crash(store):
    batches = await books_of(store, MemoryCloud())
    async with asyncio.timeout(20), running(batches):
        first = await weigh(store, 1)
        await until(lambda: batches.batches)
        name = batches.context(first[0]).batch_id
    cloud = MemoryCloud()
    again = await books_of(store, cloud)
    async with asyncio.timeout(20), running(again):
        more = await weigh(store, 2, 3)
        again.link(True)
        await again.prepared.wait()
        assert {again.context(record).batch_id for record in (*first, *more)} == {name}
        await settle(store, [*first, *more])
        await until(lambda: cloud.settled)
    assert (cloud.settled[0].batch_id, cloud.settled[0].event_count) == (name, 3)


async def test_a_batch_is_reconciled_only_when_the_cloud_confirms_it(store):
    answers = iter([LinkError("away"), False, True])
    cloud = MemoryCloud(lambda told: next(answers))
    batches = await books_of(store, cloud)
    async with asyncio.timeout(20), running(batches):
        records = await weigh(store, 1)
        batches.link(True)
        await batches.prepared.wait()
        await settle(store, records)
        await until(lambda: len(cloud.settled) == 2)
        assert standings(batches) == {"SCALE-01": (1, ANNOUNCED)}
        await until(lambda: standings(batches) == {"SCALE-01": (1, RECONCILED)})
    _, kept = await store.batches.load()
    assert [batch.status for batch in kept] == [RECONCILED]


async def test_events_that_the_cloud_lost_after_it_took_them_are_delivered_again_with_their_later_words(store):
    answers = iter([lambda ids: {ids[1]}, lambda ids: True])
    cloud = MemoryCloud(lambda told: next(answers)(told.event_ids))
    batches = await books_of(store, cloud)
    async with asyncio.timeout(20), running(batches):
        _, lost, _ = await weigh(store, 1, 2, 3)
        said = {"kind": Kind.CORRECTION, "refers_to": lost.uuid, "uuid": "0192f0c1-7a00-8000-8000-000000000009"}
        word = await store.ledger.append(replace(event(2), **said))
        batches.link(True)
        await batches.prepared.wait()
        await settle(store, (await store.outbox.next_batch("carnitrack", 10)).records)
        await until(lambda: cloud.settled)
        await until(lambda: store.outbox.position("carnitrack") < lost.seq)
        again = await store.outbox.next_batch("carnitrack", 10)
        assert [record.seq for record in again.records] == [lost.seq, word.seq]
        assert (await store.outbox.counts("carnitrack")).queued == 2
        assert len(cloud.settled) == 1, "it is not asked again before they went out"
        await settle(store, again.records)
        await until(lambda: standings(batches) == {"SCALE-01": (3, RECONCILED)})
        assert (await store.outbox.counts("carnitrack")).queued == 0


async def test_an_event_that_the_cloud_refused_does_not_keep_its_batch_open(store):
    cloud = MemoryCloud()
    batches = await books_of(store, cloud)
    async with asyncio.timeout(20), running(batches):
        good, bad = await weigh(store, 1, 2)
        batches.link(True)
        await batches.prepared.wait()
        await settle(store, [good])
        await settle(store, [bad], Outcome.QUARANTINE)
        await until(lambda: cloud.settled)
    assert (cloud.settled[0].event_count, cloud.settled[0].event_ids) == (1, (good.uuid,))


async def test_a_second_outage_is_a_second_batch_and_the_first_goes_on(store):
    cloud = MemoryCloud()
    batches = await books_of(store, cloud)
    async with asyncio.timeout(20), running(batches):
        first = await weigh(store, 1)
        batches.link(True)
        await batches.prepared.wait()
        online = await weigh(store, 2)
        batches.link(False)
        assert not batches.prepared.is_set()
        second = await weigh(store, 3)
        batches.link(True)
        await batches.prepared.wait()
        names = [batches.context(record).batch_id for record in (*first, *online, *second)]
        assert names[1] == ""
        assert len(set(names)) == 3
        assert [told.batch_id for told in cloud.told] == [names[0], names[0], names[2]], "told again on the new link"
        await settle(store, [*first, *online, *second])
        await until(lambda: len(cloud.settled) == 2)


async def test_a_correction_stands_as_its_event_does(store):
    batches = await books_of(store, MemoryCloud())
    async with asyncio.timeout(20), running(batches):
        (offline,) = await weigh(store, 1)
        batches.link(True)
        await batches.prepared.wait()
        later = replace(offline, seq=99, payload='{"details":{"first_seq":"1"},"kind":"correction"}')
        assert batches.context(later) == batches.context(offline)
