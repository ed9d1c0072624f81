"""A meat plant and the real server, over both carriers: sessions from the phone page, a way that is cut, processes that are killed."""

import asyncio
import contextlib
import json

import pytest

from scaleledger.simulators.administrator import Administrator
from scaleledger.simulators.butchery import Butchery
from scaleledger.simulators.plant import Server, export
from scaleledger.simulators.yard import StationSpec

SCALES = [
    StationSpec("scale-01", "dp401-csv", device="SCALE-01", rest_s=0.1, patience_s=2.0),
    StationSpec("scale-02", "dp401-csv", device="SCALE-02", rest_s=0.15, patience_s=2.0, exchange="plain"),
]


@contextlib.asynccontextmanager
async def working(tmp_path, carrier, seed=3):
    """A plant whose two butchers have started: (plant, the person with the phone)."""
    server = Server(tmp_path)
    await server.start()
    try:
        person = await asyncio.to_thread(
            Administrator, server.address, "butcher", await server.administrator("butcher")
        )
        async with Butchery(tmp_path / "plant", server, SCALES, seed=seed, carrier=carrier) as plant:
            await plant.gateway.start()
            for spec in SCALES:
                await plant.begin(person, spec.device, f"TR-{spec.device}")
            yield plant, person
    finally:
        await server.stop()


async def saved(plant, more):
    wanted = plant.gateway.saved + more
    async with asyncio.timeout(60):
        while plant.gateway.saved < wanted:
            await plant.gateway.news()


async def finish(plant, person):
    """The butchers end; everything is delivered; the books."""
    await plant.yard.finish()
    for shift in plant.shifts:
        if shift.until is None:
            await plant.end(person, shift)
    books = await plant.settled()
    await plant.gateway.stop()
    return books


def assert_good(books, given_up=0):
    """`given_up`: so many cuts may never have been answered, and then it does not matter whether they were kept."""
    assert (books.lost, books.duplicates, books.astray, books.ledger_ok) == (0, 0, 0, True), books
    for station in books.stations.values():
        assert station.emitted - given_up <= station.saved == station.on_server > 0, books


@pytest.mark.parametrize("carrier", ["http", pytest.param("ws", marks=pytest.mark.nightly)])
@pytest.mark.timeout(200)
async def test_sessions_come_from_the_phone_and_a_cut_way_costs_nothing(tmp_path, carrier):
    async with working(tmp_path, carrier) as (plant, person):
        await saved(plant, 10)
        await plant.way.cut()
        await saved(plant, 20)
        await plant.way.mend()
        await saved(plant, 10)
        await plant.end(person, plant.shifts[0])
        again = await plant.begin(person, "SCALE-01", "TR-NEXT")
        await saved(plant, 10)
        books = await finish(plant, person)
        assert_good(books)
        assert books.offline >= 10
        in_sessions = {cut["session"] for cut in await plant.cuts()}
        assert {shift.session_id for shift in plant.shifts} <= in_sessions
        assert again.session_id in in_sessions


@pytest.mark.timeout(200)
async def test_gateway_and_server_are_killed_at_work(tmp_path):
    async with working(tmp_path, "ws") as (plant, person):
        await saved(plant, 6)
        await plant.gateway.kill()
        await plant.gateway.start()
        await saved(plant, 6)
        await plant.server.kill()
        await saved(plant, 6)
        await plant.server.start()
        await saved(plant, 6)
        books = await finish(plant, person)
        assert_good(books, given_up=sum(tally.unknown for tally in plant.yard.journal.counts.values()))


@pytest.mark.timeout(200)
async def test_a_session_that_is_told_late_takes_its_cuts_by_corrections(tmp_path):
    """The phone reaches the server while the plant does not: the gateway hears of the session only afterwards."""
    async with working(tmp_path, "ws") as (plant, person):
        await saved(plant, 4)
        await plant.way.cut()
        await plant.end(person, plant.shifts[0])
        late = await plant.begin(person, "SCALE-01", "TR-LATE", waits=False)
        await saved(plant, 10)
        await plant.way.mend()
        await saved(plant, 4)
        books = await finish(plant, person)
        assert_good(books)
        rows = [json.loads(row["payload"]) for row in await export(plant.folder / "data")]
        corrected = [row for row in rows if row["kind"] == "correction"]
        assert late.session_id in {row["details"].get("session", "") for row in corrected}
