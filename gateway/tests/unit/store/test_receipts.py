"""Receipts: only a proved one counts, and one that goes back opens delivery again."""

import asyncio
import tempfile
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes import weighings
from fakes.heard_log import HeardLog
from fakes.weighings import MAC, START, draft
from scaleledger.domain.delivery import ItemOutcome, Outcome
from scaleledger.domain.standing import Receipt
from scaleledger.store import Store
from scaleledger.store.receipts import receipt_message

ACKED, QUARANTINE = Outcome.ACKED, Outcome.QUARANTINE


class Scribe:
    """A centre that gives receipts for records it was shown."""

    def __init__(self):
        self._key = Ed25519PrivateKey.generate()
        self.key = self._key.public_key().public_bytes_raw().hex()

    def sign(self, receipt):
        return replace(receipt, signature=self._key.sign(receipt_message(MAC, receipt)).hex())

    def receipt(self, record, minute=0):
        at = (START + timedelta(minutes=minute)).isoformat(timespec="microseconds")
        return self.sign(Receipt(record.seq, record.hash, at, ""))


@pytest.fixture
def heard(monkeypatch):
    log = HeardLog()
    monkeypatch.setattr("scaleledger.store.outbox.log", log)
    return log


@pytest.fixture
def scribe():
    return Scribe()


async def fill(store, scribe, count=10):
    assert await store.identity.pin_server_key(scribe.key)
    return await asyncio.gather(*(store.ledger.append(draft(n)) for n in range(1, count + 1)))


async def settle(store, outcome, *seqs):
    await store.outbox.settle("central", [ItemOutcome(seq, outcome, "no") for seq in seqs])


async def owed(store):
    batch = await store.outbox.next_batch("central", 1000)
    return [r.seq for r in batch.records] if batch else []


@asynccontextmanager
async def opened(folder):
    store = await weighings.open_store(folder)
    try:
        yield store
    finally:
        await store.close()


async def test_the_highest_proved_receipt_is_kept_over_a_restart(tmp_path, scribe, heard):
    async with opened(tmp_path) as store:
        records = await fill(store, scribe)
        await settle(store, ACKED, *range(1, 11))
        for seq, minute in ((3, 1), (10, 3), (7, 2)):
            await store.outbox.keep_receipt("central", scribe.receipt(records[seq - 1], minute))
        kept = store.outbox.receipt("central")
        assert kept == scribe.receipt(records[9], 3)
        assert await owed(store) == []
    async with opened(tmp_path) as store:
        assert store.outbox.receipt("central") == kept
        assert store.outbox.receipt("another") is None
        assert store.identity.server_key == scribe.key
    assert not heard.of("net.redelivering")


async def test_a_centre_restored_from_a_backup_is_given_again_what_it_lost(tmp_path, scribe, heard):
    async with opened(tmp_path) as store:
        records = await fill(store, scribe)
        await settle(store, ACKED, 1, 2, 3, 4, 5, 6, 7, 9, 10)
        await settle(store, QUARANTINE, 8)
        await store.outbox.keep_receipt("central", scribe.receipt(records[6], 1))
        await store.outbox.keep_receipt("central", scribe.receipt(records[3], 2))
        assert await owed(store) == [5, 6, 7, 9, 10]
        assert (await store.outbox.counts("central")).quarantined == 1
    assert [line["after"] for line in heard.of("net.redelivering")] == [4]
    async with opened(tmp_path) as store:
        assert await owed(store) == [5, 6, 7, 9, 10]
        counts = await store.outbox.counts("central")
        assert (counts.held, counts.sent, counts.queued, counts.quarantined) == (10, 4, 5, 1)
        await settle(store, ACKED, 5, 6, 7, 9, 10)
        await store.outbox.keep_receipt("central", scribe.receipt(records[6], 3))
        assert await owed(store) == []


def of_nothing(scribe, minute, digest="0" * 64):
    at = (START + timedelta(minutes=minute)).isoformat(timespec="microseconds")
    return scribe.sign(Receipt(0, digest, at, ""))


async def test_a_centre_that_lost_everything_is_given_everything_again(tmp_path, scribe, heard):
    async with opened(tmp_path) as store:
        records = await fill(store, scribe)
        await settle(store, ACKED, 1, 2, 3, 4, 5, 6, 7, 9, 10)
        await settle(store, QUARANTINE, 8)
        await store.outbox.keep_receipt("central", scribe.receipt(records[6], 2))
        await store.outbox.keep_receipt("central", of_nothing(scribe, 3))
        assert await owed(store) == [1, 2, 3, 4, 5, 6, 7, 9, 10]
    assert [line["after"] for line in heard.of("net.redelivering")] == [0]
    async with opened(tmp_path) as store:
        assert await owed(store) == [1, 2, 3, 4, 5, 6, 7, 9, 10]
        assert store.outbox.receipt("central") == of_nothing(scribe, 3)


@pytest.mark.parametrize("fault", ["older", "other key", "other hash"])
async def test_a_receipt_of_nothing_that_is_old_or_unproved_changes_nothing(tmp_path, scribe, fault):
    async with opened(tmp_path) as store:
        records = await fill(store, scribe)
        await settle(store, ACKED, *range(1, 11))
        good = scribe.receipt(records[9], 2)
        await store.outbox.keep_receipt("central", good)
        wrong = {
            "older": of_nothing(scribe, 1),
            "other key": of_nothing(Scribe(), 3),
            "other hash": of_nothing(scribe, 3, "ab" * 32),
        }[fault]
        await store.outbox.keep_receipt("central", wrong)
        assert (await owed(store), store.outbox.receipt("central")) == ([], good)


async def test_a_new_gateways_receipt_of_nothing_is_followed_by_better_ones(tmp_path, scribe, heard):
    async with opened(tmp_path) as store:
        records = await fill(store, scribe)
        await store.outbox.keep_receipt("central", of_nothing(scribe, 1))
        await settle(store, ACKED, *range(1, 11))
        await store.outbox.keep_receipt("central", of_nothing(scribe, 2))
        await store.outbox.keep_receipt("central", scribe.receipt(records[9], 3))
        assert (await owed(store), store.outbox.receipt("central").upto_seq) == ([], 10)
    assert not heard.of("net.redelivering")


async def test_a_sleeping_forwarder_is_woken_by_what_is_owed_again(tmp_path, scribe):
    async with opened(tmp_path) as store:
        records = await fill(store, scribe)
        await settle(store, ACKED, *range(1, 11))
        await store.outbox.keep_receipt("central", scribe.receipt(records[9], 1))
        store.outbox.note = woken = []
        store.outbox.note = lambda added, head: woken.append(head.seq)
        await store.outbox.keep_receipt("central", scribe.receipt(records[0], 2))
        assert woken == [10]


@pytest.mark.parametrize("fault", ["other key", "other hash", "not held", "altered time", "no time", "no hex"])
async def test_a_receipt_that_cannot_be_proved_changes_nothing_and_is_said_once(tmp_path, scribe, heard, fault):
    async with opened(tmp_path) as store:
        records = await fill(store, scribe)
        await settle(store, ACKED, *range(1, 11))
        good = scribe.receipt(records[9], 1)
        await store.outbox.keep_receipt("central", good)
        low = scribe.receipt(records[2], 2)
        wrong = {
            "other key": Scribe().receipt(records[2], 2),
            "other hash": scribe.sign(replace(low, hash="ab" * 32)),
            "not held": scribe.sign(replace(low, upto_seq=11)),
            "altered time": replace(low, at=good.at),
            "no time": scribe.sign(replace(low, at="yesterday")),
            "no hex": replace(low, signature="zz" * 64),
        }[fault]
        for _ in range(3):
            await store.outbox.keep_receipt("central", wrong)
        assert store.outbox.receipt("central") == good
        assert await owed(store) == []
        assert heard.events == ["net.receipt_refused"]


async def test_without_a_key_of_the_centre_no_receipt_counts(tmp_path, scribe, heard):
    async with opened(tmp_path) as store:
        record = await store.ledger.append(draft(1))
        await store.outbox.keep_receipt("central", scribe.receipt(record))
        assert store.outbox.receipt("central") is None
        assert heard.events == ["net.receipt_refused"]


async def test_the_first_key_stays_and_a_configured_one_wins(tmp_path, scribe):
    other = Scribe()
    async with opened(tmp_path) as store:
        [record] = await fill(store, scribe, 1)
        assert await store.identity.pin_server_key(scribe.key)
        assert await store.identity.pin_server_key("")
        assert not await store.identity.pin_server_key(other.key)
        store.identity.use_server_key(other.key)
        assert await store.identity.pin_server_key(other.key)
        assert not await store.identity.pin_server_key(scribe.key)
        await store.outbox.keep_receipt("central", other.receipt(record))
        assert store.outbox.receipt("central") is not None
    async with opened(tmp_path) as store:
        assert (await store.identity.load()).server_key == scribe.key


class Restored:
    """What a centre may do: take records, lose some to a backup, and give receipts, in any order of arrival."""

    def __init__(self):
        self.upto, self.minute, self.last = 0, 0, None


@settings(max_examples=10, deadline=None)
@given(steps=st.lists(st.tuples(st.sampled_from(["take", "lose", "late"]), st.integers(1, 10)), max_size=12))
def test_after_any_history_what_the_centre_lacks_is_owed(steps):
    async def play(folder):
        scribe, centre = Scribe(), Restored()
        async with opened(folder) as store:
            records = await fill(store, scribe)
            given_out = []
            for step, number in steps:
                centre.minute += 1
                if step == "late":
                    for receipt in given_out[-1:]:
                        await store.outbox.keep_receipt("central", receipt)
                    continue
                if step == "take":
                    taken = [seq for seq in await owed(store) if seq <= centre.upto + number]
                    await settle(store, ACKED, *taken)
                    centre.upto = max([centre.upto, *taken])
                else:
                    centre.upto = max(1, centre.upto - number) if centre.upto else 0
                if centre.upto:
                    given_out.append(scribe.receipt(records[centre.upto - 1], centre.minute))
                    await store.outbox.keep_receipt("central", given_out[-1])
                assert await owed(store) == list(range(centre.upto + 1, 11))
        async with opened(folder) as store:
            assert set(await owed(store)) >= set(range(centre.upto + 1, 11))

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder) / "data"))


def test_the_stores_signature_is_made_with_the_key_it_shows(tmp_path):
    async def sign():
        async with opened(tmp_path) as store:
            assert isinstance(store, Store)
            return store.public_key, store.sign(b"message")

    from scaleledger.store.signing import signed_by

    public_key, signature = asyncio.run(sign())
    assert signed_by(public_key)(b"message", bytes.fromhex(signature))
