"""What the centre gave is kept: cards, stations, a token's end, and a claim code on its way."""

import asyncio
import sqlite3
import stat
from contextlib import closing
from datetime import timedelta

import pytest

from fakes.weighings import START, draft
from scaleledger.domain.assignment import AssignedStation, Assignment, PortIdentity
from scaleledger.domain.catalogue import Card, Catalogue
from scaleledger.domain.errors import StoreError
from scaleledger.domain.gateway import CardStanding
from scaleledger.domain.standing import Claim
from scaleledger.store import leave_claim

MANY = 20_000


def listed(version, count, producer="North boat"):
    kinds = [Card(CardStanding.KNOWN, producer, "Squid"), Card(CardStanding.INACTIVE, producer, "Cod")]
    return Catalogue(version, {f"{n:08X}": kinds[n % 2] for n in range(count)})


async def test_a_long_list_is_taken_while_weighing_goes_on(open_store, tmp_path):
    store = await open_store(tmp_path)
    keeping = asyncio.create_task(store.cards.keep(listed("1", MANY)))
    number = 0
    while not keeping.done():
        number += 1
        await store.ledger.append(draft(number))
    await keeping
    assert number > 1, "the list held the line up"
    assert store.cards.about(f"{MANY - 1:08X}") == Card(CardStanding.INACTIVE, "North boat", "Cod")
    await store.close()
    store = await open_store(tmp_path)
    assert (store.cards.version, store.cards.standing(f"{MANY - 2:08X}")) == ("1", CardStanding.KNOWN)
    assert store.cards.standing(f"{MANY:08X}") is CardStanding.UNKNOWN
    assert store.cards.about("00000000") is store.cards.about("00000002"), "a list has few kinds of cards"


async def test_readers_see_the_old_list_or_the_new_one_and_never_a_mixture(open_store, tmp_path):
    store = await open_store(tmp_path)
    await store.cards.keep(listed("1", 500, "Old"))
    seen = set()

    async def read():
        while True:
            producers = {store.cards.about(f"{n:08X}").producer for n in range(0, 500, 50)}
            assert len(producers) == 1
            seen.update(producers)
            await asyncio.sleep(0)

    def on_disk():
        with closing(sqlite3.connect(tmp_path / "scaleledger.db")) as connection:
            return {row[0] for row in connection.execute("SELECT DISTINCT producer FROM cards")}

    reading = asyncio.create_task(read())
    await asyncio.sleep(0)
    keeping = asyncio.create_task(store.cards.keep(listed("2", 500, "New")))
    while not keeping.done():
        assert len(on_disk()) == 1
        await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    reading.cancel()
    assert seen == {"Old", "New"}
    assert on_disk() == {"New"}


async def test_an_empty_list_means_that_there_is_none_yet_and_a_configured_one_wins(open_store, tmp_path):
    store = await open_store(tmp_path)
    await store.cards.keep(Catalogue("1"))
    assert store.cards.empty
    assert store.cards.standing("00000001") is CardStanding.KNOWN
    store.cards.replace(["00000001"])
    await store.cards.keep(listed("2", 10))
    assert store.cards.standing("00000001") is CardStanding.KNOWN, "inactive at the centre, but the file decides"
    assert store.cards.standing("00000002") is CardStanding.UNKNOWN
    assert store.cards.about("00000002").producer == "North boat"


async def test_a_list_that_cannot_be_written_leaves_the_old_one_and_the_next_is_whole(open_store, tmp_path):
    store = await open_store(tmp_path)
    await store.cards.keep(listed("1", 10))
    with closing(sqlite3.connect(tmp_path / "scaleledger.db", isolation_level=None)) as vandal:
        vandal.execute("CREATE TRIGGER stop BEFORE INSERT ON cards BEGIN SELECT RAISE(ABORT, 'the disk is ill'); END")
        with pytest.raises(StoreError, match="the disk is ill"):
            await store.cards.keep(listed("2", 20))
        assert (store.cards.version, store.cards.standing("0000000F")) == ("1", CardStanding.UNKNOWN)
        vandal.execute("DROP TRIGGER stop")
    await store.cards.keep(listed("3", 5))
    await store.close()
    store = await open_store(tmp_path)
    assert store.cards.version == "3"
    assert [store.cards.about(f"{n:08X}") is not None for n in (4, 5)] == [True, False]


async def test_the_assigned_stations_are_kept_over_a_restart(open_store, tmp_path):
    config = {"driver": "suwol-1000", "url": "serial:///dev/ttyUSB0", "mode": "tag", "stability": {"frames": 3}}
    set_ = Assignment(
        "4", (AssignedStation("dock-1", PortIdentity("/dev/ttyUSB0", "A5", "1-1"), config), AssignedStation("Waage 2"))
    )
    store = await open_store(tmp_path)
    assert await store.assignment.load() is None
    await store.assignment.keep(Assignment("3"))
    await store.assignment.keep(set_)
    await store.close()
    store = await open_store(tmp_path)
    assert await store.assignment.load() == set_


async def test_a_tokens_end_is_kept_and_goes_with_it(open_store, tmp_path):
    store = await open_store(tmp_path)
    await store.identity.keep_token("token", "active", START + timedelta(days=1))
    await store.close()
    store = await open_store(tmp_path)
    assert (await store.identity.load()).token_expires_at == START + timedelta(days=1)
    await store.identity.keep_token("another", "active")
    assert (await store.identity.load()).token_expires_at is None


@pytest.mark.parametrize("code", ["K7Q2-ABCD-EFGH-JKMN-PQRS", " k7q2abcdefghjkmnpqrs\n"])
async def test_a_claim_code_waits_in_a_private_file_until_it_is_dropped(open_store, tmp_path, code):
    leave_claim(tmp_path / "data", "K7Q2-OLD0-OLD0-OLD0-OLD0")
    leave_claim(tmp_path / "data", code)
    assert stat.S_IMODE((tmp_path / "data" / "claim").stat().st_mode) == 0o600
    store = await open_store(tmp_path / "data")
    assert await store.identity.take_claim() == Claim("K7Q2", "ABCDEFGHJKMNPQRS")
    assert await store.identity.take_claim() is not None, "a lost answer does not cost the code"
    claim = await store.identity.take_claim()
    await store.identity.drop_claim(claim)
    await store.identity.drop_claim(claim)
    assert await store.identity.take_claim() is None


async def test_a_code_that_was_left_while_another_was_tried_stays(open_store, tmp_path):
    leave_claim(tmp_path, "K7Q2-0000-0000-0000-0000")
    identity = (await open_store(tmp_path)).identity
    tried = await identity.take_claim()
    leave_claim(tmp_path, "K7Q2-ABCD-EFGH-JKMN-PQRS")
    await identity.drop_claim(tried)
    assert await identity.take_claim() == Claim("K7Q2", "ABCDEFGHJKMNPQRS")


@pytest.mark.parametrize("code", ["", "K7Q2-ABCD", "K7Q2-ABCD-EFGH-JKMN-PQRU", "K7Q2" * 100])
async def test_what_is_no_claim_code_is_none(open_store, tmp_path, code):
    leave_claim(tmp_path, code)
    assert await (await open_store(tmp_path)).identity.take_claim() is None
