"""What the store keeps of devices and of lines that are no weighings, and what it tells of one device's events."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from fakes.weighings import START, draft, open_store
from scaleledger.domain.device import DeviceCard
from scaleledger.domain.weighing import Kind
from scaleledger.store import history, rejected

CARD = DeviceCard("SCALE-01", "hall", first_seen_at=START)


@pytest.fixture
async def store(tmp_path):
    found = await open_store(tmp_path / "data")
    yield found
    await found.close()


async def test_devices_are_inserted_and_replaced(store):
    other = replace(CARD, device_id="SCALE-02", last_event_at=START, event_count=2**40)
    await store.devices.keep([CARD, other])
    await store.devices.keep([replace(CARD, name="Saw <1>", heartbeat_count=7)])
    assert await store.devices.load() == [replace(CARD, name="Saw <1>", heartbeat_count=7), other]


async def test_a_cancelled_keep_leaves_the_connection_usable_for_the_next_one(store):
    for pause_s in (0.0, 0.0, 0.0005, 0.001, 0.002):
        task = asyncio.create_task(store.devices.keep([CARD]))
        await asyncio.sleep(pause_s)
        task.cancel()
        await asyncio.wait({task})
        await store.devices.keep([replace(CARD, heartbeat_count=1)])


async def test_the_same_line_from_the_same_device_only_counts(store):
    line = {"listener": "hall", "peer": "10.0.0.5:1", "reason": "bad-plu", "line": b"\xff,\x00"}
    for minutes, device in enumerate(("SCALE-01", "SCALE-01", "SCALE-02", "", "")):
        await store.rejected.keep(**line, device_id=device, at=START + timedelta(minutes=minutes))
    found = await store.rejected.newest(10)
    assert [(kept.device_id, kept.times) for kept in found] == [("", 2), ("SCALE-02", 1), ("SCALE-01", 2)]
    assert (found[2].first_at, found[2].last_at) == (START, START + timedelta(minutes=1))
    assert found[0].line == b"\xff,\x00"


async def test_rejected_lines_are_bounded_and_the_newest_stay(store, monkeypatch):
    monkeypatch.setattr(rejected, "ROWS_MAX", 10)
    monkeypatch.setattr(rejected, "TRIMMED_BY", 5)
    for n in range(30):
        line = b"%d" % n * 5_000
        await store.rejected.keep(listener="hall", device_id="", peer="p", reason="bad-line", line=line, at=START)
    found = await store.rejected.newest(100)
    assert [kept.line[:2] for kept in found[:3]] == [b"29", b"28", b"27"]
    assert 10 <= len(found) < 15
    assert len(found[0].line) == rejected.LINE_BYTES_MAX


@pytest.fixture
async def told(store, monkeypatch):
    monkeypatch.setattr(history, "SLICE", 7)
    for n in range(40):
        await store.ledger.append(draft(n, station=f"dock-{n % 2}"))
    await store.ledger.append(draft(40, station="dock-0", kind=Kind.CORRECTION, refers_to=draft(0).uuid))
    return store.history


async def test_the_newest_weighing_of_a_device_is_no_correction(told):
    assert (await told.newest("dock-0")).uuid == draft(38).uuid
    assert await told.newest("elsewhere") is None


async def test_events_between_two_times_come_in_order_and_bounded(told):
    since, until = draft(10).measured_at, draft(20).measured_at
    found = await told.between("dock-0", since, until, 100)
    assert [record.uuid for record in found] == [draft(n).uuid for n in (10, 12, 14, 16, 18)]
    assert [record.uuid for record in await told.between("dock-0", since, until, 2)] == [draft(10).uuid, draft(12).uuid]


async def test_events_between_two_numbers_come_in_order(told):
    assert [record.seq for record in await told.total(["dock-0", "dock-1"], 3, 12)] == list(range(4, 13))
    assert [record.seq for record in await told.total(["dock-1"], 3, 12)] == [4, 6, 8, 10, 12]


async def test_late_records_and_corrections_are_found_from_the_newest(told):
    found = await told.kept_since("dock-1", draft(35).measured_at, 2)
    assert [record.uuid for record in found] == [draft(39).uuid, draft(37).uuid]
    assert [record.uuid for record in await told.corrections(START, 10)] == [draft(40).uuid]
