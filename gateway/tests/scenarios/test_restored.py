"""A copy of the data folder is put back, or the database is destroyed, while the centre holds more than what is left."""

import asyncio
import shutil
from collections import Counter

import pytest

from scaleledger.simulators.plant import Plant
from scaleledger.simulators.yard import StationSpec

SPECS = [StationSpec(f"belt-{n}", "st-gs-comma", rate_hz=20.0) for n in range(6)]


async def saved(plant, more):
    wanted = plant.gateway.saved + more
    async with asyncio.timeout(30):
        while plant.gateway.saved < wanted:
            await plant.gateway.news()


@pytest.mark.timeout(60)
async def test_after_a_restored_backup_no_number_is_given_twice_and_everything_arrives(tmp_path):
    events = Counter()
    told = []

    def watch(event):
        events[event["event"]] += 1
        if event["event"] == "biz.saved":
            told.append(event["uuid"])

    data = tmp_path / "data"
    async with Plant(tmp_path, SPECS, seed=8, watch=watch) as plant:
        await plant.gateway.start()
        await plant.server.approve()
        await saved(plant, 1)
        await plant.gateway.stop()
        shutil.copytree(data, tmp_path / "backup")
        await plant.gateway.start()
        await saved(plant, 2)
        assert await plant.gateway.drained(plant.gateway.saved)
        await plant.gateway.stop()

        shutil.rmtree(data)
        (tmp_path / "backup").rename(data)
        await plant.gateway.start()
        await saved(plant, 2)
        newest = max(r["seq"] for r in await plant.ledger())
        assert await plant.gateway.drained(newest)
        assert await plant.gateway.stop() == 0

        held = Counter(r["uuid"] for r in await plant.server.records())
        assert held == Counter(told), "each weighing that was called saved, once"
        assert events["sys.ledger_behind"] == 1
        assert not events["net.quarantined"]
        good, words = await plant.verify()
        assert good, words
