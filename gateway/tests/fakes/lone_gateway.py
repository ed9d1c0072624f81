"""A gateway process with simulated belts and no centre: for what happens to its disk and to itself."""

import asyncio
import json
import sys
from collections import Counter
from pathlib import Path

from scaleledger.simulators.plant import GatewayProcess, as_url, run
from scaleledger.simulators.yard import Simulation, StationSpec

PROGRAM = str(Path(sys.executable).with_name("scaleledger"))


class LoneGateway:
    """Start and stop `process` as you like; `events` counts what its log says, `data` is its folder."""

    def __init__(self, folder, belts=2, *, data=None):
        self.folder = folder
        self.data = data or folder / "data"
        self.events = Counter()
        self.said = []
        self._specs = [StationSpec(f"belt-{n}", "st-gs-comma", rate_hz=20.0) for n in range(belts)]
        self._news = asyncio.Event()

    async def __aenter__(self):
        self._yard = await Simulation(self._specs, seed=1, directory=self.folder).__aenter__()
        lines = ["[gateway]", f'data_dir = "{self.data}"', "[log]", 'format = "json"', "[store]", "reserve_mb = 1"]
        for spec in self._specs:
            lines += ["[[station]]", f'name = "{spec.name}"', f'driver = "{spec.driver}"']
            lines += [f'url = "{as_url(self._yard.urls[spec.name])}"']
        config = self.folder / "gateway.toml"
        config.write_text("\n".join(lines))
        self.process = GatewayProcess(config, self._watch)
        return self

    async def __aexit__(self, *_):
        if self.process.alive:
            await self.process.kill()
        await self._yard.close()

    def _watch(self, event):
        self.events[event["event"]] += 1
        self.said.append(event)
        self._news.set()

    async def sees(self, event, times=1):
        """Wait until the log has told of `event` so many times more."""
        wanted = self.events[event] + times
        async with asyncio.timeout(20):
            while self.events[event] < wanted:
                self._news.clear()
                await self._news.wait()

    @property
    def saved(self):
        """The uuids of the weighings it called saved."""
        return [event["uuid"] for event in self.said if event["event"] == "biz.saved"]

    async def kept(self):
        """The uuids in its ledger, which `scaleledger verify` must prove."""
        code, words = await run(PROGRAM, "verify", "--data-dir", str(self.data))
        assert code == 0, words
        _, lines = await run(PROGRAM, "export", "--data-dir", str(self.data), "--format", "jsonl")
        return [json.loads(line)["uuid"] for line in lines.splitlines()]
