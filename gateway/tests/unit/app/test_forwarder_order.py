"""Where order matters: nothing passes a record that is to be retried, and one that is refused for good costs nothing."""

import asyncio
import random
from contextlib import asynccontextmanager

from fakes.memory_uplink import MemoryUplink
from fakes.outbox import MemoryOutbox
from fakes.virtual_clock import LoopClock, running, virtual
from scaleledger.app.forwarder import ORDER_TRIES, Forwarder
from scaleledger.domain.delivery import Outcome
from scaleledger.domain.errors import LinkError


@asynccontextmanager
async def forwarding(uplink, outbox):
    async with running(Forwarder(uplink, outbox, clock=LoopClock(), rng=random.Random(1), in_order=True)):
        yield


class Unanswered:
    """Answers a batch up to a record of `times`, so many times each, and nothing after it; remembers in which order it took."""

    def __init__(self, times):
        self.left = dict(times)
        self.held = []
        self.cut_s = None

    def __call__(self, seq):
        now_s = asyncio.get_running_loop().time()
        if self.left.get(seq):
            self.left[seq] -= 1
            self.cut_s = now_s
        if self.cut_s == now_s:
            return Outcome.RETRY
        self.held.append(seq)
        return Outcome.ACKED


@virtual
async def test_nothing_passes_a_record_that_is_to_be_retried():
    outbox, judge = MemoryOutbox(100), Unanswered({13: 3, 14: 1, 50: ORDER_TRIES})
    async with forwarding(MemoryUplink(judge, in_flight_limit=1), outbox):
        await outbox.settled()
    assert judge.held == list(range(1, 101))


@virtual
async def test_only_a_record_that_is_never_answered_lets_the_others_pass():
    outbox, judge = MemoryOutbox(30), Unanswered({5: 10_000})
    uplink = MemoryUplink(judge, in_flight_limit=1)
    async with forwarding(uplink, outbox):
        while len(outbox.owed) > 1:
            await asyncio.sleep(1)
    assert outbox.owed == [5]
    first = [batch[0] for _, batch in uplink.offered]
    assert first[1 : ORDER_TRIES + 1] == [5] * ORDER_TRIES, "others passed it too early"


@virtual
async def test_fifty_records_that_are_refused_for_good_cost_the_newer_ones_nothing():
    outbox = MemoryOutbox(75)
    uplink = MemoryUplink(lambda seq: Outcome.QUARANTINE if seq <= 50 else Outcome.ACKED, in_flight_limit=1)
    async with forwarding(uplink, outbox):
        await asyncio.sleep(2)
    assert outbox.acked == set(range(51, 76))
    assert set(outbox.quarantined) == set(range(1, 51))
    assert all(
        seq not in later
        for n, (_, batch) in enumerate(uplink.offered)
        for seq in batch
        for _, later in uplink.offered[n + 1 :]
    )


@virtual
async def test_a_cloud_that_takes_six_seconds_is_sent_nothing_twice():
    outbox, uplink = MemoryOutbox(250), MemoryUplink(batch_limit=50, in_flight_limit=1, latency_s=6.0)
    async with forwarding(uplink, outbox):
        await asyncio.sleep(40)
    sent = [seq for _, batch in uplink.offered for seq in batch]
    assert sent == list(range(1, 251))


@virtual
async def test_what_was_in_flight_at_a_crash_goes_out_at_once_after_the_start():
    outbox, dead = MemoryOutbox(10), MemoryUplink(in_flight_limit=1, latency_s=3600.0)
    async with forwarding(dead, outbox):
        await asyncio.sleep(60)
    alive = MemoryUplink(in_flight_limit=1)
    began = asyncio.get_running_loop().time()
    async with forwarding(alive, outbox):
        await outbox.settled()
    assert alive.offered[0] == (began, list(range(1, 11)))


@virtual
async def test_a_lost_link_ends_in_the_same_order():
    outbox, fails = MemoryOutbox(40), iter([LinkError("away")] * 6)
    order = []

    def judge(seq):
        failure = next(fails, None)
        if failure is None:
            order.append(seq)
        return failure or Outcome.ACKED

    async with forwarding(MemoryUplink(judge, in_flight_limit=1), outbox):
        await outbox.settled()
    assert order == list(range(1, 41))
