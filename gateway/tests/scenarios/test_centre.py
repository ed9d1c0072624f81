"""A first day at the centre and the mishaps after it: the real server and its pages, a real gateway, simulated scales.

The gateway's next sign of life is an hour away, so whatever arrives came over the open line.
"""

import asyncio
import json
import re
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.client import connect

from fakes.proxies import Overheard
from scaleledger.simulators.administrator import Administrator
from scaleledger.simulators.plant import Plant
from scaleledger.simulators.yard import StationSpec
from scenarios.test_kill import settle

CARD, INACTIVE = "A1B2C3D4", "0FF0CA4D"
SPECS = (
    StationSpec("auction", "suwol-1000", cards=(CARD,), pace=0, rest_s=0.05, patience_s=3.0, tries=1),
    StationSpec("closed", "suwol-1000", cards=(INACTIVE,), pace=0, rest_s=0.05, patience_s=3.0, tries=1),
    StationSpec("belt", "st-gs-comma", rate_hz=20.0),
)
SETTINGS = {"heartbeat_interval_s": "3600"}
QUIET_S = 1.0


class Heard:
    """The gateway's log, to wait for. `since` forgets what came before."""

    def __init__(self):
        self._events, self._news = [], asyncio.Event()

    def note(self, event):
        self._events.append(event)
        self._news.set()

    def since(self):
        self._events.clear()

    def of(self, name, **fields):
        return [e for e in self._events if e.get("event") == name and fields.items() <= e.items()]

    async def wait(self, name, within_s=20.0, **fields):
        """The first such line."""
        async with asyncio.timeout(within_s):
            while not (found := self.of(name, **fields)):
                self._news.clear()
                await self._news.wait()
        return found[0]


class Person:
    """An administrator at the pages; each call is one thing done."""

    def __init__(self, pages, gateway_id):
        self._pages, self.gateway_id = pages, gateway_id

    async def do(self, what, *given, **fields):
        return await asyncio.to_thread(getattr(self._pages, what), *given, **fields)

    async def assign(self, plant, name):
        port = plant.yard.urls[name].removeprefix("pty:")
        fields = {"serial_port": port, "driver": "suwol-1000", "unit": "kg", "mode": "tag", "division": "0.5"}
        await self.do("add", "devices/station", gateway=str(self.gateway_id), name=name, **fields)

    async def add_card(self, uid, *, producer, species, active=True):
        fields = {"uid": uid, "producer": str(producer), "species": str(species)}
        await self.do("add", "market/rfidcard", **fields, is_active="on" if active else "")


async def approved(plant, heard):
    """The gateway is approved by a person who compared the fingerprints."""
    pending = await heard.wait("net.pending")
    pages = await asyncio.to_thread(Administrator, plant.server.address, "ada", await plant.server.administrator("ada"))
    row = re.search(
        r"/admin/devices/gateway/(\d+)/change/", await asyncio.to_thread(pages.read, "/admin/devices/gateway/")
    )
    assert pending["fingerprint"] in await asyncio.to_thread(pages.read, row[0])
    person = Person(pages, int(row[1]))
    await person.do("approve", person.gateway_id)
    await heard.wait("net.line_up")
    return person


@asynccontextmanager
async def page_at(plant):
    """A page that watches everything; waits for live values of a scale."""
    url = f"ws://127.0.0.1:{plant.server.port}/ws/live/"
    async with connect(url, origin=plant.server.address, proxy=None) as page:
        await page.send(json.dumps({"type": "watch", "all": True}))
        yield page


async def live_of(page, station):
    """The next live values of a scale."""
    async with asyncio.timeout(20):
        while True:
            said = json.loads(await page.recv())
            for shown in said.get("stations", ()) if said["type"] == "live" else ():
                if shown["station"] == station:
                    return shown


async def kept_at(plant):
    found = {}
    for record in await plant.ledger():
        found.setdefault(record["station"], []).append(record)
    return found


@asynccontextmanager
async def hall(folder):
    heard = Heard()
    assigned = frozenset({"auction", "closed"})
    async with (
        Plant(folder, SPECS, seed=7, watch=heard.note, settings=SETTINGS, assigned=assigned) as plant,
        Overheard(plant.server.port) as way,
    ):
        config = plant.gateway.config
        config.write_text(config.read_text().replace(plant.server.address, f"http://127.0.0.1:{way.port}"))
        await plant.gateway.start()
        yield plant, way, heard, await approved(plant, heard)


@pytest.mark.timeout(150)
async def test_stations_cards_and_live_weights_through_a_restart_of_the_server_and_a_start_without_it(tmp_path):
    async with hall(tmp_path) as (plant, way, heard, person):
        await stations_are_assigned_while_another_weighs(plant, heard, person)
        await cards_work_as_soon_as_they_are_entered(heard, person)
        await live_weights_flow_while_somebody_watches(plant, way)
        await the_server_is_killed_and_comes_back(plant, heard)
        await the_gateway_starts_without_its_centre(plant, heard)
        await settle(plant)
        report = await plant.compare()
        kept = await kept_at(plant)
    assert report.good, report
    assert "closed" not in kept, "an inactive card weighs nothing"
    assert {record["rfid_uid"] for record in kept["auction"]} == {CARD}
    belt = report.stations["belt"]
    assert belt.saved >= belt.emitted > 0, "the line stopped for the centre"


async def stations_are_assigned_while_another_weighs(plant, heard, person):
    species = await person.do("add", "market/species", name="Squid")
    producer = await person.do("add", "market/producer", name="North Star")
    person.stands_for = {"producer": producer, "species": species}
    await person.add_card(INACTIVE, active=False, **person.stands_for)
    await heard.wait("net.market", cards=1)
    for name in ("auction", "closed"):
        heard.since()
        await person.assign(plant, name)
        await heard.wait("hw.link_up", station=name)
        assert not heard.of("hw.link_down"), "nobody else was touched"
    heard.since()
    await heard.wait("biz.saved", station="belt")


async def cards_work_as_soon_as_they_are_entered(heard, person):
    await heard.wait("biz.card", card=INACTIVE, standing="inactive")
    await heard.wait("biz.card", card=CARD, standing="unknown")
    assert not heard.of("biz.saved", station="auction")
    clock = asyncio.get_running_loop().time
    await person.add_card(CARD, **person.stands_for)
    entered_s = clock()
    await heard.wait("net.market", cards=2)
    taken_s = clock()
    await heard.wait("biz.card", card=CARD, standing="known")
    await heard.wait("biz.saved", station="auction", card=CARD)
    print(f"a card entered at the centre was known at the scale after {taken_s - entered_s:.2f} s")


async def live_weights_flow_while_somebody_watches(plant, way):
    await way.silence(QUIET_S)
    async with page_at(plant) as page:
        assert (await live_of(page, "belt"))["link"] == "up"
        await live_of(page, "auction")
    await way.silence(QUIET_S)


async def the_server_is_killed_and_comes_back(plant, heard):
    heard.since()
    await plant.server.kill()
    await heard.wait("net.line_down")
    await heard.wait("biz.saved", station="belt")
    await heard.wait("biz.saved", station="auction")
    await plant.server.start()
    await heard.wait("net.line_up", within_s=60.0)
    async with page_at(plant) as page:
        await live_of(page, "belt")


async def the_gateway_starts_without_its_centre(plant, heard):
    assert await plant.gateway.stop() == 0
    await plant.server.kill()
    heard.since()
    await plant.gateway.start()
    await heard.wait("biz.saved", station="auction", card=CARD)
    await heard.wait("biz.card", card=INACTIVE, standing="inactive")
    await plant.server.start()
    await heard.wait("net.line_up", within_s=60.0)
