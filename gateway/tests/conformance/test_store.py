"""What every store must do, whatever lies beneath it. One implementation today: the folder with SQLite in it."""

import asyncio

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fakes.weighings import START, draft, open_store
from scaleledger.app import ports
from scaleledger.domain.catalogue import Card, Catalogue
from scaleledger.domain.delivery import ItemOutcome, Outcome
from scaleledger.domain.errors import LedgerError, StoreError
from scaleledger.store import verify_file

ACKED, RETRY, QUARANTINE = Outcome.ACKED, Outcome.RETRY, Outcome.QUARANTINE
OPENERS = {"folder": open_store}


@pytest.fixture(params=OPENERS)
async def opened(request, tmp_path):
    """`await opened()` opens the store, also once more; whatever is open at the end is closed."""
    stores = []

    async def again():
        for store in stores:
            await store.close()
        stores[:] = [await OPENERS[request.param](tmp_path / "data")]
        return stores[0]

    yield again
    for store in stores:
        await store.close()


async def append(store, *numbers):
    return await asyncio.gather(*(store.ledger.append(draft(n)) for n in numbers))


def outcomes(outcome, *seqs):
    return [ItemOutcome(seq, outcome, "no such card" if outcome is QUARANTINE else "") for seq in seqs]


async def queued(store, uplink="central", limit=1000, after=0):
    batch = await store.outbox.next_batch(uplink, limit, after)
    return [r.seq for r in batch.records] if batch else []


async def test_its_parts_are_what_the_application_asks_for(opened):
    store = await opened()
    parts: tuple[ports.Ledger, ports.Outbox, ports.Identity, ports.Cards] = (
        store.ledger, store.outbox, store.identity, store.cards
    )  # fmt: skip
    for part, port in zip(parts, (ports.Ledger, ports.Outbox, ports.Identity, ports.Cards), strict=True):
        for name in (n for n in vars(port) if not n.startswith("_")):
            assert hasattr(part, name), f"{port.__name__}.{name}"


async def test_numbers_have_no_gaps_and_links_follow(opened):
    store = await opened()
    records = await append(store, *range(1, 21))
    assert [r.seq for r in records] == list(range(1, 21))
    assert [r.prev_hash for r in records[1:]] == [r.hash for r in records[:-1]]
    assert records[0].prev_hash == "00" * 32
    assert store.head().seq == 20
    assert store.head().hash == records[-1].hash


async def test_a_record_keeps_what_was_printed(opened):
    store = await opened()
    (record,) = await append(store, 1)
    batch = await store.outbox.next_batch("central", 1)
    assert batch.records == (record,)
    assert str(record.weight) == "153.50"
    assert record.card == "00345678"
    assert batch.head == store.head()


async def test_a_repeated_uuid_gives_the_stored_record(opened):
    store = await opened()
    first, second, repeated = await append(store, 1, 2, 1)
    assert repeated == first
    assert (await append(store, 2)) == [second]
    store = await opened()
    assert (await append(store, 1, 3))[0] == first
    assert store.head().seq == 3


async def test_a_thousand_at_once_are_all_kept(opened):
    store = await opened()
    records = await append(store, *range(1, 1001))
    assert sorted(r.seq for r in records) == list(range(1, 1001))
    store = await opened()
    assert await queued(store, limit=2000) == list(range(1, 1001))


async def test_closing_commits_what_was_accepted(opened):
    store = await opened()
    appends = [asyncio.ensure_future(store.ledger.append(draft(n))) for n in range(1, 301)]
    await asyncio.sleep(0)
    await store.close()
    records = await asyncio.gather(*appends)
    assert sorted(r.seq for r in records) == list(range(1, 301))
    with pytest.raises(StoreError):
        await store.ledger.append(draft(301))
    store = await opened()
    assert store.head().seq == 300


async def test_a_caller_that_gave_up_does_not_hurt_the_others(opened):
    store = await opened()
    impatient = asyncio.ensure_future(store.ledger.append(draft(1)))
    await asyncio.sleep(0)
    impatient.cancel()
    (other,) = await append(store, 2)
    assert other.seq == 2
    assert (await append(store, 1))[0].seq == 1


async def test_what_cannot_be_a_record_is_refused_and_the_rest_goes_on(opened):
    store = await opened()
    with pytest.raises(LedgerError):
        await store.ledger.append(draft(1, station=""))
    assert (await append(store, 2))[0].seq == 1


async def test_an_acked_record_is_not_offered_again(opened):
    store = await opened()
    await append(store, *range(1, 11))
    await store.outbox.settle("central", outcomes(ACKED, 1, 2, 3))
    assert await queued(store) == list(range(4, 11))
    store = await opened()
    assert await queued(store) == list(range(4, 11))


async def test_acks_may_come_out_of_order(opened):
    store = await opened()
    await append(store, *range(1, 11))
    await store.outbox.settle("central", outcomes(ACKED, 4, 5, 9))
    assert await queued(store) == [1, 2, 3, 6, 7, 8, 10]
    assert await queued(store, limit=2, after=3) == [6, 7]
    await store.outbox.settle("central", outcomes(ACKED, 1, 2, 3))
    await store.outbox.settle("central", outcomes(RETRY, 6) + outcomes(ACKED, 7))
    assert await queued(store) == [6, 8, 10]
    counts = await store.outbox.counts("central")
    assert (counts.held, counts.sent, counts.queued, counts.quarantined) == (10, 7, 3, 0)
    assert counts.oldest_queued_at == draft(6).measured_at
    assert counts.by_station == {"dock-1": 3}


async def test_a_refused_record_steps_aside_for_good_and_the_rest_goes_on(opened):
    store = await opened()
    await append(store, *range(1, 6))
    await store.outbox.settle("central", outcomes(QUARANTINE, 2) + outcomes(ACKED, 1, 3))
    assert await queued(store) == [4, 5]
    store = await opened()
    assert await queued(store) == [4, 5]
    counts = await store.outbox.counts("central")
    assert (counts.held, counts.sent, counts.queued, counts.quarantined) == (5, 2, 2, 1)


async def test_settling_twice_counts_once(opened):
    store = await opened()
    await append(store, 1, 2)
    for _ in range(2):
        await store.outbox.settle("central", outcomes(ACKED, 1) + outcomes(QUARANTINE, 2))
    counts = await store.outbox.counts("central")
    assert (counts.sent, counts.quarantined, counts.queued) == (1, 1, 0)


async def test_uplinks_do_not_share_their_position(opened):
    store = await opened()
    await append(store, 1, 2, 3)
    await store.outbox.settle("central", outcomes(ACKED, 1, 2, 3))
    assert await queued(store, "archive") == [1, 2, 3]


async def test_waiting_ends_with_the_next_record(opened):
    store = await opened()
    assert await append(store, 1)
    assert await store.outbox.wait_for_append(0) == 1
    waiting = asyncio.ensure_future(store.outbox.wait_for_append(1))
    given_up = asyncio.ensure_future(store.outbox.wait_for_append(1))
    await asyncio.sleep(0)
    given_up.cancel()
    assert not waiting.done()
    await append(store, 2)
    assert await asyncio.wait_for(waiting, 5) == 2


async def test_the_last_capture_is_found_again_after_a_restart(opened):
    store = await opened()
    assert await store.ledger.last_capture("dock-1") is None
    await append(store, 1)
    await store.ledger.append(draft(2, station="dock-2"))
    live = await store.ledger.last_capture("dock-1")
    store = await opened()
    assert await store.ledger.last_capture("dock-1") == live
    assert (await store.ledger.last_capture("dock-2")).uuid == draft(2).uuid
    assert await store.ledger.last_capture("dock-3") is None


async def test_whether_the_operator_was_told_is_remembered(opened):
    store = await opened()
    one = await store.ledger.append(draft(1))
    await store.ledger.append(draft(2, station="dock-2"))
    assert not (await store.ledger.last_capture("dock-1")).told
    store.ledger.told(one)
    assert (await store.ledger.last_capture("dock-1")).told
    store = await opened()
    assert (await store.ledger.last_capture("dock-1")).told
    assert not (await store.ledger.last_capture("dock-2")).told


async def test_credentials_are_kept_and_cleared_and_records_stay(opened):
    store = await opened()
    await append(store, 1)
    await store.identity.keep_token("a-token", "active")
    await store.identity.note_heartbeat(START)
    store = await opened()
    kept = await store.identity.load()
    assert (kept.token, kept.status, kept.ever_approved) == ("a-token", "active", True)
    await store.identity.clear_token("unknown")
    cleared = await store.identity.load()
    assert (cleared.token, cleared.ever_approved, cleared.public_key) == ("", True, kept.public_key)
    assert await queued(store) == [1]


async def test_the_card_list_is_replaced_as_a_whole(opened):
    store = await opened()
    standing = ports.CardStanding
    kim, lee = Card(standing.KNOWN, "Kim", "Squid"), Card(standing.INACTIVE, "Lee", "Squid")
    assert store.cards.empty
    assert store.cards.standing("0001") is standing.KNOWN, "no list yet: every card is known"
    await store.cards.keep(Catalogue("1", {"0001": kim, "0002": lee}))
    await store.cards.keep(Catalogue("2", {"0002": lee, "0003": kim}))
    store = await opened()
    found = [store.cards.standing(uid) for uid in ("0001", "0002", "0003")]
    assert found == [standing.UNKNOWN, standing.INACTIVE, standing.KNOWN]
    assert (store.cards.version, store.cards.about("0003"), store.cards.about("0001")) == ("2", kim, None)


class Model(RuleBasedStateMachine):
    """Append, settle, reopen in any order against a dictionary that does the same."""

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = self._folder()
        self.store = self.loop.run_until_complete(open_store(self.folder))
        self.records, self.settled, self.refused = {}, set(), set()

    @staticmethod
    def _folder():
        import tempfile
        from pathlib import Path

        return Path(tempfile.mkdtemp(prefix="scaleledger-model-"))

    def teardown(self):
        import shutil

        self.loop.run_until_complete(self.store.close())
        assert verify_file(self.folder / "scaleledger.db").records == len(self.records)
        self.loop.close()
        shutil.rmtree(self.folder)

    @rule(numbers=st.lists(st.integers(1, 40), min_size=1, max_size=8))
    def append(self, numbers):
        for number, record in zip(numbers, self.loop.run_until_complete(append(self.store, *numbers)), strict=True):
            if number in self.records:
                assert record.seq == self.records[number]
            else:
                assert record.seq == len(self.records) + 1
                self.records[number] = record.seq

    @precondition(lambda self: self.records)
    @rule(data=st.data(), outcome=st.sampled_from(Outcome))
    def settle(self, data, outcome):
        seqs = data.draw(st.lists(st.integers(1, len(self.records)), min_size=1, max_size=6, unique=True))
        self.loop.run_until_complete(self.store.outbox.settle("central", outcomes(outcome, *seqs)))
        if outcome is not RETRY:
            self.refused |= set(seqs) - self.settled if outcome is QUARANTINE else set()
            self.settled |= set(seqs)

    @rule()
    def reopen(self):
        """In-memory acks above the position may be forgotten; refusals and the position may not."""
        self.loop.run_until_complete(self.store.close())
        self.store = self.loop.run_until_complete(open_store(self.folder))
        position = next((n - 1 for n in range(1, len(self.records) + 2) if n not in self.settled), 0)
        self.settled = set(range(1, position + 1)) | self.refused

    @invariant()
    def the_books_agree(self):
        held = set(self.records.values())
        assert self.loop.run_until_complete(queued(self.store)) == sorted(held - self.settled)
        counts = self.loop.run_until_complete(self.store.outbox.counts("central"))
        assert (counts.held, counts.queued, counts.quarantined) == (
            len(held), len(held - self.settled), len(self.refused)
        )  # fmt: skip
        assert counts.held == counts.sent + counts.queued + counts.quarantined


TestModel = Model.TestCase
TestModel.settings = settings(
    max_examples=8, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
