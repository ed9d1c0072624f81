"""A gateway whose stations come from its centre starts without the centre, on what it kept; and a bad part does not stop it."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from fakes.weighings import open_store
from scaleledger.bootstrap import run_gateway
from scaleledger.config.load import load_config
from scaleledger.domain.assignment import AssignedStation, Assignment
from scaleledger.domain.catalogue import Card, Catalogue
from scaleledger.domain.gateway import CardStanding

CONFIG = """
[gateway]
data_dir = "data"
[store]
reserve_mb = 1
[[uplink]]
url = "http://127.0.0.1:9"
stations = "any"
"""
LINES = {"0.0": b"ST,GS,+    0.0kg\r\n", "40.5": b"ST,GS,+   40.5kg\r\n"}


@asynccontextmanager
async def talking_scale():
    """A scale that is dialled and shows an empty plate for two seconds, then a load; gives its address."""

    talks, over = [], asyncio.Event()

    async def talk(_, writer):
        talks.append(asyncio.current_task())
        for weight in ["0.0"] * 40 + ["40.5"] * 600:
            if over.is_set() or writer.is_closing():
                break
            writer.write(LINES[weight])
            await asyncio.sleep(0.05)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        over.set()
        await asyncio.gather(*talks)
        server.close()


async def kept(folder, *stations):
    """A data folder as an earlier run left it."""
    store = await open_store(folder)
    await store.assignment.keep(Assignment("4", stations))
    await store.cards.keep(Catalogue("17", {"A1B2": Card(CardStanding.KNOWN, "North boat")}))
    await store.close()


@pytest.mark.timeout(60)
async def test_an_offline_start_runs_the_stations_and_cards_that_were_kept(tmp_path):
    path = tmp_path / "gateway.toml"
    path.write_text(CONFIG)
    async with talking_scale() as url:
        good = {"driver": "st-gs-comma", "url": url, "min_weight": "2"}
        await kept(
            tmp_path / "data",
            AssignedStation("dock-1", config=good),
            AssignedStation("dock-2", config=good | {"driver": "no-such"}),
        )
        stop, opened = asyncio.Event(), asyncio.get_running_loop().create_future()
        running = asyncio.create_task(run_gateway(path, load_config(path), stop, opened.set_result))
        try:
            gateway = await opened
            assert [station.name for station in gateway.stations] == ["dock-1"]
            assert gateway.store.cards.about("A1B2").producer == "North boat"
            async with asyncio.timeout(20):
                await gateway.store.outbox.wait_for_append(0)
            batch = await gateway.store.outbox.next_batch("central", 10)
        finally:
            stop.set()
            await running
    assert [(r.station, str(r.weight)) for r in batch.records] == [("dock-1", "40.5")]
