"""What every uplink promises, held against each way of speaking with a centre and each fault of the way there.

A new uplink is added to `WAYS`; a new fault to `PASSING` (it ends by itself) or `LASTING`.
"""

import asyncio
import gc
import json
import random
import socket

import pytest

from fakes import centre as fakes
from fakes.centre import Books, serving
from fakes.outbox import MAC, MemoryIdentity, MemoryOutbox, batch_of, weighing
from fakes.proved_books import GATEWAY_KEY, ProvedBooks
from fakes.virtual_clock import LoopClock, running
from scaleledger.app.forwarder import Forwarder
from scaleledger.app.lifecycle import Lifecycle
from scaleledger.domain.assignment import Assignment
from scaleledger.domain.catalogue import Catalogue
from scaleledger.domain.delivery import Outcome
from scaleledger.domain.errors import CredentialsRefused, Disbelieved, LinkError, NotOffered
from scaleledger.domain.standing import Introduction, Standing
from scaleledger.uplinks.central.client import CentralUplink

INTRODUCTION = Introduction(MAC, "dock-pc", "192.0.2.10", "Dock", GATEWAY_KEY.public)
WAYS = {
    "batch": lambda: Books(knows_mac=True),
    "single": lambda: Books(batch=False, knows_mac=True),
    "plain": lambda: Books(plain=True, knows_mac=True),
    "proved": ProvedBooks,
}
LASTING = {
    "silent": fakes.Silent,
    "portal-200": lambda: fakes.AnswersHtml(200),
    "portal-302": lambda: fakes.AnswersHtml(302),
    "portal-401": lambda: fakes.AnswersHtml(401),
    "portal-403": lambda: fakes.AnswersHtml(403),
    "portal-404": lambda: fakes.AnswersHtml(404),
    "proxy-401": lambda: fakes.BareRefusal(401),
    "proxy-403": lambda: fakes.BareRefusal(403),
    "500": fakes.Answers500,
    "trickle": fakes.SlowTrickle,
    "endless": fakes.Endless,
}
PASSING = {
    "loses-reply": lambda: fakes.LosesReply(2),
    "half-body": lambda: fakes.HalfBody(2),
    "half-json": lambda: fakes.HalfJson(2),
    "refuses-401": fakes.Refuses401,
    "rate-limit": lambda: fakes.RateLimits429(2),
}
way = pytest.mark.parametrize("way", WAYS)


def uplink_to(url):
    return CentralUplink(url, mac_address=MAC, sign=GATEWAY_KEY.sign)


class Connected:
    """A centre, an uplink to it that knows what it offers, and a token."""

    def __init__(self, way, fault=None):
        self._serving, self._fault = serving(WAYS[way]()), fault

    async def __aenter__(self):
        self.centre = await self._serving.__aenter__()
        self.books = self.centre.books
        self.uplink = uplink_to(self.centre.url)
        self.uplink.use_token((await self.uplink.sync(INTRODUCTION, None)).token)
        if self._fault is not None:
            self.hurry(hasty=True)
            self.centre.fault = self._fault
        return self

    def hurry(self, *, hasty):
        """Hasty to meet a fault that only time ends; a sound centre is given all the time a busy machine takes."""
        self.uplink.carrier.allow_silence(0.4 if hasty else 5.0)
        self.uplink.carrier.whole_s = 0.8 if hasty else 30.0

    def heal(self):
        self.centre.fault = fakes.Answers()
        self.hurry(hasty=False)

    async def __aexit__(self, *error):
        await self.uplink.close()
        await self._serving.__aexit__(*error)


def outcomes_of(found):
    return [o.outcome for o in found]


@way
async def test_one_outcome_per_record_in_order(way):
    async with Connected(way) as c:
        found = await c.uplink.deliver(batch_of(*map(weighing, range(1, 21))))
        assert [o.seq for o in found] == list(range(1, 21))
        assert set(outcomes_of(found)) == {Outcome.ACKED}
        assert set(c.books.created.values()) == {1}
        assert len(c.books.held) == 20


@way
async def test_a_record_that_is_held_already_is_acked(way):
    async with Connected(way) as c:
        batch = batch_of(weighing(1), weighing(2))
        assert await c.uplink.deliver(batch) == await c.uplink.deliver(batch)
        assert set(c.books.created.values()) == {1}


@way
async def test_a_refused_record_is_quarantined_with_the_centres_words_and_the_others_pass(way):
    async with Connected(way) as c:
        c.books.poison.add(weighing(2).uuid)
        found = await c.uplink.deliver(batch_of(weighing(1), weighing(2), weighing(3)))
        assert outcomes_of(found) == [Outcome.ACKED, Outcome.QUARANTINE, Outcome.ACKED]
        assert "invalid" in found[1].reason


@way
async def test_other_content_under_a_held_uuid_is_quarantined(way):
    async with Connected(way) as c:
        await c.uplink.deliver(batch_of(weighing(1)))
        found = await c.uplink.deliver(batch_of(weighing(1, weight="152.51")))
        assert outcomes_of(found) == [Outcome.QUARANTINE]


@way
@pytest.mark.parametrize("fault", LASTING)
async def test_while_nothing_believable_comes_nothing_is_known_and_the_token_is_kept(way, fault):
    async with Connected(way, LASTING[fault]()) as c:
        with pytest.raises(LinkError):
            await c.uplink.deliver(batch_of(*map(weighing, range(1, 6))))
        assert c.uplink.ready
        c.heal()
        assert set(outcomes_of(await c.uplink.deliver(batch_of(weighing(1))))) == {Outcome.ACKED}


class KnowsNoChallenge(fakes.Answers):
    """An older server: its framework's own page for what it does not know."""

    async def serve(self, books, request, writer):
        if request[1].endswith("challenge/"):
            await self.send(writer, 404, b"<!doctype html><h1>Not Found</h1>", "text/html")
        else:
            await super().serve(books, request, writer)


async def test_an_older_server_that_answers_the_challenge_with_a_page_is_asked_plainly():
    async with Connected("plain", KnowsNoChallenge()) as c:
        assert (await c.uplink.sync(INTRODUCTION, None)).standing is Standing.ACTIVE


@way
async def test_a_portal_in_the_place_of_the_challenge_changes_nothing(way):
    async with Connected(way, fakes.AnswersHtml(404)) as c:
        with pytest.raises(Disbelieved):
            await c.uplink.sync(INTRODUCTION, None)
        assert c.uplink.ready


@way
async def test_away_is_a_link_error_and_the_same_client_finds_the_way_back(way):
    async with Connected(way) as c:
        await c.centre.go_away()
        with pytest.raises(LinkError, match=r"127\.0\.0\.1"):
            await c.uplink.deliver(batch_of(weighing(1)))
        await c.centre.come_back()
        assert outcomes_of(await c.uplink.deliver(batch_of(weighing(1)))) == [Outcome.ACKED]


@way
async def test_no_such_host_is_a_link_error(way):
    async with uplink_to("http://centre.invalid:9/") as uplink:
        with pytest.raises(LinkError, match=r"centre\.invalid"):
            await uplink.sync(INTRODUCTION, None)


@way
async def test_an_unknown_token_is_dropped_and_the_records_are_left_alone(way):
    async with Connected(way) as c:
        c.uplink.use_token("stale")
        if way == "plain":
            with pytest.raises(LinkError):
                await c.uplink.deliver(batch_of(weighing(1)))
            assert c.uplink.ready
            return
        with pytest.raises(CredentialsRefused):
            await c.uplink.deliver(batch_of(weighing(1)))
        assert not c.uplink.ready
        await c.uplink.wait_refused()


@way
@pytest.mark.parametrize("fault", PASSING)
async def test_every_record_arrives_once_through_a_passing_fault(way, fault):
    async with Connected(way, PASSING[fault]()) as c, asyncio.timeout(30):
        outbox, identity = (
            MemoryOutbox(),
            MemoryIdentity(next(filter(None, c.books.gateways.values())), GATEWAY_KEY.public),
        )
        clock, rng = LoopClock(), random.Random(7)
        life = Lifecycle(
            c.uplink, identity, outbox, clock=clock, rng=rng, heartbeat_interval_s=0.2, pending_interval_s=0.05
        )
        forwarder = Forwarder(c.uplink, outbox, clock=clock, rng=rng)
        life.on_link_back = forwarder.retry_now
        async with running(life, forwarder):
            for _ in range(60):
                outbox.append()
            await outbox.settled()
        assert outbox.quarantined == {}
        assert sorted(c.books.held) == sorted(r.uuid for r in outbox.records.values())
        assert set(c.books.created.values()) == {1}
        assert identity.cleared == (1 if fault == "refuses-401" else 0)


async def test_a_lost_reply_is_sent_again_under_the_same_uuid_and_then_acked_as_held():
    async with Connected("single", fakes.LosesReply()) as c:
        with pytest.raises(LinkError):
            await c.uplink.deliver(batch_of(weighing(1)))
        assert weighing(1).uuid in c.books.held
        assert outcomes_of(await c.uplink.deliver(batch_of(weighing(1)))) == [Outcome.ACKED]
        assert (c.books.arrivals[weighing(1).uuid], c.books.created[weighing(1).uuid]) == (2, 1)


async def test_a_batch_too_large_is_split_and_the_lesson_is_kept():
    async with Connected("batch", fakes.TakesNoBatchOver(30)) as c:
        found = await c.uplink.deliver(batch_of(*map(weighing, range(1, 101))))
        assert outcomes_of(found) == [Outcome.ACKED] * 100
        assert c.books.largest <= 30
        assert c.uplink.batch_limit <= 30


async def test_a_single_record_too_large_for_a_batch_is_sent_alone():
    async with Connected("batch", fakes.TakesNoBatchOver(0)) as c:
        assert outcomes_of(await c.uplink.deliver(batch_of(weighing(1), weighing(2)))) == [Outcome.ACKED] * 2


async def test_a_batch_resource_that_is_gone_is_left_for_single_records_until_offered_anew():
    async with Connected("batch") as c:
        c.books.batch = False
        assert outcomes_of(await c.uplink.deliver(batch_of(weighing(1), weighing(2)))) == [Outcome.ACKED] * 2
        c.books.batch = True
        await c.uplink.deliver(batch_of(weighing(3)))
        assert c.books.heads == []
        await c.uplink.sync(INTRODUCTION, None)
        await c.uplink.deliver(batch_of(weighing(4)))
        assert [h["seq"] for h in c.books.heads] == [4]


async def test_a_plain_server_is_sent_the_four_fields_it_knows():
    async with Connected("plain") as c:
        await c.uplink.deliver(batch_of(weighing(1)))
        assert set(c.books.held[weighing(1).uuid]) == {"uuid", "rfid_uid", "weight", "measured_at"}


async def test_a_server_of_unknown_kind_is_sent_the_ledger():
    async with serving(Books(batch=False, knows_mac=True)) as centre, uplink_to(centre.url) as uplink:
        uplink.use_token("token-1")
        await uplink.deliver(batch_of(weighing(1)))
        assert "ledger" in centre.books.held[weighing(1).uuid]


@pytest.mark.parametrize("way", ["batch", "single"])
async def test_one_record_that_the_centre_chokes_on_does_not_hold_up_the_others(way):
    async with Connected(way, fakes.ChokesOn(weighing(3).uuid)) as c, asyncio.timeout(60):
        outbox, clock = MemoryOutbox(40), LoopClock()
        forwarder = Forwarder(c.uplink, outbox, clock=clock, rng=random.Random(3))
        async with running(forwarder):
            while outbox.owed != [3]:
                forwarder.retry_now()
                await asyncio.sleep(0.01)
        assert len(c.books.held) == 39


async def test_what_was_learned_of_retry_after_holds_for_the_next_delivery():
    async with Connected("single", fakes.RateLimits429(1, "600")) as c:
        found = await c.uplink.deliver(batch_of(*map(weighing, range(1, 11))))
        assert Outcome.RETRY in outcomes_of(found)
        asked = len(c.books.calls)
        with pytest.raises(LinkError) as caught:
            await c.uplink.deliver(batch_of(weighing(11)))
        assert 590 < caught.value.retry_after_s <= 600
        assert len(c.books.calls) == asked


async def test_an_answer_about_an_old_token_does_not_cost_the_new_one():
    async with Connected("single") as c:
        c.uplink.use_token("stale")
        delivery = asyncio.create_task(c.uplink.deliver(batch_of(weighing(1))))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        c.uplink.use_token("token-1")
        with pytest.raises(LinkError):
            await delivery
        assert c.uplink.ready


async def test_requests_carry_our_name_and_the_token_and_follow_no_redirect():
    seen = []

    class Listens(fakes.AnswersHtml):
        async def serve(self, books, request, writer):
            seen.append(request)
            await super().serve(books, request, writer)

    async with Connected("single", Listens(302)) as c:
        with pytest.raises(LinkError):
            await c.uplink.deliver(batch_of(weighing(1)))
    headers = seen[0][2]
    assert headers["user-agent"].startswith("scaleledger/")
    assert headers["authorization"] == "Bearer token-1"
    assert {path for _, path, _, _ in seen} == {"api/weighing/records/"}


async def test_a_certificate_that_nobody_vouches_for_is_a_link_error():
    async with serving() as centre, uplink_to(centre.url.replace("http:", "https:")) as uplink:
        with pytest.raises(LinkError):
            await uplink.sync(INTRODUCTION, None)


async def test_closing_gives_every_connection_up():
    async with Connected("batch") as c:
        await c.uplink.deliver(batch_of(weighing(1)))
        await c.uplink.close()
        gc.collect()
        with socket.create_connection(("127.0.0.1", c.centre.port), timeout=5):
            pass


CARD = {"uid": "A1B2C3D4", "producer": 5, "species": 1, "is_active": True}
MARKET = {
    "version": "17",
    "species": [{"id": 1, "name": "Squid"}],
    "producers": [{"id": 5, "name": "North boat"}],
    "rfid_cards": [CARD],
}
TEXTS = ("serial_port", "serial_number", "serial_location")
STATION = {"name": "dock-1", "config": None} | dict.fromkeys(TEXTS, "")


async def test_lists_are_fetched_whole_and_again_only_after_a_change():
    async with Connected("proved") as c:
        c.books.stations, c.books.catalogue = [STATION], MARKET
        stations, market = await c.uplink.fetch_stations(""), await c.uplink.fetch_catalogue("")
        assert [s.name for s in stations.stations] == ["dock-1"]
        assert market.cards["A1B2C3D4"].producer == "North boat"
        assert await c.uplink.fetch_stations(stations.version) is None
        assert await c.uplink.fetch_catalogue(market.version) is None
        c.books.stations, c.books.stations_version = [], "2"
        c.books.catalogue = MARKET | {"version": "18", "rfid_cards": []}
        assert await c.uplink.fetch_stations(stations.version) == Assignment("2")
        assert await c.uplink.fetch_catalogue(market.version) == Catalogue("18")


@pytest.mark.parametrize("way", ["batch", "plain"])
async def test_a_centre_without_lists_says_so(way):
    async with Connected(way) as c:
        for fetch in (c.uplink.fetch_stations, c.uplink.fetch_catalogue):
            with pytest.raises(NotOffered):
                await fetch("")
        assert c.uplink.ready


@pytest.mark.parametrize("fault", LASTING)
async def test_while_nothing_believable_comes_no_list_is_taken_and_the_token_is_kept(fault):
    async with Connected("proved", LASTING[fault]()) as c:
        with pytest.raises(LinkError):
            await c.uplink.fetch_stations("")
        if fault != "trickle":  # cards may come slowly
            with pytest.raises(LinkError):
                await c.uplink.fetch_catalogue("")
        assert c.uplink.ready


async def test_a_token_that_is_refused_at_a_fetch_is_used_no_more():
    async with Connected("proved") as c:
        c.books.ends.clear()
        with pytest.raises(CredentialsRefused):
            await c.uplink.fetch_catalogue("")
        assert not c.uplink.ready
        assert c.uplink.refusal.code == "token_unknown"


async def test_a_catalogue_of_a_hundred_thousand_cards_comes_whole():
    cards = [CARD | {"uid": f"{number:08X}", "padding": "x" * 170} for number in range(100_000)]
    text = json.dumps(MARKET | {"rfid_cards": cards}).encode()

    class KnowsAll(fakes.Answers):
        async def serve(self, books, request, writer):
            await self.send(writer, 200, text)

    async with Connected("proved") as c:
        c.centre.fault = KnowsAll()
        assert len((await c.uplink.fetch_catalogue("")).cards) == 100_000


async def test_every_delivery_is_signed_over_the_very_bytes():
    async with Connected("proved") as c:
        await c.uplink.deliver(batch_of(*map(weighing, range(1, 4))))
        c.books.batch = False
        await c.uplink.deliver(batch_of(weighing(4)))
        assert len(c.books.held) == 4
        assert c.books.refused == []
        assert c.uplink.receipt.upto_seq == 3
