"""One batch at a time: what is refused for good, or is never answered, costs the others nothing, and the order stays."""

import asyncio
import json
import random
from contextlib import asynccontextmanager

import httpx2

from fakes.carnitrack_cloud import MemoryShelf
from fakes.memory_uplink import MemoryUplink
from fakes.outbox import MemoryOutbox
from fakes.plant_records import event_uuid, scale_event
from fakes.virtual_clock import LoopClock, running, virtual
from scaleledger.app.forwarder import Forwarder
from scaleledger.domain.delivery import Outcome
from scaleledger.domain.errors import LinkError
from scaleledger.domain.offline import ONLINE
from scaleledger.uplinks.carnitrack.resources import CloudSettings
from scaleledger.uplinks.carnitrack.rest import RestCloud


@asynccontextmanager
async def forwarding(uplink, outbox):
    async with running(Forwarder(uplink, outbox, clock=LoopClock(), rng=random.Random(1))):
        yield


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


class ChokesOn:
    """A cloud over REST that fails at every body with one event in it; remembers when it took each of the others."""

    def __init__(self, event_id):
        self.event_id, self.taken = event_id, {}

    def __call__(self, request):
        if request.url.path.endswith("/register"):
            return self.said(200, {"edgeId": "0192f0c1-7a00-7000-8000-000000000001", "siteId": "s", "config": {}})
        if "/events" not in request.url.path:
            return self.said(200, {})
        body = json.loads(request.content)
        ids = [event["localEventId"] for event in body.get("events", [body])]
        if self.event_id in ids:
            return self.said(500, {})
        results = [{"localEventId": each, "cloudEventId": "c", "status": "accepted"} for each in ids]
        for each in ids:
            self.taken.setdefault(each, asyncio.get_running_loop().time())
        return self.said(200, {"results": results} if "events" in body else results[0])

    @staticmethod
    def said(status, body):
        async def stream():
            yield json.dumps(body).encode()

        return httpx2.Response(status, content=stream(), headers={"content-type": "application/json"})


@virtual
async def test_an_event_that_the_cloud_always_fails_at_holds_up_no_scale_for_more_than_a_minute():
    cloud, outbox, weighed_s = ChokesOn(event_uuid(30)), MemoryOutbox(), {}
    uplink = RestCloud(
        CloudSettings("http://cloud.test", ""), MemoryShelf(), lambda _: ONLINE, transport=httpx2.MockTransport(cloud)
    )
    forwarder = Forwarder(uplink, outbox, clock=LoopClock(), rng=random.Random(1))
    uplink.retry = forwarder.retry_now
    link = asyncio.create_task(uplink.run(lambda _: None, lambda _: None))
    async with running(forwarder):
        for n in range(1, 401):
            outbox.append(scale_event(n, f"SCALE-0{n % 3 + 1}"))
            weighed_s[event_uuid(n)] = asyncio.get_running_loop().time()
            await asyncio.sleep(1)
        await asyncio.sleep(60)
    link.cancel()
    await asyncio.wait({link})
    await uplink.close()
    assert outbox.owed == [30]
    waited_s = [cloud.taken[each] - since_s for each, since_s in weighed_s.items() if each != cloud.event_id]
    assert max(waited_s) < 60
    for scale in range(3):
        mine = [event_uuid(n) for n in range(1, 401) if n % 3 == scale and n != 30]
        assert sorted(mine, key=lambda each: (cloud.taken[each], each)) == mine
