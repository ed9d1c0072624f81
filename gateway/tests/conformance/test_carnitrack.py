"""What both carriers of the CarniTrack contract promise, held against each and against each fault of the cloud.

A carrier is added to `WAYS`.
"""

import asyncio
import logging
import random
from collections import Counter
from contextlib import suppress

import pytest

from fakes import carnitrack_cloud as fakes
from fakes.carnitrack_cloud import KEY, SITE, CloudBooks, MemoryShelf, carnitrack_cloud, soon
from fakes.outbox import MemoryOutbox, batch_of, weighing
from fakes.plant_records import START, event_uuid, scale_event
from fakes.virtual_clock import LoopClock, running
from scaleledger.app import plant_ports, ports
from scaleledger.app.forwarder import Forwarder
from scaleledger.domain.cloud import (
    BatchAnswer,
    BatchBegins,
    BatchEnds,
    ConfigChanged,
    DeviceAlive,
    DeviceConnected,
    DeviceDisconnected,
    PrinterOffer,
    PrintOutcome,
    SessionList,
)
from scaleledger.domain.delivery import Outcome
from scaleledger.domain.errors import LinkError, NotOffered
from scaleledger.domain.offline import ONLINE, EventContext
from scaleledger.domain.weighing import Kind
from scaleledger.uplinks.carnitrack.resources import CloudSettings
from scaleledger.uplinks.carnitrack.rest import Pace, RestCloud
from scaleledger.uplinks.carnitrack.ws import LineTimes, SocketCloud

WAYS = ("rest", "ws")
ACKED, RETRY, QUARANTINE, NOT_OWED = Outcome.ACKED, Outcome.RETRY, Outcome.QUARANTINE, Outcome.NOT_OWED
BATCH = BatchEnds(
    "0192f0c1-7a00-7000-8000-00000000000b", "SCALE-01", START, START, 2, 2500, (event_uuid(1), event_uuid(2))
)
way = pytest.mark.parametrize("way", WAYS)


def uplink_to(cloud, way, shelf, context_of=lambda _: ONLINE, *, api_key=KEY, hasty=False):
    settings = CloudSettings(cloud.rest_url, api_key, site_name="Main")
    if way == "rest":
        uplink = RestCloud(settings, shelf, context_of, pace=Pace(sign_s=0.2, idle_sign_s=0.2) if hasty else Pace())
    else:
        times = LineTimes(0.1, 0.3, 0.4, 0.5) if hasty else LineTimes()
        uplink = SocketCloud(cloud.url("ws"), settings, shelf, context_of, times=times)
    if hasty:
        uplink.carrier.allow_silence(0.4)
        uplink.carrier.whole_s = 0.8
    return uplink


class Life:
    """What the application does with an uplink: run it again whenever it ended, until the block is left."""

    def __init__(self, uplink):
        self.uplink = uplink
        self.said, self.changes, self.ends = [], [], []
        self.on_up = lambda: None

    def changed(self, up):
        self.changes.append(up)
        assert self.uplink.up == up
        if up:
            self.on_up()

    async def run(self):
        while True:
            with suppress(LinkError):
                try:
                    await self.uplink.run(self.said.append, self.changed)
                except LinkError as error:
                    self.ends.append(error)
                    raise
            await asyncio.sleep(0.02)

    async def __aenter__(self):
        self._task = asyncio.create_task(self.run())
        return self

    async def __aexit__(self, *_):
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        await self.uplink.close()


class Connected:
    """A cloud, an uplink that runs to it, and what was said."""

    def __init__(self, way, books=None, shelf=None, *, hasty=False, wait=True, **given):
        self.way, self.wait, self.given = way, wait, given | {"hasty": hasty}
        self._serving, self.shelf = carnitrack_cloud(books), shelf or MemoryShelf()

    async def __aenter__(self):
        self.cloud = await self._serving.__aenter__()
        self.books = self.cloud.books
        self.uplink = uplink_to(self.cloud, self.way, self.shelf, **self.given)
        self.life = Life(self.uplink)
        await self.life.__aenter__()
        if self.wait:
            await soon(lambda: self.uplink.up)
        return self

    async def __aexit__(self, *error):
        await self.life.__aexit__(*error)
        await self._serving.__aexit__(*error)


def outcomes_of(found):
    return [o.outcome for o in found]


@way
async def test_it_is_what_the_application_asks_for(way):
    async with Connected(way) as c:
        for port in (ports.Uplink, plant_ports.Cloud):
            for name in (n for n in vars(port) if not n.startswith("_")):
                assert hasattr(c.uplink, name), f"{port.__name__}.{name}"
        assert c.uplink.name == "carnitrack"


@way
async def test_one_outcome_per_record_in_order_and_the_cloud_holds_each_event_once(way):
    async with Connected(way) as c:
        found = await c.uplink.deliver(batch_of(*(scale_event(n) for n in range(1, 121))))
        assert [o.seq for o in found] == list(range(1, 121))
        assert set(outcomes_of(found)) == {ACKED}
        assert set(c.books.accepted.values()) == {1}
        assert len(c.books.events) == 120
        assert c.books.largest_batch <= 50


@way
async def test_a_single_event_goes_alone_with_all_that_the_scale_printed(way):
    async with Connected(way) as c:
        assert outcomes_of(await c.uplink.deliver(batch_of(scale_event(1, session="s-9")))) == [ACKED]
        event = c.books.events[event_uuid(1)]
        assert event["globalDeviceId"] == f"{SITE}-SCALE-01"
        assert (event["weightGrams"], event["grossGrams"], event["tareGrams"]) == (1250, 1300, 50)
        assert (event["operator"], event["company"], event["flags"]) == ("Ayşe", "Örnek Et", ["2", "0", "N"])
        assert event["cloudSessionId"] == "s-9"
        assert c.books.largest_batch in (0, 1)


@way
async def test_events_of_an_offline_batch_say_so(way):
    def context_of(record):
        return EventContext(offline=True, batch_id=BATCH.batch_id) if record.seq == 1 else ONLINE

    async with Connected(way, context_of=context_of) as c:
        await c.uplink.deliver(batch_of(scale_event(1), scale_event(2)))
        told = [(e["offlineMode"], e["offlineBatchId"]) for e in c.books.events.values()]
        assert told == [(True, BATCH.batch_id), (False, None)]


@way
async def test_an_event_that_is_held_already_is_acked(way):
    async with Connected(way) as c:
        batch = batch_of(scale_event(1), scale_event(2))
        assert await c.uplink.deliver(batch) == await c.uplink.deliver(batch)
        assert set(c.books.accepted.values()) == {1}


@way
async def test_a_rejected_event_is_set_aside_and_the_others_pass(way):
    async with Connected(way) as c:
        c.books.rejects.add(event_uuid(2))
        found = await c.uplink.deliver(batch_of(*(scale_event(n) for n in (1, 2, 3))))
        assert outcomes_of(found) == [ACKED, QUARANTINE, ACKED]
        assert "no such product" in found[1].reason
        assert outcomes_of(await c.uplink.deliver(batch_of(scale_event(2)))) == [QUARANTINE]


@way
async def test_records_of_other_stations_are_no_events(way):
    async with Connected(way) as c:
        found = await c.uplink.deliver(batch_of(weighing(1), scale_event(2)))
        assert outcomes_of(found) == [NOT_OWED, ACKED]
        assert list(c.books.events) == [event_uuid(2)]


@way
async def test_a_correction_follows_its_event_as_a_revision_never_in_the_same_part(way):
    async with Connected(way) as c:
        late = scale_event(3, number=1, kind=Kind.CORRECTION, session="s-1", reason="late-session")
        found = await c.uplink.deliver(batch_of(scale_event(1), scale_event(2), late))
        assert set(outcomes_of(found)) == {ACKED}
        assert c.books.revisions == {event_uuid(1): [3]}
        assert c.books.events[event_uuid(1)]["cloudSessionId"] is None
        assert c.books.repeats_in_batch == 0


@way
async def test_a_rejected_event_does_not_settle_the_correction_that_travels_behind_it(way):
    async with Connected(way) as c:
        c.books.rejects.add(event_uuid(1))
        late = scale_event(2, number=1, kind=Kind.CORRECTION, session="s-1", reason="late-session")
        assert outcomes_of(await c.uplink.deliver(batch_of(scale_event(1), late))) == [QUARANTINE, QUARANTINE]
        assert c.books.arrivals[event_uuid(1)] == 2


@way
async def test_it_registers_once_and_keeps_its_name_for_good(way):
    shelf = MemoryShelf()
    books = CloudBooks()
    async with Connected(way, books, shelf) as c:
        await c.uplink.deliver(batch_of(scale_event(1)))
        assert books.registrations == [None]
        assert shelf.edge_id in books.edges
    async with Connected(way, books, shelf) as c:
        assert books.registrations == [None, shelf.edge_id]
        assert outcomes_of(await c.uplink.deliver(batch_of(scale_event(2)))) == [ACKED]
    assert len(books.edges) == 1


@way
async def test_a_line_that_breaks_again_and_again_leaves_no_orphan_edge(way):
    async with Connected(way, hasty=True) as c:
        for _ in range(3):
            await c.cloud.go_away()
            await soon(lambda: not c.uplink.up)
            await c.cloud.come_back()
            await soon(lambda: c.uplink.up)
        assert c.books.registrations.count(None) == 1
        assert len(c.books.edges) == 1


@way
async def test_what_the_cloud_forgot_is_registered_anew_once_and_no_record_is_touched(way):
    async with Connected(way) as c:
        first = c.shelf.edge_id
        c.books.forget_edges()
        if way == "ws":
            await c.cloud.links[-1].close(4401)
            await soon(lambda: not c.uplink.up)
            await soon(lambda: c.uplink.up)
        jobs = [c.uplink.fetch_print_jobs(), c.uplink.fetch_plu(""), c.uplink.fetch_print_jobs()]
        await asyncio.gather(*jobs)
        assert outcomes_of(await c.uplink.deliver(batch_of(scale_event(1)))) == [ACKED]
        assert c.books.registrations.count(None) == 2
        assert c.shelf.edge_id != first
        assert {c.shelf.edge_id} == c.books.edges


@way
async def test_a_wrong_key_changes_nothing_and_is_told_nowhere(way, caplog, capsys):
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.WARNING, "websockets")  # as the product's own logging does
    shelf = MemoryShelf()
    await shelf.keep("carnitrack.edge_id", "7f1c6f0a-2f4b-4b43-9a65-0d6a5a1c9b11")
    wrong = "k-wrong-5f1e"
    async with Connected(way, shelf=shelf, api_key=wrong, wait=False) as c:
        await soon(lambda: len(c.life.ends) >= 2)
        assert not c.uplink.up
        assert shelf.edge_id == "7f1c6f0a-2f4b-4b43-9a65-0d6a5a1c9b11"
        said = caplog.text + repr(c.life.ends) + "".join(capsys.readouterr()) + repr(c.uplink._settings)
        assert any("key" in str(end) for end in c.life.ends)
        assert wrong not in said
        assert len(c.books.edges) == 0


@way
async def test_the_key_goes_to_the_cloud_in_its_header(way):
    async with Connected(way) as c:
        assert c.uplink.up
        if way == "ws":
            assert c.cloud.last_headers["authorization"] == f"Bearer {KEY}"
            assert c.cloud.last_headers["x-client-type"] == "carnitrack-edge"
            assert "x-edge-id" not in c.cloud.last_headers


@way
async def test_a_gateway_that_nobody_approved_is_told_so(way):
    books = CloudBooks()
    books.approved = False
    async with Connected(way, books, wait=False) as c:
        if way == "rest":
            await soon(lambda: c.uplink.up)
            with pytest.raises(LinkError, match="approve"):
                await c.uplink.deliver(batch_of(scale_event(1)))
        else:
            await soon(lambda: c.life.ends)
            assert "approve" in str(c.life.ends[0])


@way
@pytest.mark.parametrize("fault", [fakes.Silent, fakes.Portal, lambda: fakes.Portal(302), lambda: fakes.Portal(401)])
async def test_a_cloud_that_says_nothing_believable_is_down_soon_and_nothing_is_settled(way, fault):
    async with Connected(way, hasty=True) as c:
        name = c.shelf.edge_id
        c.cloud.fault = fault()
        c.cloud.pongs = False
        with pytest.raises(LinkError):
            await c.uplink.deliver(batch_of(scale_event(1), scale_event(2)))
        await soon(lambda: not c.uplink.up, within_s=3)
        with pytest.raises(LinkError):
            await c.uplink.deliver(batch_of(scale_event(1)))
        assert c.shelf.edge_id == name
        c.cloud.fault, c.cloud.pongs = fakes.Sound(), True
        await soon(lambda: c.uplink.up)
        assert outcomes_of(await c.uplink.deliver(batch_of(scale_event(1), scale_event(2)))) == [ACKED, ACKED]
        assert c.books.registrations.count(None) == 1


@way
async def test_a_cloud_that_went_away_is_down_at_once_and_up_when_it_is_back(way):
    async with Connected(way, hasty=True) as c:
        await c.cloud.go_away()
        await soon(lambda: not c.uplink.up, within_s=2)
        ready = asyncio.create_task(c.uplink.wait_ready())
        await asyncio.sleep(0.1)
        assert not ready.done()
        await c.cloud.come_back()
        await asyncio.wait_for(ready, 5)
        assert c.life.changes == [True, False, True]


@way
async def test_a_slow_cloud_is_sent_nothing_twice(way):
    async with Connected(way) as c:
        c.cloud.fault = fakes.Slow(0.3)
        found = await c.uplink.deliver(batch_of(*(scale_event(n) for n in range(1, 151))))
        assert set(outcomes_of(found)) == {ACKED}
        assert set(c.books.arrivals.values()) == {1}
        assert c.uplink.up


@way
async def test_a_cloud_that_works_slowly_through_a_queue_is_not_a_silent_one(way):
    async with Connected(way, hasty=True) as c:
        c.cloud.fault = fakes.Slow(0.25)  # four parts take longer than one answer may
        found = await c.uplink.deliver(batch_of(*(scale_event(n) for n in range(1, 201))))
        assert set(outcomes_of(found)) == {ACKED}
        assert set(c.books.arrivals.values()) == {1}


@way
async def test_a_reply_that_is_lost_after_the_events_were_taken_doubles_nothing(way):
    async with Connected(way) as c:
        c.cloud.fault = fakes.DropsReply(1)
        records = [scale_event(n) for n in range(1, 4)]
        outbox, forwarder = MemoryOutbox(), None
        for record in records:
            outbox.append(record)
        forwarder = Forwarder(c.uplink, outbox, clock=LoopClock(), rng=random.Random(1))
        c.life.on_up = c.uplink.retry = forwarder.retry_now
        async with running(forwarder):
            await asyncio.wait_for(outbox.settled(), 10)
        assert outbox.acked == {1, 2, 3}
        assert set(c.books.accepted.values()) == {1}
        assert c.books.arrivals[event_uuid(1)] == 2


@way
async def test_a_batch_that_is_answered_by_half_settles_that_half(way):
    async with Connected(way, hasty=True) as c:
        c.cloud.fault = fakes.AnswersHalf()
        found = await c.uplink.deliver(batch_of(*(scale_event(n) for n in range(1, 7))))
        assert outcomes_of(found) == [ACKED, RETRY] * 3
        assert all(o.reason for o in found if o.outcome is RETRY) or way == "ws"


@way
async def test_what_is_not_settled_is_not_overtaken_by_newer_events_of_the_same_scale(way):
    async with Connected(way, hasty=True) as c:
        c.cloud.fault = fakes.AnswersHalf()
        await c.uplink.deliver(batch_of(scale_event(1), scale_event(2)))
        await soon(lambda: c.uplink.up)
        c.cloud.fault = fakes.Sound()
        found = await c.uplink.deliver(batch_of(scale_event(3), scale_event(4, "SCALE-02")))
        assert outcomes_of(found) == [RETRY, ACKED]
        assert event_uuid(3) not in c.books.events
        found = await c.uplink.deliver(batch_of(scale_event(2), scale_event(3)))
        assert outcomes_of(found) == [ACKED, ACKED]
        assert c.books.order["SCALE-01"] == [event_uuid(n) for n in (1, 2, 3)]


@way
async def test_an_event_that_the_cloud_chokes_on_does_not_stop_the_others(way):
    async with Connected(way, hasty=True) as c:
        c.uplink._order.hold_s, c.uplink._portion.size = 0.2, 1
        c.cloud.fault = fakes.FailsEvents(event_uuid(3))
        outbox = MemoryOutbox()
        for n in range(1, 9):
            outbox.append(scale_event(n, f"SCALE-0{n % 2 + 1}"))
        forwarder = Forwarder(c.uplink, outbox, clock=LoopClock(), rng=random.Random(1), sweep_interval_s=0.2)
        c.life.on_up = c.uplink.retry = forwarder.retry_now
        async with running(forwarder):
            await soon(lambda: outbox.owed == [3], within_s=60)
        assert set(c.books.accepted.values()) == {1}


@way
async def test_the_first_programs_bare_words_are_understood(way):
    async with Connected(way, CloudBooks(bare=True, needs_key=False)) as c:
        c.books.rejects.add(event_uuid(3))
        assert c.shelf.edge_id in c.books.edges
        assert outcomes_of(await c.uplink.deliver(batch_of(scale_event(1)))) == [ACKED]
        found = await c.uplink.deliver(batch_of(scale_event(2), scale_event(3), scale_event(4)))
        assert outcomes_of(found) == [ACKED, QUARANTINE, ACKED]


@way
async def test_a_missing_resource_says_nothing_of_the_link_nor_of_the_others(way):
    missing = ("print-jobs", "plu", "devices", "heartbeat", "printers")
    async with Connected(way, CloudBooks(missing=missing)) as c:
        for _ in range(20):
            for asking in (c.uplink.fetch_print_jobs, lambda: c.uplink.fetch_plu("")):
                with pytest.raises(NotOffered):
                    await asking()
            with pytest.raises(NotOffered):
                await c.uplink.heartbeat("ok", 1.0, [], [])
            c.uplink.tell(DeviceConnected("SCALE-01", "192.0.2.31", "disassembly"))
            assert outcomes_of(await c.uplink.deliver(batch_of(scale_event(1)))) == [ACKED]
        assert c.life.changes == [True]
        asked = Counter(resource for _, resource in c.books.calls)
        assert asked["edge/print-jobs/pending"] == 1  # asked again after a while only
        assert asked["edge/plu"] == 1


@way
async def test_a_cloud_that_asks_for_patience_is_left_alone_there_and_is_not_down(way):
    async with Connected(way) as c:
        c.cloud.fault = fakes.AsksPatience(1, "print-jobs", "60")
        for _ in range(3):
            with pytest.raises(LinkError) as asked:
                await c.uplink.fetch_print_jobs()
            assert 58 <= asked.value.retry_after_s <= 60
        assert [resource for _, resource in c.books.calls].count("edge/print-jobs/pending") == 0
        assert await c.uplink.fetch_plu("")
        assert c.life.changes == [True]


@way
async def test_sessions_reach_the_application(way):
    books = CloudBooks()
    books.sessions = [{"cloudSessionId": "s-1", "deviceId": "SCALE-01", "status": "active", "startedAt": fakes.AT}]
    async with Connected(way, books) as c:
        c.uplink.watch({"SCALE-01": False})
        await soon(lambda: any(isinstance(word, SessionList) for word in c.life.said))
        found = next(word for word in c.life.said if isinstance(word, SessionList))
        assert [(s.session_id, s.device_id, s.started_at) for s in found.sessions] == [("s-1", "SCALE-01", START)]
        assert found.devices == (frozenset({"SCALE-01"}) if way == "rest" else None)


@way
async def test_devices_are_told_under_their_global_names(way):
    async with Connected(way) as c:
        c.uplink.tell(DeviceConnected("SCALE-01", "192.0.2.31", "disassembly"))
        c.uplink.tell(DeviceAlive("SCALE-01", "online", 7, 3, START))
        c.uplink.tell(DeviceDisconnected("SCALE-01", "silence", START))
        await soon(lambda: len(c.books.told) == 3)
        assert {told["globalDeviceId"] for told in c.books.told} == {f"{SITE}-SCALE-01"}
        assert c.books.told[1]["heartbeatCount"] == 7
        assert c.books.told[2]["reason"] == "silence"


@way
async def test_what_is_told_without_a_link_is_dropped(way):
    async with Connected(way, hasty=True) as c:
        await c.cloud.go_away()
        await soon(lambda: not c.uplink.up)
        for _ in range(5_000):
            c.uplink.tell(DeviceAlive("SCALE-01", "online", 1, 1, START))
        await c.cloud.come_back()
        await soon(lambda: c.uplink.up)
        c.uplink.tell(DeviceAlive("SCALE-01", "online", 2, 1, START))
        await soon(lambda: c.books.told)
        assert [told["heartbeatCount"] for told in c.books.told] == [2]


@way
async def test_an_offline_batch_is_settled_when_the_cloud_misses_nothing_of_it(way):
    async with Connected(way) as c:
        c.uplink.tell(BatchBegins(BATCH.batch_id, "SCALE-01", START))
        assert (await c.uplink.settle_batch(BATCH)).complete
        assert c.books.batches[0]["eventIds"] == list(BATCH.event_ids)
        assert (c.books.batches[0]["eventCount"], c.books.batches[0]["totalWeightGrams"]) == (2, 2500)
        c.books.missing_in_batch = [event_uuid(2)]
        assert await c.uplink.settle_batch(BATCH) == BatchAnswer(complete=False, missing=frozenset({event_uuid(2)}))


@way
async def test_a_first_cloud_is_asked_for_an_offline_batch_as_it_understands(way):
    async with Connected(way, CloudBooks(bare=True), hasty=True) as c:
        assert (await c.uplink.settle_batch(BATCH)).complete


@way
async def test_products_are_fetched_once_per_version(way):
    async with Connected(way) as c:
        found = await c.uplink.fetch_plu("")
        assert (found.version, [item.name for item in found.items]) == ("v1", ["KIYMA"])
        assert await c.uplink.fetch_plu("v1") is None
        c.books.plu = {"version": "v2", "items": []}
        assert (await c.uplink.fetch_plu("v1")).version == "v2"
        assert (await c.uplink.fetch_plu("")).version == "v2"


@way
async def test_print_jobs_come_in_their_own_bytes_and_are_answered(way):
    async with Connected(way) as c:
        c.books.jobs = [
            {"jobId": "j-1", "targetRole": "meat_cut", "prnBase64": "QklUTUFQIP8A", "prnContent": "?", "labelCount": 2},
            {"jobId": "j-2", "targetRole": "meat_cut", "prnBase64": "no base64!", "prnContent": "?"},
        ]
        for _ in range(2):
            (job,) = await c.uplink.fetch_print_jobs()
            assert (job.global_job_id, job.content, job.label_count) == ("j-1", b"BITMAP \xff\x00", 2)
        await c.uplink.tell_print_job(PrintOutcome("j-1", "completed", START, "g-1", 1))
        assert c.books.job_acks == [
            (
                "j-1",
                {
                    "status": "completed",
                    "printedAt": fakes.AT.replace("+", ".000000+"),
                    "resolvedPrinter": "g-1",
                    "attempts": 1,
                },
            )
        ]
        printer = PrinterOffer("p1", "meat_cut", "192.0.2.9", 9100, "TSPL", "online")
        assert await c.uplink.offer_printers([printer]) == {"p1": "g-p1"}


@way
async def test_the_clouds_limit_for_a_batch_is_kept(way):
    async with Connected(way, CloudBooks(config={"maxBatch": 200})) as c:
        for first in range(1, 1600, 200):
            await c.uplink.deliver(batch_of(*(scale_event(n) for n in range(first, first + 200))))
        assert c.books.largest_batch == 200
        assert ConfigChanged({"maxBatch": 200}) in c.life.said


@way
@pytest.mark.parametrize("count", [2_000, pytest.param(10_000, marks=pytest.mark.nightly)])
async def test_a_soak_with_faults_loses_nothing_doubles_nothing_and_keeps_each_scales_order(way, count):
    rng = random.Random(7)
    async with Connected(way) as c:
        c.uplink._order.hold_s = 600.0
        c.cloud.fault = fakes.DropsAtRandom(rng, 0.1)
        c.books.rejects.update(event_uuid(n) for n in range(97, count, 97))
        outbox = MemoryOutbox()
        forwarder = Forwarder(c.uplink, outbox, clock=LoopClock(), rng=rng, sweep_interval_s=0.5)
        c.life.on_up = c.uplink.retry = forwarder.retry_now
        async with running(forwarder):
            for n in range(1, count + 1):
                outbox.append(scale_event(n, f"SCALE-{rng.randrange(1, 9):02d}"))
                if n % 50 == 0:
                    await asyncio.sleep(0)
            await soon(lambda: len(outbox.owed) == 0, within_s=110)
        assert set(outbox.quarantined) == set(range(97, count, 97))
        assert len(c.books.events) == count - len(outbox.quarantined)
        assert set(c.books.accepted.values()) == {1}
        for ids in c.books.order.values():
            assert ids == sorted(ids)


@way
async def test_a_backlog_drains_at_hundreds_of_events_a_second_in_each_scales_order(way):
    """Twenty a second, as where a timer sends fifty now and then, would take a hundred seconds."""
    async with Connected(way) as c:
        outbox = MemoryOutbox()
        for n in range(1, 2_001):
            outbox.append(scale_event(n, f"SCALE-{n % 7 + 1:02d}"))
        forwarder = Forwarder(c.uplink, outbox, clock=LoopClock(), rng=random.Random(1))
        async with running(forwarder):
            await soon(lambda: not outbox.owed, within_s=10)
        assert all(ids == sorted(ids) for ids in c.books.order.values())
