import asyncio
import os
import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from fakes.failing_disk import FULL, IOERR_FSYNC, IOERR_WRITE, FailingDisk
from fakes.weighings import draft, open_store
from scaleledger.domain.delivery import ItemOutcome, Outcome
from scaleledger.domain.errors import StoreDamaged, StoreError, StoreFull
from scaleledger.observe import failpoints
from scaleledger.store import Store, verify_file, writer
from scaleledger.store.connection import connect

FOREVER = Path(__file__).resolve().parents[2] / "fakes" / "weighing_forever.py"
KILLS = 10


@pytest.fixture
def disk():
    if not Path("/proc/self/maps").exists():
        pytest.skip("the failing disk is made for Linux")
    with FailingDisk() as failing:
        yield failing


async def append(store: Store, *numbers):
    return await asyncio.gather(*(store.ledger.append(draft(n)) for n in numbers), return_exceptions=True)


@pytest.mark.parametrize(
    ("call", "code", "error"),
    [("write", FULL, StoreFull), ("write", IOERR_WRITE, StoreError), ("sync", IOERR_FSYNC, StoreError)],
)
async def test_a_disk_that_refuses_keeps_nothing_and_loses_nothing(disk, tmp_path, call, code, error):
    store = await open_store(tmp_path / "data")
    before = await append(store, *range(1, 6))
    disk.fail(call, code)
    refused = await append(store, *range(6, 16))
    assert {type(answer) for answer in refused} == {error}
    assert store.head().seq == 5
    assert all(word in str(refused[0]) for word in ("not kept", str(tmp_path / "data")))
    disk.heal()
    after = await append(store, *range(6, 16))
    assert [record.seq for record in after] == list(range(6, 16))
    assert await append(store, *range(1, 6)) == before
    head, key = store.head(), store.public_key
    await store.close()
    assert verify_file(tmp_path / "data" / "scaleledger.db", key, head).records == 15


@pytest.mark.parametrize("call", ["write", "sync"])
@pytest.mark.parametrize("after", range(8))
async def test_wherever_the_disk_fails_once_the_answers_are_true(disk, tmp_path, call, after):
    store = await open_store(tmp_path / "data")
    await append(store, 1)
    disk.fail(call, IOERR_WRITE if call == "write" else IOERR_FSYNC, after=after)
    answers = {}
    for number in range(2, 12):
        (answers[number],) = await append(store, number)
    disk.heal()
    saved = {n: a for n, a in answers.items() if not isinstance(a, StoreError)}
    repeated = dict(zip(answers, await append(store, *answers), strict=True))
    assert {n: repeated[n] for n in saved} == saved
    assert len({r.seq for r in repeated.values()}) == 10
    await store.close()
    assert verify_file(tmp_path / "data" / "scaleledger.db", store.public_key, store.head()).records == 11


async def test_acks_survive_a_disk_that_refuses_for_a_while(disk, tmp_path):
    store = await open_store(tmp_path / "data")
    await append(store, *range(1, 101))
    await store.outbox.settle("central", [ItemOutcome(n, Outcome.ACKED) for n in range(1, 101)])
    disk.fail("write", FULL)
    await append(store, 101)
    disk.heal()
    await append(store, 101)
    await store.close()
    store = await open_store(tmp_path / "data")
    assert [r.seq for r in (await store.outbox.next_batch("central", 10)).records] == [101]
    await store.close()


@pytest.fixture
def armed():
    yield failpoints.arm
    failpoints.arm("")


async def test_an_error_before_the_commit_keeps_nothing(armed, tmp_path):
    store = await open_store(tmp_path / "data")
    armed("store.before-commit=error@1")
    (answer,) = await append(store, 1)
    assert isinstance(answer, StoreError)
    assert (await append(store, 2))[0].seq == 1
    await store.close()


async def test_an_error_after_the_commit_still_counts_as_saved(armed, tmp_path):
    store = await open_store(tmp_path / "data")
    armed("store.after-commit=error@1")
    one, two = await append(store, 1, 2)
    assert (one.seq, two.seq) == (1, 2)
    assert store.head().seq == 2
    assert (await store.ledger.last_capture("dock-1")).uuid == two.uuid
    assert (await store.outbox.counts("central")).held == 2
    await store.close()


class LooksAway:
    """A database that cannot be opened for the next so many tries."""

    def __init__(self, tries):
        self.tries = tries

    def __call__(self, path):
        if self.tries:
            self.tries -= 1
            raise sqlite3.OperationalError("disk I/O error")
        return connect(path)


async def test_what_was_committed_is_not_called_refused_because_nobody_could_look(armed, tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "LOOK_AGAIN_S", 0.01)
    store = await open_store(tmp_path / "data")
    monkeypatch.setattr(writer, "connect", LooksAway(5))
    armed("store.after-commit=error@1")
    assert (await store.ledger.append(draft(1))).seq == 1
    await store.close()
    assert verify_file(tmp_path / "data" / "scaleledger.db").records == 1


async def test_what_cannot_be_known_does_not_hold_up_the_end(armed, tmp_path, monkeypatch):
    store = await open_store(tmp_path / "data")
    monkeypatch.setattr(writer, "connect", LooksAway(1_000_000))
    armed("store.after-commit=error@1")
    waiting = asyncio.ensure_future(store.ledger.append(draft(1)))
    await asyncio.sleep(0)
    await asyncio.wait_for(store.close(), 3)
    with pytest.raises(StoreError, match="not known"):
        await waiting


@pytest.mark.parametrize("what", ["folder", "database", "log"])
async def test_nothing_is_saved_into_files_that_were_taken_away(tmp_path, what):
    store = await open_store(tmp_path / "data")
    await append(store, 1)
    name = {"folder": "data", "database": "data/scaleledger.db", "log": "data/scaleledger.db-wal"}[what]
    (tmp_path / name).rename(tmp_path / "elsewhere")
    [refused] = await append(store, 2)
    assert isinstance(refused, StoreError)
    assert "taken away" in str(refused)
    assert (await store.outbox.next_batch("central", 10)).records[0].seq == 1
    (tmp_path / "elsewhere").rename(tmp_path / name)
    [kept] = await append(store, 2)
    assert kept.seq == 2
    await store.close()
    assert verify_file(tmp_path / "data" / "scaleledger.db").records == 2


async def test_damage_met_while_in_use_ends_the_store_so_that_it_is_opened_anew(disk, tmp_path):
    store = await open_store(tmp_path / "data")
    await append(store, 1)
    disk.fail("write", sqlite3.SQLITE_CORRUPT)
    assert isinstance((await append(store, 2))[0], StoreError)
    with pytest.raises(StoreDamaged, match="malformed"):
        await asyncio.wait_for(store.wait_failed(), 3)
    assert isinstance((await append(store, 2))[0], StoreError)
    disk.heal()
    await store.close()


async def test_too_many_waiting_are_refused_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "WAITING_MAX", 50)
    store = await open_store(tmp_path / "data")
    answers = await append(store, *range(1, 101))
    assert sum(isinstance(a, StoreFull) for a in answers) == 50
    assert (await append(store, 200))[0].seq == 51
    await store.close()


async def test_acks_become_durable_after_a_quiet_moment_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "LINGER_S", 0.01)
    store = await open_store(tmp_path / "data")
    await append(store, 1)
    await store.outbox.settle("central", [ItemOutcome(1, Outcome.ACKED)])
    for _ in range(500):
        row = await store.outbox._reader.run(lambda c: c.execute("SELECT is_sent FROM weighing_records").fetchone())
        if row == (1,):
            break
        await asyncio.sleep(0.01)
    assert row == (1,)
    await store.close()


async def test_a_lone_weighing_with_its_ack_stays_within_its_budget(disk, tmp_path):
    """At most 1.05 flushes and 13 KB per weighing, acks included."""
    store = await open_store(tmp_path / "data", reserve_mb=1)
    await append(store, *range(1, 51))
    disk.count()
    for number in range(51, 251):
        (record,) = await append(store, number)
        await store.outbox.settle("central", [ItemOutcome(record.seq, Outcome.ACKED)])
    syncs, written = disk.syncs / 200, disk.written / 200
    await store.close()
    assert syncs <= 1.05
    assert written <= 13_000


async def test_twenty_busy_stations_share_their_flushes(disk, tmp_path):
    store = await open_store(tmp_path / "data", reserve_mb=1)
    await append(store, 1)
    disk.count()
    for first in range(2, 402, 20):
        await append(store, *range(first, first + 20))
    syncs = disk.syncs / 400
    await store.close()
    assert syncs <= 0.2


async def test_a_full_disk_is_refused_and_the_reserve_is_used_first(tmp_path):
    mount = tmp_path / "mount"
    mount.mkdir()
    size = "size=48m"
    command = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(mount)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        store = await open_store(mount / "data", reserve_mb=2)
        await append(store, *range(1, 11))
        hog = mount / "hog"
        with hog.open("wb", buffering=0) as file:
            try:
                while file.write(b"\0" * 4096):
                    pass
            except OSError:
                pass
        answers, number = [], 11
        while not any(isinstance(a, StoreFull) for a in answers):
            answers += await append(store, *range(number, number + 200))
            number += 200
            assert number < 50_000
        saved = [a.seq for a in answers if not isinstance(a, StoreError)]
        assert len(saved) > 1000
        assert store.head().seq == 10 + len(saved)
        hog.unlink()
        (record,) = await append(store, 99_999)
        assert record.seq == 11 + len(saved)
        key, head = store.public_key, store.head()
        await store.close()
        assert verify_file(mount / "data" / "scaleledger.db", key, head).records == record.seq
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=True)


def weigh_until_killed(folder, first, lines, **environment):
    """Run the process until it has said that many lines, kill it hard; returns what it called saved."""
    process = subprocess.Popen(
        [sys.executable, str(FOREVER), str(folder), str(first)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **environment},
    )
    said = []
    with process:
        for line in process.stdout:
            said.append(line.split())
            if len(said) == lines:
                process.kill()
                break
        said += [line.split() for line in process.stdout if line.endswith("\n")]
    return {words[0]: int(words[1]) for words in said if len(words) == 2 and words[0].count("-") == 4}


async def test_whatever_kills_it_what_was_called_saved_is_there(tmp_path):
    folder, rng, saved = tmp_path / "data", random.Random(4), {}
    points = ["store.before-commit=kill@9", "store.after-commit=kill@9", "store.before-mark=kill@2"]
    for kill in range(KILLS):
        armed = {"SCALELEDGER_FAILPOINTS": points[kill % 4]} if kill % 4 < 3 else {}
        saved |= weigh_until_killed(folder, 1 + kill * 100_000, rng.randrange(5, 120) if not armed else 10_000, **armed)
    store = await open_store(folder)
    held = {}
    while batch := await store.outbox.next_batch("archive", 1000, max(held.values(), default=0)):
        held |= {r.uuid: r.seq for r in batch.records}
    await store.close()
    assert len(saved) > KILLS * 5
    assert {uuid: held.get(uuid) for uuid in saved} == saved
    assert store.report.salvaged is None
    assert verify_file(folder / "scaleledger.db", store.public_key, store.head()).records == len(held)
