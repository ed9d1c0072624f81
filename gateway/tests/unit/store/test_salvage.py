import asyncio
import random
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from fakes import weighings
from fakes.weighings import draft
from scaleledger.domain.delivery import ItemOutcome, Outcome
from scaleledger.domain.errors import ChainBroken, StoreUnusable
from scaleledger.store import verify_file
from scaleledger.store.folder import READY, companions

COUNT = 400
PAGE = 1024


async def fill(folder):
    store = await weighings.open_store(folder)
    for first in range(1, COUNT, 40):
        await asyncio.gather(*(store.ledger.append(draft(n)) for n in range(first, first + 40)))
    await store.identity.keep_token("token", "active")
    await store.close()
    with closing(sqlite3.connect(folder / "scaleledger.db")) as last:
        last.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A closed folder with COUNT records, all in the database file itself."""
    folder = tmp_path_factory.mktemp("template") / "data"
    asyncio.run(fill(folder))
    return folder


@pytest.fixture
def folder(template, tmp_path):
    return shutil.copytree(template, tmp_path / "data")


def set_aside(folder):
    return sorted(p.name for p in folder.glob("scaleledger.db.corrupt-*") if not p.name.endswith(("-wal", "-shm")))


def leaf_with(data, number):
    """The page that holds a record's text."""
    return data.index(draft(number).uuid.encode() + b"00345678") // PAGE


def overwritten(path, change):
    data = bytearray(path.read_bytes())
    change(data)
    path.write_bytes(bytes(data))


async def test_destroyed_pages_cost_only_their_own_records(open_store, folder):
    path = folder / "scaleledger.db"

    def destroy(data):
        for number in (100, 250):
            page = leaf_with(data, number)
            data[page * PAGE : page * PAGE + 8] = b"\xee" * 8

    overwritten(path, destroy)
    store = await open_store(folder)
    report = store.report.salvaged

    assert report is not None
    assert set_aside(folder) == [report.set_aside.name]
    assert report.kept + report.unproved < COUNT
    assert report.kept > COUNT - 10
    assert 1 <= report.unproved <= 4
    assert (await store.identity.load()).token == "token"
    appended = await store.ledger.append(draft(COUNT + 1))
    assert appended.seq == COUNT + 1
    await store.close()
    found = verify_file(path, store.public_key)
    assert (found.records, found.seq) == (report.kept + 1, COUNT + 1)
    assert found.checkpoints >= 2


async def test_delivery_steps_over_what_was_lost(open_store, folder):
    def destroy(data):
        page = leaf_with(data, 200)
        data[page * PAGE : page * PAGE + 8] = b"\xee" * 8

    overwritten(folder / "scaleledger.db", destroy)
    store = await open_store(folder)
    seen = []
    while batch := await store.outbox.next_batch("central", 100):
        seen += [r.seq for r in batch.records]
        await store.outbox.settle("central", [ItemOutcome(r.seq, Outcome.ACKED) for r in batch.records])
    counts = await store.outbox.counts("central")
    assert len(seen) == store.report.salvaged.kept == counts.sent == counts.held
    assert counts.queued == 0
    await store.close()
    store = await open_store(folder)
    assert (await store.outbox.counts("central")).queued == 0
    await store.close()


async def test_a_cut_file_keeps_what_is_left_of_it(open_store, folder):
    path = folder / "scaleledger.db"
    size = path.stat().st_size
    overwritten(path, lambda data: data.__delitem__(slice(size * 2 // 3 // PAGE * PAGE, None)))
    store = await open_store(folder)
    report = store.report.salvaged
    assert report is not None
    assert set_aside(folder)
    assert COUNT // 3 < report.kept < COUNT
    await store.ledger.append(draft(COUNT + 1))
    await store.close()
    verify_file(path, store.public_key)


@pytest.mark.parametrize("content", [b"", b"no database at all" * 100], ids=["empty", "no database"])
async def test_a_file_with_nothing_in_it_is_set_aside_and_said(open_store, folder, content):
    (folder / "scaleledger.db").write_bytes(content)
    store = await open_store(folder)
    report = store.report.salvaged
    assert report is not None
    assert (report.kept, report.unproved) == (0, 0)
    assert report.set_aside.read_bytes() == content
    assert (await store.ledger.append(draft(1))).seq == 1
    await store.close()


async def test_a_second_damage_in_the_same_second_keeps_what_the_first_left(open_store, folder):
    database = folder / "scaleledger.db"
    for content in (b"first", b"second"):
        for file in (database, *companions(database)):
            file.unlink(missing_ok=True)
        database.write_bytes(content * 100)
        store = await open_store(folder)
        await store.close()
    kept = {file.read_bytes()[:5] for file in folder.glob("*.corrupt-*") if not file.name.endswith(("-wal", "-shm"))}
    assert kept == {b"first", b"secon"}


@pytest.mark.parametrize(
    "damage",
    ["payload = CAST(x'FF00' AS TEXT)", "payload = '{}'", "weight = '1x'", "measured_at = 'noon'", "payload = '7'"],
)
async def test_a_damaged_newest_record_does_not_keep_its_station_from_starting(open_store, folder, damage):
    with closing(sqlite3.connect(folder / "scaleledger.db")) as connection, connection:
        connection.execute("DROP TRIGGER weighing_records_keep_measured")
        connection.execute(f"UPDATE weighing_records SET {damage}")
        connection.execute(
            "CREATE TRIGGER weighing_records_keep_measured BEFORE UPDATE OF payload ON weighing_records "
            "BEGIN SELECT RAISE(ABORT, ''); END"
        )
    store = await open_store(folder)
    assert await store.ledger.last_capture("dock-1") is None
    assert (await store.ledger.append(draft(9_000))).seq > 1


async def test_a_database_that_was_taken_away_is_missed(open_store, folder):
    (folder / "scaleledger.db").unlink()
    for companion in companions(folder / "scaleledger.db"):
        companion.unlink(missing_ok=True)
    store = await open_store(folder)
    assert store.report.database_was_missing
    await store.close()


async def test_an_interrupted_swap_is_finished(open_store, folder):
    path = folder / "scaleledger.db"
    ready = path.with_name(path.name + READY)
    ready.write_bytes(path.read_bytes())
    path.write_bytes(b"damaged")
    store = await open_store(folder)
    assert store.head().seq == COUNT
    assert not ready.exists()
    assert set_aside(folder)
    await store.close()


async def test_a_database_that_cannot_be_read_now_is_left_where_it_is(open_store, folder):
    path = folder / "scaleledger.db"
    path.rename(folder / "away")
    path.mkdir()
    with pytest.raises(StoreUnusable):
        await open_store(folder)
    assert set_aside(folder) == []


@pytest.mark.parametrize("seed", range(12))
async def test_any_damage_is_noticed_or_harmless_and_never_ends_in_silence(open_store, folder, seed):
    """Bytes flipped anywhere: the store opens, and either all records are proved or the damage is reported."""
    path = folder / "scaleledger.db"
    rng = random.Random(seed)
    size = path.stat().st_size

    def flip(data):
        for _ in range(rng.randrange(1, 30)):
            data[rng.randrange(size)] ^= rng.randrange(1, 256)

    overwritten(path, flip)
    store = await open_store(folder)
    await store.ledger.append(draft(COUNT + 1))
    report, key = store.report, store.public_key
    await store.close()
    try:
        proved = verify_file(path, key).records
    except ChainBroken:
        proved = 0
    assert proved == COUNT + 1 or report.salvaged is not None or report.broken is not None
    if report.salvaged is not None:
        assert set_aside(folder)
        assert proved == report.salvaged.kept + 1


async def test_a_restored_copy_goes_on_above_what_the_centre_has_seen_and_every_gap_is_declared(open_store, tmp_path):
    folder, backup = tmp_path / "data", tmp_path / "backup"
    store = await open_store(folder)
    for n in range(1, 6):
        await store.ledger.append(draft(n))
    await store.close()
    shutil.copytree(folder, backup)
    store = await open_store(folder)
    for n in range(6, 21):
        await store.ledger.append(draft(n))
    seen = store.head()
    await store.close()

    store = await open_store(backup)
    await store.ledger.append(draft(30))
    forged = replace(seen, seq=1000)
    await store.go_on_above(forged)
    assert store.head().seq == 6
    await store.go_on_above(seen)
    await store.go_on_above(seen)
    assert store.head() == seen
    record = await store.ledger.append(draft(31))
    assert (record.seq, record.prev_hash) == (21, seen.hash)
    await settle_all(store)
    await store.close()
    store = await open_store(backup)
    counts = await store.outbox.counts("central")
    assert (counts.held, counts.sent, counts.queued) == (7, 7, 0)
    assert (await store.ledger.append(draft(32))).seq == 22
    head, key = store.head(), store.public_key
    await store.close()
    assert verify_file(backup / "scaleledger.db", key, head).checkpoints == 1


async def settle_all(store):
    while batch := await store.outbox.next_batch("central", 3):
        await store.outbox.settle("central", [ItemOutcome(r.seq, Outcome.ACKED) for r in batch.records])
