"""The centre is away at boot, then silent, then broken, then back; later it is killed. The line never stops."""

import asyncio
from collections import Counter

import pytest

from fakes.proxies import FaultyWay
from scaleledger.simulators.plant import Plant
from scaleledger.simulators.yard import StationSpec
from scenarios.test_kill import assert_books_agree, settle

SPECS = [
    *(StationSpec(f"dock-{n}", "suwol-1000", cards=("CARD0001", "CARD0002"), pace=0, rest_s=0.1) for n in range(3)),
    *(StationSpec(f"belt-{n}", "st-gs-comma", rate_hz=20.0) for n in range(3)),
]


async def saved(plant, more):
    """Wait until the gateway has made that many more weighings durable."""
    wanted = plant.gateway.saved + more
    async with asyncio.timeout(60):
        while plant.gateway.saved < wanted:
            await plant.gateway.news()


@pytest.mark.timeout(200)
async def test_away_at_boot_then_silent_then_broken_then_back(tmp_path):
    async with Plant(tmp_path, SPECS, seed=5) as plant, FaultyWay(plant.server.port) as way:
        plant.gateway.config.write_text(
            plant.gateway.config.read_text().replace(plant.server.address, f"http://127.0.0.1:{way.port}")
        )
        await plant.gateway.start()
        await saved(plant, 4)
        await way.become(way.SILENT)
        await way.requests(way.SILENT, 1)
        await saved(plant, 4)
        await way.become(way.BROKEN)
        await way.requests(way.BROKEN, 1)
        await saved(plant, 4)
        assert await plant.server.records() == []
        await way.become(way.CLEAR)
        await plant.server.approve()
        await saved(plant, 2)
        await plant.server.kill()
        await saved(plant, 2)
        await plant.server.start()
        await settle(plant)
        await assert_books_agree(plant)
        emitted = Counter(line["station"] for line in plant.yard.journal.lines if line["event"] == "emitted")
        kept = Counter(r["station"] for r in await plant.ledger())
        for station, number in emitted.items():
            assert kept[station] >= number, f"{station}: {number} loads shown over a whole link, {kept[station]} kept"
        assert not [line for line in plant.yard.journal.lines if line.get("told") in {"refused", "unknown"}]
