import asyncio
import contextlib
import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from tortoise.backends.sqlite.client import SqliteClient

from fakes import weighings
from fakes.weighings import MAC, draft
from scaleledger.domain.catalogue import Card
from scaleledger.domain.delivery import ItemOutcome, Outcome
from scaleledger.domain.errors import ChainBroken, StoreLocked, StoreUnusable
from scaleledger.domain.gateway import CardStanding
from scaleledger.domain.weighing import Head
from scaleledger.store import connection, migrate, reserve, verify_file
from scaleledger.store.folder import companions
from scaleledger.store.orm import Orm

COLUMNS = "(seq, uuid, rfid_uid, weight, measured_at, is_sent, unit, station, payload, hash, signature)"
UNCHANGED = (
    "rfid_uid, '1', measured_at, 0, unit, station, payload, hash, signature FROM weighing_records WHERE seq = 20"
)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "data"


def database(folder):
    return folder / "scaleledger.db"


async def filled(folder, count=30, **changed):
    """A closed folder with records, the older third of them acked."""
    store = await weighings.open_store(folder, **changed)
    await asyncio.gather(*(store.ledger.append(draft(n)) for n in range(1, count + 1)))
    await store.outbox.settle("central", [ItemOutcome(n, Outcome.ACKED) for n in range(1, count // 3 + 1)])
    await store.close()
    return store


async def reopened(folder):
    store = await weighings.open_store(folder)
    await store.close()
    return store


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


async def test_the_folder_and_its_files_are_private(open_store, folder):
    store = await open_store(folder, reserve_mb=1)
    await store.ledger.append(draft(1))
    assert mode(folder) == 0o700
    assert {path.name: mode(path) for path in folder.iterdir()} == dict.fromkeys(
        ["scaleledger.db", "scaleledger.db-wal", "scaleledger.db-shm", "scaleledger.lock", "gateway.key"], 0o600
    )
    await store.close()


async def test_a_second_gateway_is_refused_and_told_who_is_there(open_store, folder):
    store = await open_store(folder)
    with pytest.raises(StoreLocked, match=f"process {os.getpid()}"):
        await open_store(folder)
    await store.close()
    await reopened(folder)


async def test_a_folder_that_is_a_file_is_said_in_words(open_store, tmp_path):
    (tmp_path / "data").write_text("")
    with pytest.raises(StoreUnusable, match="may write"):
        await open_store(tmp_path / "data")


async def test_both_pragmas_hold_on_every_connection(folder):
    await filled(folder, 1)
    with closing(connection.connect(database(folder))) as plain:
        assert plain.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert plain.execute("PRAGMA synchronous").fetchone() == (2,)
        assert plain.execute("PRAGMA page_size").fetchone() == (connection.PAGE_BYTES,)
    orm = Orm()
    await orm.open(database(folder))
    for name, wanted in {**connection.PRAGMAS, "busy_timeout": 5000, "foreign_keys": 1}.items():
        _, rows = await orm.run(orm.client.execute_query(f"PRAGMA {name}"))
        assert rows[0][0] == wanted, name
    await orm.close()


def test_a_place_that_cannot_keep_a_log_is_refused():
    with pytest.raises(StoreUnusable, match="journal_mode"):
        connection.connect(Path(":memory:"))


@pytest.mark.parametrize(
    "statement",
    [
        *(
            f"UPDATE weighing_records SET {column} = 'x' WHERE seq = 20"
            for column in ("uuid", "rfid_uid", "weight", "measured_at", "unit", "station", "payload", "hash")
        ),
        "UPDATE weighing_records SET seq = 99 WHERE seq = 20",
        "UPDATE weighing_records SET signature = x'00' WHERE seq = (SELECT max(seq) FROM weighing_records)",
        "DELETE FROM weighing_records WHERE seq = 20",
        "DELETE FROM weighing_records",
        f"INSERT OR REPLACE INTO weighing_records {COLUMNS} SELECT seq, 'u', {UNCHANGED}",
        f"REPLACE INTO weighing_records {COLUMNS} SELECT 99, uuid, {UNCHANGED}",
    ],
)
async def test_the_database_itself_refuses_to_rewrite_a_weighing(folder, statement):
    await filled(folder)
    with (
        closing(sqlite3.connect(database(folder))) as other,
        pytest.raises(sqlite3.IntegrityError, match=r"never|not deleted"),
    ):
        other.execute(statement)
    assert verify_file(database(folder)).records == 30


async def test_only_what_was_pruned_may_be_deleted_and_sent_may_be_marked(folder):
    await filled(folder)
    with closing(sqlite3.connect(database(folder), isolation_level=None)) as other:
        other.execute("UPDATE weighing_records SET is_sent = 1 WHERE seq = 20")
        other.execute("INSERT INTO settings VALUES ('pruned_upto', '5')")
        other.execute("DELETE FROM weighing_records WHERE seq <= 5")
        with pytest.raises(sqlite3.IntegrityError):
            other.execute("DELETE FROM weighing_records WHERE seq = 6")


def forge(path, *statements):
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        for (name,) in other.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            other.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            other.execute(statement)


@pytest.mark.parametrize(
    ("statements", "seq"),
    [
        (["UPDATE weighing_records SET weight = '1.00' WHERE seq = 17"], 17),
        (["UPDATE weighing_records SET payload = replace(payload, '169.50', '168.50') WHERE seq = 17"], 17),
        (["UPDATE weighing_records SET payload = x'ff00' WHERE seq = 17"], 17),
        (["UPDATE weighing_records SET hash = zeroblob(32) WHERE seq = 17"], 17),
        (["DELETE FROM weighing_records WHERE seq = 17"], 17),
        (["UPDATE weighing_records SET seq = 170 WHERE seq = 17", "UPDATE weighing_records SET seq = 17 WHERE seq = 18",
          "UPDATE weighing_records SET seq = 18 WHERE seq = 170"], 17),
        (["DELETE FROM weighing_records WHERE seq > 25"], 25),
        (["DELETE FROM weighing_records"], 1),
        (["UPDATE weighing_records SET signature = NULL"], 30),
        (["UPDATE weighing_records SET signature = zeroblob(64) WHERE seq = 30"], 30),
    ],
)  # fmt: skip
async def test_every_forgery_is_named(folder, statements, seq):
    store = await filled(folder)
    assert verify_file(database(folder), store.public_key, store.head()).records == 30
    forge(database(folder), *statements)
    with pytest.raises(ChainBroken) as broken:
        verify_file(database(folder), store.public_key, store.head())
    assert broken.value.seq == seq


async def test_another_gateways_key_and_another_head_do_not_fit(folder, tmp_path):
    store = await filled(folder)
    other = await filled(tmp_path / "other")
    with pytest.raises(ChainBroken, match="signature"):
        verify_file(database(folder), other.public_key)
    with pytest.raises(ChainBroken):
        verify_file(database(folder), head=Head(30, "ab" * 32, ""))
    assert verify_file(database(folder), store.public_key).seq == 30


async def test_a_broken_record_is_reported_at_start_and_never_sent_as_good(open_store, folder):
    await filled(folder)
    forge(database(folder), "UPDATE weighing_records SET weight = '1.00' WHERE seq = 17")
    store = await open_store(folder)
    assert store.report.broken is not None
    assert store.report.broken[0] == 17
    batch = await store.outbox.next_batch("central", 100)
    assert [r.seq for r in batch.records] == [*range(11, 17), *range(18, 31)]
    assert (await store.outbox.counts("central")).quarantined == 1
    assert (await store.ledger.append(draft(31))).seq == 31
    await store.close()


async def test_the_token_is_not_in_any_file(open_store, folder):
    store = await open_store(folder)
    await store.identity.keep_token("canary-7f3a-token", "active")
    found = [path.name for path in folder.iterdir() if b"canary-7f3a" in path.read_bytes()]
    assert found == []
    assert (await store.identity.load()).token == "canary-7f3a-token"
    await store.close()


async def test_a_key_that_others_can_read_is_refused(open_store, folder):
    await filled(folder, 1)
    (folder / "gateway.key").chmod(0o640)
    with pytest.raises(StoreUnusable, match="chmod 600"):
        await open_store(folder)
    (folder / "gateway.key").chmod(0o600)
    await reopened(folder)


@pytest.mark.parametrize("fault", ["gone", "short", "another"])
async def test_a_ledger_without_its_key_is_not_signed_with_another(open_store, folder, tmp_path, fault):
    await filled(folder, 3)
    await filled(tmp_path / "other", 1)
    key = folder / "gateway.key"
    if fault == "gone":
        key.unlink()
    else:
        key.write_bytes(b"k" * 31 if fault == "short" else (tmp_path / "other" / "gateway.key").read_bytes())
    with pytest.raises(StoreUnusable, match="key"):
        await open_store(folder)
    assert verify_file(database(folder)).records == 3


async def test_the_first_mac_address_stays_the_gateways_name(open_store, folder):
    await filled(folder, 1)
    store = await open_store(folder, mac_address="02:00:00:00:00:99", hostname="renamed")
    credentials = await store.identity.load()
    assert (credentials.mac_address, credentials.hostname) == (MAC, "renamed")
    await store.close()


STEPS = ["m0001_ledger", "m0002_salvage", "m0003_centre", "m0004_plant"]


@pytest.mark.parametrize("version", [1, 2, 3])
async def test_an_older_database_keeps_rows_indexes_and_triggers(folder, version):
    folder.mkdir(mode=0o700)
    path = database(folder)
    assert await migrate.migrate(path, STEPS[version - 1]) == STEPS[:version]
    await filled(folder / "newer", 5)
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        old.execute("ATTACH ? AS newer", (str(database(folder / "newer")),))
        for table in ("gateway", "weighing_records", "delivery"):
            names = ", ".join(row[1] for row in old.execute(f"PRAGMA main.table_info({table})"))
            old.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM newer.{table}")
        old.execute("INSERT INTO cards (uid, standing, label) VALUES ('0001', 'known', 'Kim')")
        before = set(old.execute("SELECT type, name FROM sqlite_master").fetchall())
    (folder / "newer" / "gateway.key").rename(folder / "gateway.key")

    store = await reopened(folder)

    assert store.report.migrated == tuple(STEPS[version:])
    assert store.cards.about("0001") == Card(CardStanding.KNOWN)
    assert verify_file(path, store.public_key).records == 5
    with closing(sqlite3.connect(path)) as now:
        assert before <= set(now.execute("SELECT type, name FROM sqlite_master").fetchall())
    assert verify_copy(path.with_name(f"scaleledger.db.before-{STEPS[version]}")) == 5


@pytest.mark.parametrize("statements", range(6))
async def test_a_migration_that_was_killed_between_two_statements_is_begun_anew(folder, monkeypatch, statements):
    folder.mkdir(mode=0o700)
    path = database(folder)
    await migrate.migrate(path, "m0001_ledger")
    left = [statements]
    whole = SqliteClient.execute_script

    async def cut(client, query):
        left[0] -= 1
        if left[0] < 0:
            raise InterruptedError
        await whole(client, query)

    monkeypatch.setattr(SqliteClient, "execute_script", cut)
    with contextlib.suppress(InterruptedError):
        await migrate.migrate(path)
    monkeypatch.undo()
    store = await weighings.open_store(folder)
    assert (await store.ledger.append(draft(1))).seq == 1
    await store.close()
    assert verify_file(path).records == 1


def verify_copy(path):
    with closing(sqlite3.connect(path)) as copy:
        return copy.execute("SELECT count(*) FROM weighing_records").fetchone()[0]


async def test_a_migration_that_loses_a_trigger_is_not_accepted(folder):
    await filled(folder, 1)
    with closing(sqlite3.connect(database(folder))) as other:
        before = {name for (name,) in other.execute("SELECT name FROM sqlite_master")}
        migrate.check(database(folder), before)
        other.execute("DROP TRIGGER weighing_records_keep_rows")
        other.commit()
    with pytest.raises(StoreUnusable, match="weighing_records_keep_rows"):
        migrate.check(database(folder), before)


def test_migrations_use_only_operations_that_lose_nothing():
    allowed = {"CreateModel", "AddField", "AddIndex", "RunSQL", "RunPython"}
    for path in Path(migrate.__file__).with_name("migrations").glob("m*.py"):
        used = {line.split("ops.")[1].split("(")[0] for line in path.read_text().splitlines() if "ops." in line}
        assert used <= allowed, path.name


async def test_room_is_reserved_inside_the_database_and_the_log_stays_grown(open_store, folder):
    store = await open_store(folder, reserve_mb=2)
    assert store.report.reserved_bytes >= 2 * reserve.MIB
    await store.ledger.append(draft(1))
    await store.close()
    grown = companions(database(folder))[0].stat().st_size
    assert grown >= connection.WAL_PAGES * connection.PAGE_BYTES
    size = database(folder).stat().st_size
    store = await open_store(folder, reserve_mb=2)
    await asyncio.gather(*(store.ledger.append(draft(n)) for n in range(2, 300)))
    await store.close()
    assert companions(database(folder))[0].stat().st_size == grown
    assert database(folder).stat().st_size <= size + reserve.MIB
