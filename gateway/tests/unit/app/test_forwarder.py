import asyncio
import random
from collections import Counter
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.centre import Books, Weather
from fakes.memory_uplink import MemoryUplink
from fakes.outbox import MemoryIdentity, MemoryOutbox
from fakes.virtual_clock import LoopClock, running, virtual
from fakes.virtual_time import run_virtually
from scaleledger.app.backoff import Backoff
from scaleledger.app.forwarder import Forwarder
from scaleledger.app.lifecycle import Lifecycle
from scaleledger.domain.delivery import Outcome
from scaleledger.domain.errors import CredentialsRefused, LinkError, StoreError
from scaleledger.domain.standing import Receipt
from scaleledger.uplinks.central.client import CentralUplink

HOUR_S = 3600.0


@asynccontextmanager
async def forwarding(uplink, outbox, seed=1):
    forwarder = Forwarder(uplink, outbox, clock=LoopClock(), rng=random.Random(seed))
    async with running(forwarder):
        yield forwarder


@virtual
async def test_an_append_wakes_it_at_once():
    outbox, uplink = MemoryOutbox(), MemoryUplink()
    async with forwarding(uplink, outbox):
        await asyncio.sleep(2.5)
        outbox.append()
        await asyncio.sleep(0.1)
        assert outbox.acked == {1}
    assert uplink.offered == [(2.5, [1])]


@virtual
async def test_an_empty_outbox_asks_nothing_of_the_centre():
    uplink = MemoryUplink()
    async with forwarding(uplink, MemoryOutbox()):
        await asyncio.sleep(HOUR_S)
    assert uplink.offered == []


@virtual
async def test_an_append_while_others_are_in_flight_goes_out_at_once():
    outbox, uplink = MemoryOutbox(), MemoryUplink(latency_s=3.0)
    async with forwarding(uplink, outbox):
        for at in (1.0, 0.5, 0.5):
            await asyncio.sleep(at)
            outbox.append()
        await asyncio.sleep(10)
    assert uplink.offered == [(1.0, [1]), (1.5, [2]), (2.0, [3])]


@virtual
async def test_a_backlog_goes_in_order_of_seq_with_bounded_batches_in_flight():
    outbox, uplink = MemoryOutbox(100), MemoryUplink()
    async with forwarding(uplink, outbox):
        await outbox.settled()
    assert [seq for _, batch in uplink.offered for seq in batch] == list(range(1, 101))
    assert max(len(batch) for _, batch in uplink.offered) == 10
    assert uplink.most_in_flight == 4


@virtual
async def test_one_poison_record_among_a_hundred_is_quarantined_and_the_rest_delivered():
    outbox = MemoryOutbox(100)
    uplink = MemoryUplink(lambda seq: Outcome.QUARANTINE if seq == 17 else Outcome.ACKED)
    async with forwarding(uplink, outbox):
        await outbox.settled()
        await asyncio.sleep(60)
    assert outbox.quarantined == {17: "words"}
    assert len(outbox.acked) == 99
    assert Counter(seq for _, batch in uplink.offered for seq in batch)[17] == 1


@virtual
async def test_a_record_to_be_retried_does_not_hold_up_the_others_and_is_not_hammered():
    outbox = MemoryOutbox(50)
    uplink = MemoryUplink(lambda seq: Outcome.RETRY if seq == 5 else Outcome.ACKED)
    async with forwarding(uplink, outbox):
        await asyncio.sleep(0.5)
        assert outbox.owed == [5]
        await asyncio.sleep(HOUR_S)
        tries = sum(5 in batch for _, batch in uplink.offered)
        assert 60 < tries < 240
        uplink.behave = lambda seq: Outcome.ACKED
        await asyncio.sleep(61)
        assert outbox.owed == []


@virtual
async def test_a_record_that_fails_alone_is_set_behind_the_others():
    outbox = MemoryOutbox(30)
    uplink = MemoryUplink(lambda seq: LinkError("500") if seq == 3 else Outcome.ACKED, batch_limit=1)
    async with forwarding(uplink, outbox):
        await asyncio.sleep(300)
        assert outbox.owed == [3]


@virtual
async def test_while_the_link_is_down_attempts_become_rare():
    outbox, uplink = MemoryOutbox(5000), MemoryUplink(lambda seq: LinkError("away"))
    async with forwarding(uplink, outbox):
        await asyncio.sleep(HOUR_S)
        first_hour = len(uplink.offered)
        await asyncio.sleep(2 * HOUR_S)
        assert first_hour < 180
        assert len(uplink.offered) - first_hour < 360
        uplink.behave = lambda seq: Outcome.ACKED
        await asyncio.sleep(61)
        await outbox.settled()


@virtual
async def test_the_news_that_the_link_is_back_ends_the_waiting():
    outbox, uplink = MemoryOutbox(5), MemoryUplink(lambda seq: LinkError("away"))
    async with forwarding(uplink, outbox) as forwarder:
        await asyncio.sleep(HOUR_S)
        uplink.behave = lambda seq: Outcome.ACKED
        forwarder.retry_now()
        await asyncio.sleep(0.1)
        assert outbox.owed == []


@virtual
async def test_retry_after_is_honoured_even_when_the_link_is_said_to_be_back():
    outbox, uplink = MemoryOutbox(1), MemoryUplink(lambda seq: LinkError("429", retry_after_s=600))
    async with forwarding(uplink, outbox) as forwarder:
        await asyncio.sleep(1)
        uplink.behave = lambda seq: Outcome.ACKED
        forwarder.retry_now()
        outbox.append()
        await asyncio.sleep(590)
        assert len(uplink.offered) == 1
        await asyncio.sleep(20)
        assert outbox.owed == []


@virtual
async def test_it_pauses_while_the_uplink_is_not_ready():
    outbox, uplink = MemoryOutbox(5), MemoryUplink()
    uplink.ready = False
    async with forwarding(uplink, outbox):
        await asyncio.sleep(HOUR_S)
        outbox.append()
        await asyncio.sleep(1)
        assert uplink.offered == []
        uplink.ready = True
        await asyncio.sleep(0.1)
        assert outbox.owed == []


@virtual
async def test_refused_credentials_leave_the_records_as_they_were():
    outbox = MemoryOutbox(5)
    uplink = MemoryUplink(lambda seq: CredentialsRefused("token_unknown", "who?"))
    async with forwarding(uplink, outbox):
        await asyncio.sleep(0.1)
        uplink.ready = False
        await asyncio.sleep(HOUR_S)
        assert outbox.owed == [1, 2, 3, 4, 5]
        uplink.behave, uplink.ready = lambda seq: Outcome.ACKED, True
        await asyncio.sleep(1)
        assert outbox.owed == []


@virtual
async def test_a_record_that_the_append_signal_missed_is_found_by_the_sweep():
    class Mute(MemoryOutbox):
        async def wait_for_append(self, seen):
            await asyncio.Event().wait()

    outbox, uplink = Mute(), MemoryUplink()
    async with forwarding(uplink, outbox):
        await asyncio.sleep(1)
        outbox.append()
        await asyncio.sleep(5.2)
        assert outbox.owed == []


@virtual
async def test_a_disk_that_keeps_no_outcome_only_sends_again():
    class Full(MemoryOutbox):
        full = True

        async def settle(self, uplink, outcomes):
            if self.full:
                raise StoreError("no room")
            await super().settle(uplink, outcomes)

    outbox, uplink = Full(20), MemoryUplink()
    async with forwarding(uplink, outbox):
        await asyncio.sleep(600)
        assert len(uplink.offered) < 60
        outbox.full = False
        await asyncio.sleep(61)
        assert outbox.owed == []


@virtual
async def test_our_own_mistake_in_an_uplink_goes_up_and_nothing_is_left_running():
    uplink = MemoryUplink(lambda seq: AssertionError("a bug"))
    forwarder = Forwarder(uplink, MemoryOutbox(1), clock=LoopClock(), rng=random.Random(1))
    with pytest.raises(AssertionError, match="a bug"):
        await forwarder.run()
    uplink.behave = lambda seq: Outcome.ACKED
    task = asyncio.create_task(forwarder.run())
    await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert uplink.held == {1}


@virtual
async def test_the_log_hears_of_a_failure_once_not_of_every_try(monkeypatch):
    told = []
    monkeypatch.setattr("scaleledger.app.forwarder.log", Listener(told))
    outbox, uplink = MemoryOutbox(3), MemoryUplink(lambda seq: LinkError("away"))
    async with forwarding(uplink, outbox):
        await asyncio.sleep(HOUR_S)
        uplink.behave = lambda seq: LinkError("500")
        await asyncio.sleep(HOUR_S)
        uplink.behave = lambda seq: Outcome.ACKED
        await asyncio.sleep(61)
    assert told[:2] == [("net.link_error", "away"), ("net.link_error", "500")]
    assert {event for event, _ in told[2:]} == {"net.delivered"}


class Listener:
    def __init__(self, told):
        self.told = told

    def info(self, event, **fields):
        self.told.append((event, fields.get("reason", "")))

    warning = debug = info


VERDICTS = st.sampled_from(
    [Outcome.ACKED, Outcome.RETRY, Outcome.QUARANTINE, "lost", LinkError("x"), LinkError("y", retry_after_s=30)]
)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(VERDICTS, max_size=300),
    st.integers(1, 60),
    st.integers(1, 12),
    st.integers(1, 4),
    st.integers(0, 2**32),
)
def test_whatever_becomes_of_items_all_end_acked_or_quarantined_and_none_acked_unheld(
    verdicts, count, batch_limit, in_flight_limit, seed
):
    async def story():
        left = list(verdicts)
        outbox = MemoryOutbox(count)
        uplink = MemoryUplink(
            lambda seq: left.pop() if left else Outcome.ACKED, batch_limit=batch_limit, in_flight_limit=in_flight_limit
        )
        async with forwarding(uplink, outbox, seed), asyncio.timeout(100 * HOUR_S):
            for _ in range(20):
                outbox.append()
                await asyncio.sleep(random.Random(seed).random() * 3)
                assert outbox.acked <= uplink.held
            await outbox.settled()
        assert outbox.acked <= uplink.held
        assert outbox.acked | set(outbox.quarantined) == set(outbox.records)

    run_virtually(story())


@pytest.mark.parametrize("kind", ["batch", "single", "plain"])
def test_an_outage_of_three_hours_then_silence_then_errors_then_a_portal_loses_and_doubles_nothing(kind):
    async def story():
        books = Books(batch=kind == "batch", plain=kind == "plain")
        weather = Weather(books)
        outbox, identity, clock, rng = MemoryOutbox(), MemoryIdentity(), LoopClock(), random.Random(11)
        async with CentralUplink("http://centre.invalid/", now=clock.now, transport=weather) as uplink:
            life = Lifecycle(uplink, identity, outbox, clock=clock, rng=rng)
            forwarder = Forwarder(uplink, outbox, clock=clock, rng=rng)
            life.on_link_back = forwarder.retry_now

            async def weigh(seconds, every_s=10.0):
                for _ in range(int(seconds / every_s)):
                    outbox.append()
                    await asyncio.sleep(every_s)

            async with running(life, forwarder):
                await weigh(600)
                assert len(outbox.owed) <= 1
                for state, hours in (("away", 3), ("silent", 1), ("500", 1), ("html", 1)):
                    weather.state = state
                    await weigh(hours * HOUR_S)
                    # two parts ask, each about every 30 s on average, singles up to four side by side
                    assert weather.attempts[state] < hours * 1300, state
                weather.state = "up"
                await asyncio.sleep(90)
                assert outbox.owed == []
        assert set(books.held) == {r.uuid for r in outbox.records.values()}
        assert set(books.created.values()) == {1}
        assert (outbox.quarantined, identity.cleared) == ({}, 0)

    run_virtually(story())


def test_backoff_doubles_its_ceiling_up_to_a_cap_and_forgets_on_success():
    class Highest(random.Random):
        def uniform(self, a, b):
            return b

    backoff = Backoff(Highest())
    assert [backoff.next_s() for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]
    backoff.reset()
    assert backoff.next_s() == 0.5
    spread = [Backoff(random.Random(seed)).next_s() for seed in range(50)]
    assert min(spread) < 0.1
    assert 0.4 < max(spread) <= 0.5


RECEIPT = Receipt(3, "9f" * 32, "2026-11-21T02:10:03+00:00", "5c" * 64)


@virtual
async def test_a_receipt_is_handed_on_once_after_the_outcomes_are_kept():
    class Watchful(MemoryOutbox):
        async def keep_receipt(self, uplink, receipt):
            self.receipts.append((uplink, receipt, sorted(self.acked)))

    outbox, uplink = Watchful(3), MemoryUplink()
    uplink.receipt = RECEIPT
    async with forwarding(uplink, outbox):
        await outbox.settled()
        outbox.append()
        await asyncio.sleep(10)
    assert outbox.receipts == [("memory", RECEIPT, [1, 2, 3])]


@virtual
async def test_a_receipt_that_cannot_be_looked_at_does_not_stop_delivery():
    class Unreadable(MemoryOutbox):
        async def keep_receipt(self, uplink, receipt):
            self.receipts.append(receipt)
            raise StoreError("the disk cannot be read")

    outbox, uplink = Unreadable(30), MemoryUplink()
    uplink.receipt = RECEIPT
    async with forwarding(uplink, outbox):
        await outbox.settled()
    assert outbox.receipts == [RECEIPT]
    assert len(outbox.acked) == 30
