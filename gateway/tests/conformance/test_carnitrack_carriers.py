"""What only one of the two carriers does: how often REST asks, how a WebSocket line is kept and ended."""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest

from fakes.carnitrack_cloud import KEY, CloudBooks, MemoryShelf, Silent, Slow, Sound, carnitrack_cloud, soon
from fakes.outbox import batch_of
from fakes.plant_records import START, event_uuid, scale_event
from scaleledger.domain.cloud import SessionMoved, SessionsUnchanged
from scaleledger.domain.errors import ClaimRefused, LinkError
from scaleledger.domain.offline import ONLINE
from scaleledger.domain.session import SessionStatus
from scaleledger.uplinks.carnitrack.acks import Acks
from scaleledger.uplinks.carnitrack.messages import EventAnswered
from scaleledger.uplinks.carnitrack.order import ALONE_MAX, CHOKES, Order
from scaleledger.uplinks.carnitrack.protocol import Event
from scaleledger.uplinks.carnitrack.resources import CloudSettings
from scaleledger.uplinks.carnitrack.rest import Pace, RestCloud
from scaleledger.uplinks.carnitrack.ws import LineTimes, SocketCloud


@asynccontextmanager
async def connected(make, books=None):
    """A cloud and an uplink to it that runs once; `said`, `ends` are what came of it."""
    async with carnitrack_cloud(books) as cloud:
        uplink = make(cloud)
        uplink.said, uplink.ends = [], []

        async def run():
            try:
                await uplink.run(uplink.said.append, lambda _: None)
            except LinkError as error:
                uplink.ends.append(error)

        task = asyncio.create_task(run())
        try:
            await soon(lambda: uplink.up or uplink.ends)
            yield cloud, uplink
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await uplink.close()


def by_rest(**pace):
    return lambda cloud: RestCloud(
        CloudSettings(cloud.rest_url, KEY), MemoryShelf(), lambda _: ONLINE, pace=Pace(**pace)
    )


def by_line(**times):
    return lambda cloud: SocketCloud(
        cloud.url("ws"), CloudSettings(cloud.rest_url, KEY), MemoryShelf(), lambda _: ONLINE, times=LineTimes(**times)
    )


def asked_for_sessions(cloud):
    return [resource for _, resource in cloud.books.calls].count("edge/sessions")


async def test_a_scale_that_registers_is_asked_about_at_once_however_long_the_others_wait():
    async with connected(by_rest(idle_s=60, waiting_s=60, active_s=60)) as (cloud, uplink):
        uplink.watch({"SCALE-01": True})
        await soon(lambda: asked_for_sessions(cloud) == 1)
        uplink.watch({"SCALE-01": True, "SCALE-02": False})
        await soon(lambda: asked_for_sessions(cloud) == 2)
        uplink.watch({"SCALE-01": True, "SCALE-02": True})
        await asyncio.sleep(0.1)
        assert asked_for_sessions(cloud) == 2


async def test_without_a_scale_nobody_is_asked_for_sessions():
    async with connected(by_rest(idle_s=0.02)) as (cloud, uplink):
        await asyncio.sleep(0.2)
        assert asked_for_sessions(cloud) == 0
        assert uplink.up


def test_one_waiting_scale_makes_all_be_asked_for_often():
    pace = Pace(idle_s=120, waiting_s=5, active_s=30)
    assert pace.interval_s({}) == 120
    assert pace.interval_s({"A": True}) == 30
    assert pace.interval_s({"A": True, "B": False}) == 5


def test_the_clouds_wishes_for_the_pace_count_within_reason():
    pace = Pace().told(
        {"sessionPollIntervalActiveMs": 2500, "sessionPollIntervalIdleMs": 0, "sessionPollIntervalWaitingMs": "x"}
    )
    assert (pace.active_s, pace.idle_s, pace.waiting_s) == (2.5, 120.0, 5.0)


async def test_what_did_not_change_is_told_as_unchanged_for_as_long_as_it_lasts():
    async with connected(by_rest(active_s=0.02)) as (_, uplink):
        uplink.watch({"SCALE-01": True})
        await soon(lambda: uplink.said.count(SessionsUnchanged(frozenset({"SCALE-01"}))) >= 3)


async def test_a_six_second_cloud_is_up_and_is_sent_nothing_twice():
    async with connected(by_rest(sign_s=0.3)) as (cloud, uplink):
        cloud.fault = Slow(6.0)
        uplink.watch({"SCALE-01": True})
        found = await uplink.deliver(batch_of(scale_event(1), scale_event(2)))
        assert [o.seq for o in found] == [1, 2]
        assert set(cloud.books.arrivals.values()) == {1}
        assert uplink.up
        assert not uplink.ends


async def test_a_silent_cloud_does_not_keep_a_request_for_longer_than_its_own_time():
    async with connected(by_rest()) as (cloud, uplink):
        cloud.fault = Silent()
        uplink.carrier.whole_s = 0.3
        for _ in range(3):  # the second and third have their own time too
            begun_s = asyncio.get_running_loop().time()
            with pytest.raises(LinkError):
                await uplink.fetch_print_jobs()
            assert asyncio.get_running_loop().time() - begun_s < 5
        cloud.fault = Sound()
        assert await uplink.fetch_plu("")


async def test_a_cloud_without_a_batch_resource_is_sent_each_event_alone():
    async with connected(by_rest(), CloudBooks(missing=("events/batch",))) as (cloud, uplink):
        await uplink.deliver(batch_of(*(scale_event(n) for n in range(1, 6))))
        assert cloud.books.order["SCALE-01"] == [event_uuid(n) for n in range(1, 6)]


async def test_a_claim_code_that_is_not_good_is_said_in_the_clouds_words():
    async with connected(by_rest()) as (cloud, uplink):
        cloud.books.answer = lambda *_: (404, {"error": "this code was used already"})
        with pytest.raises(ClaimRefused, match="used already"):
            await uplink.activate("ABCD")


async def test_a_line_without_pongs_is_closed_with_4000():
    async with connected(by_line(ping_s=0.05, pong_s=0.2)) as (cloud, uplink):
        await asyncio.sleep(0.4)
        assert uplink.up  # pongs come
        cloud.pongs = False
        await soon(lambda: cloud.close_codes)
        assert cloud.close_codes == [4000]
        await soon(lambda: uplink.ends)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (4401, "does not know this edge"),
        (4403, "approve"),
        (4409, "another connection"),
        (1013, "later"),
        (1000, "1000"),
    ],
)
async def test_the_clouds_close_codes_are_told_in_words(code, words):
    async with connected(by_line()) as (cloud, uplink):
        await cloud.links[-1].close(code)
        await soon(lambda: uplink.ends)
        assert words in str(uplink.ends[0])
        assert not uplink.up


async def test_leaving_says_so_and_never_1000():
    async with connected(by_line()) as (cloud, _):
        pass
    assert cloud.close_codes == [1001]


async def test_what_the_cloud_pushes_arrives():
    async with connected(by_line()) as (cloud, uplink):
        await cloud.push("session_ended", {"cloudSessionId": "s", "deviceId": "D", "reason": "completed"})
        await cloud.links[-1].send("no json")
        await cloud.push("no such word", {})
        await cloud.push("session_paused", {"cloudSessionId": "s", "deviceId": "D"})
        await soon(lambda: sum(isinstance(word, SessionMoved) for word in uplink.said) == 2)
        assert uplink.said[-1] == SessionMoved("s", "D", START, SessionStatus.PAUSED)


async def test_a_cloud_that_never_names_the_edge_is_not_registered_at_twice_on_one_line():
    async with carnitrack_cloud() as cloud:
        cloud.fault = Silent()
        uplink = by_line(registered_s=0.1)(cloud)
        with pytest.raises(LinkError, match="by which name"):
            await uplink.run(lambda _: None, lambda _: None)
        assert cloud.books.registrations == [None]
        assert not uplink.up
        await uplink.close()


async def test_several_parts_are_on_their_way_at_once():
    async with connected(by_line()) as (cloud, uplink):
        sent = []
        wrap = uplink._envelope.events
        uplink._envelope.events = lambda part, *more: (sent.append(len(part)), wrap(part, *more))[1]
        cloud.fault = Slow(0.2)
        delivery = asyncio.create_task(uplink.deliver(batch_of(*(scale_event(n) for n in range(1, 201)))))
        await asyncio.sleep(0.1)
        assert sent == [50, 50, 50, 50]
        assert not cloud.books.arrivals
        await delivery
        assert cloud.books.order["SCALE-01"] == [event_uuid(n) for n in range(1, 201)]


def event(seq, device="A", local_id=""):
    return Event(seq, local_id or f"id-{seq}", device, "{}")


def test_newer_events_wait_for_an_older_one_of_the_same_scale_but_not_for_ever():
    order = Order(hold_s=30)
    assert order.admit([event(1), event(2)], {}, 0) == [event(1), event(2)]
    order.note([event(1), event(2)], {}, 1)
    known = {}
    assert order.admit([event(3), event(4, "B")], known, 2) == [event(4, "B")]
    assert list(known) == [3]
    assert order.admit([event(5)], {}, 40) == [event(5)]


def test_what_is_under_way_holds_nobody_up():
    order = Order()
    order.admit([event(1)], {}, 0)
    assert order.admit([event(2)], {}, 0) == [event(2)]


def test_an_event_that_fails_alone_again_and_again_is_put_by_for_a_while():
    order = Order()
    for n in range(ALONE_MAX):
        assert order.admit([event(1)], {}, n) == [event(1)]
        order.note([event(1)], {}, n)
    known = {}
    assert order.admit([event(1)], known, ALONE_MAX) == []
    assert known[1].reason == CHOKES
    assert order.admit([event(1)], {}, ALONE_MAX + 60) == [event(1)]


async def test_two_words_on_one_event_are_never_on_their_way_together():
    acks = Acks(5.0)
    delivery = acks.begin({})
    acks.expect(delivery, [event(1, local_id="x")])
    waiting = asyncio.create_task(acks.clear_of([event(2, local_id="x")]))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    acks.take(EventAnswered("x", "accepted"))
    await asyncio.wait_for(waiting, 1)
    await acks.settled(delivery)
    assert list(delivery.known) == [1]


async def test_a_line_that_ended_tells_all_who_wait():
    acks = Acks(5.0)
    delivery = acks.begin({})
    acks.expect(delivery, [event(1)])
    waiting = asyncio.create_task(acks.settled(delivery))
    await asyncio.sleep(0.01)
    acks.end("gone")
    with pytest.raises(LinkError, match="gone"):
        await asyncio.wait_for(waiting, 1)
