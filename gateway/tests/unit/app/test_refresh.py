"""What is fetched from the centre: when, how often, and that the last good one stays."""

import asyncio
import random

import pytest

from fakes.hall import Hall
from fakes.heard_log import HeardLog
from fakes.virtual_clock import running, virtual
from scaleledger.app.market import market
from scaleledger.app.refresh import Refresh, Subject
from scaleledger.domain.catalogue import Card, Catalogue
from scaleledger.domain.errors import CredentialsRefused, Disbelieved, LinkError, NotOffered, StoreError
from scaleledger.domain.gateway import CardStanding
from scaleledger.domain.inputs import CardSeen

KNOWN = CardStanding.KNOWN


class Shelf:
    """A centre with one thing on it, that may be away, and the list it goes to."""

    def __init__(self):
        self.ready = asyncio.Event()
        self.ready.set()
        self.held, self.version, self.failure, self.asked = Catalogue("1"), "", None, []
        self.cards = {}

    async def wait_ready(self):
        await self.ready.wait()

    async def fetch_catalogue(self, version):
        self.asked.append((asyncio.get_running_loop().time(), version))
        await asyncio.sleep(0.01)
        if self.failure is not None:
            raise self.failure
        return None if version == self.held.version else self.held

    async def keep(self, catalogue):
        self.version, self.cards = catalogue.version, catalogue.cards

    def market(self):
        return market(self, self, random.Random(1))


@pytest.fixture
def heard(monkeypatch):
    log = HeardLog()
    monkeypatch.setattr("scaleledger.app.refresh.log", log)
    return log


@virtual
async def test_it_is_fetched_at_the_start_at_a_push_and_when_the_version_differs():
    shelf = Shelf()
    goods = shelf.market()
    async with running(goods):
        await asyncio.sleep(1)
        assert shelf.version == "1"
        for told in ("", "1", "1"):
            goods.compare(told)
            await asyncio.sleep(1)
        assert len(shelf.asked) == 1
        shelf.held = Catalogue("2")
        goods.compare("2")
        await asyncio.sleep(1)
        assert shelf.version == "2"
        goods.ask()
        await asyncio.sleep(1)
        assert [version for _, version in shelf.asked] == ["", "1", "2"]


@virtual
async def test_without_a_token_it_waits():
    shelf = Shelf()
    shelf.ready.clear()
    async with running(shelf.market()):
        await asyncio.sleep(100)
        assert shelf.asked == []
        shelf.ready.set()
        await asyncio.sleep(1)
        assert shelf.version == "1"


@pytest.mark.parametrize(
    "failure",
    [
        LinkError("away"),
        Disbelieved("a portal's page"),
        CredentialsRefused("token_expired", "its time is over"),
        StoreError("no room"),
    ],
)
@virtual
async def test_the_old_one_stays_on_any_failure_and_it_is_tried_again_ever_more_slowly(heard, failure):
    shelf = Shelf()
    goods = shelf.market()
    async with running(goods):
        await asyncio.sleep(1)
        shelf.held, shelf.failure = Catalogue("2"), failure
        goods.ask()
        await asyncio.sleep(600)
        assert shelf.version == "1"
        assert 8 < len(shelf.asked) < 60
        assert len(heard.of("net.fetch_failed")) == 1, "said once"
        shelf.failure = None
        goods.ask()
        await asyncio.sleep(1)
        assert shelf.version == "2", "a push ends the wait"


@virtual
async def test_what_the_centre_asks_for_by_retry_after_is_kept():
    shelf = Shelf()
    shelf.failure = LinkError("busy", retry_after_s=40.0)
    async with running(shelf.market()):
        await asyncio.sleep(100)
    assert [round(at) for at, _ in shelf.asked] == [0, 40, 80]


@virtual
async def test_a_centre_without_such_a_thing_is_not_asked_again_by_itself(heard):
    shelf = Shelf()
    shelf.failure = NotOffered("no such resource")
    goods = shelf.market()
    async with running(goods):
        await asyncio.sleep(1000)
        assert len(shelf.asked) == 1
        goods.ask()
        await asyncio.sleep(1)
        assert len(shelf.asked) == 2
    assert len(heard.lines) == 1


@virtual
async def test_a_push_during_a_fetch_leads_to_another_one():
    taken = []

    async def fetch(version):
        await asyncio.sleep(5)
        return len(taken) + 1

    async def take(thing):
        taken.append(thing)

    stations = Refresh(Subject("stations", lambda: "", fetch, take), Shelf(), random.Random(1))
    async with running(stations):
        await asyncio.sleep(1)
        stations.ask()
        stations.ask()
        await asyncio.sleep(60)
    assert taken == [1, 2]


@virtual
async def test_a_fetch_that_failed_by_a_mistake_of_ours_is_made_when_the_part_is_started_anew():
    shelf = Shelf()
    shelf.failure = ZeroDivisionError("ours")
    goods = shelf.market()
    with pytest.raises(ZeroDivisionError):
        await goods.run()
    shelf.failure = None
    async with running(goods):
        await asyncio.sleep(1)
    assert shelf.version == "1"


@virtual
async def test_a_card_added_at_the_centre_works_on_the_scale_at_once_with_what_it_stands_for():
    hall = Hall()
    shelf = Shelf()
    shelf.held = Catalogue("1", {"OTHER": Card(KNOWN)})

    async def keep(catalogue):
        shelf.version, hall.cards.cards = catalogue.version, catalogue.cards

    shelf.keep = keep
    goods = shelf.market()
    async with hall.open(), running(goods):
        await hall.assign("1", a={"url": "loop:1", "mode": "tag"})
        await asyncio.sleep(0.1)
        station, belt = hall.station("a"), hall.belt("loop:1")
        await belt.hold("0.0", 1)
        station._take(asyncio.get_running_loop().time(), [CardSeen("NEW")])
        assert station.machine.card == ""
        shelf.held = Catalogue("2", {"NEW": Card(KNOWN, "North boat", "고등어")})
        goods.ask()
        await asyncio.sleep(2)
        station._take(asyncio.get_running_loop().time(), [CardSeen("NEW")])
        assert station.machine.card == "NEW"
        hall.cards.cards = {"NEW": Card(KNOWN, "Renamed boat", "고등어")}
        await belt.hold("40.0", 2)
    [record] = hall.store.disk.records
    assert '"details":{"producer":"North boat","species":"고등어"}' in record.payload
