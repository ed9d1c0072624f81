"""A meat plant on one machine: label scales that dial in, a gateway of their own, and butchers who tap a phone.

The gateway reaches the server over a way that can be cut. `cuts` at the server are held against the scales' journal and the
gateway's ledger: each cut once, and in the session that was active when it was made.
"""

import asyncio
import json
import socket
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from scaleledger.simulators.administrator import Administrator
from scaleledger.simulators.books import CutBooks, StationBooks
from scaleledger.simulators.plant import (
    START_WITHIN_S,
    GatewayProcess,
    PlantError,
    Server,
    Watcher,
    export,
    program,
    run,
)
from scaleledger.simulators.way import Way
from scaleledger.simulators.yard import Simulation, StationSpec

SITE = "plant-1"
DRIVER = "dp401-csv"
LOOK_AGAIN_S = 0.2
SETTLE_WITHIN_S = 30.0
STANDINGS = ("online", "idle", "stale", "disconnected", "unknown", "silent")


@dataclass(slots=True)
class Shift:
    """A session that somebody started on the phone page."""

    session_id: str
    device: str
    animal: str
    since: datetime
    until: datetime | None = None


@dataclass(slots=True)
class Butchery:
    """Scales and gateway in `folder`, at a running `server`. `async with` starts the scales; the gateway is yours to start."""

    folder: Path
    server: Server
    specs: Sequence[StationSpec]
    seed: int = 1
    watch: Watcher = lambda _: None
    carrier: str = "ws"
    settings: Mapping[str, str] = field(default_factory=dict)
    way: Way = field(init=False)
    yard: Simulation = field(init=False)
    gateway: GatewayProcess = field(init=False)
    shifts: list[Shift] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        self.folder.mkdir(exist_ok=True)
        key = await self.server.ask("site_key", SITE, "--name", "Meat plant")
        if key[0]:
            raise PlantError("the server did not make a key for the site")
        self.way = await Way(self.server.port).__aenter__()
        await self.way.mend()
        port = _free_port()
        self.gateway = GatewayProcess(self._write_config(port, key[1].strip()), self.watch)
        dialling = [_dialling(spec, port) for spec in self.specs]
        self.yard = Simulation(dialling, seed=self.seed, directory=self.folder)
        await self.yard.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.gateway.alive:
            await self.gateway.stop()
        await self.yard.close()
        await self.way.__aexit__()

    async def begin(self, person: Administrator, device: str, animal: str, *, waits: bool = True) -> Shift:
        """What a butcher does on the phone: choose a scale, type the animal's tag, start.

        With `waits` the scale must be online first. Raises PlantError.
        """
        scale = await self._scale(person, device, ("online",) if waits else STANDINGS)
        asked = {"session_id": str(uuid.uuid4()), "scale": scale, "animal_tag": animal, "species": "cattle"}
        started = await asyncio.to_thread(person.ask_json, "/shifts/api/sessions/", asked)
        shift = Shift(started["id"], device, animal, datetime.fromisoformat(started["started_at"]))
        self.shifts.append(shift)
        return shift

    async def end(self, person: Administrator, shift: Shift) -> None:
        """What a butcher does when the animal is done."""
        path = f"/shifts/api/sessions/{shift.session_id}/end/"
        ended = await asyncio.to_thread(person.ask_json, path, {"reason": "completed"})
        shift.until = datetime.fromisoformat(ended["ended_at"])

    async def settled(self, within_s: float = SETTLE_WITHIN_S) -> CutBooks:
        """Wait until the gateway has told everything, also what it learned late of sessions; the books then, good or not."""
        end = asyncio.get_running_loop().time() + within_s
        while True:
            books = await self.compare()
            if not (books.lost or books.astray) or asyncio.get_running_loop().time() > end:
                return books
            await asyncio.sleep(LOOK_AGAIN_S)

    async def compare(self) -> CutBooks:
        """The books against each other, as they are now."""
        books = CutBooks()
        kept = [row for row in await export(self.folder / "data") if _kind(row) == "weighing"]
        for spec in self.specs:
            tally = self.yard.journal.counts[spec.name]
            mine = [row for row in kept if row["station"] == spec.device]
            books.stations[spec.device] = StationBooks(DRIVER, "event", tally.emitted, len(mine))
            books.lost += max(0, tally.saved - len(mine))
            books.duplicates += max(0, len(mine) - tally.emitted)
        held = {row["uuid"]: row for row in await self.server.records() if row["station"] in books.stations}
        for row in held.values():
            books.stations[row["station"]].on_server += 1
        books.lost += len({row["uuid"] for row in kept} - held.keys())
        cuts = await self.cuts()
        books.duplicates += len(cuts) - len({cut["uuid"] for cut in cuts})
        books.offline = sum(cut["offline"] for cut in cuts)
        books.lost += len({row["uuid"] for row in kept} - {cut["uuid"] for cut in cuts})
        books.ledger_ok = (await run(program("scaleledger"), "verify", "--data-dir", str(self.folder / "data")))[0] == 0
        books.astray = sum(cut["session"] != self._due(cut) for cut in cuts)
        return books

    async def cuts(self) -> list[dict[str, Any]]:
        """Every cut that the server holds."""
        _, lines = await self.server.ask("cuts")
        return [json.loads(line) for line in lines.splitlines()]

    def _due(self, cut: Mapping[str, Any]) -> str:
        """The session that a cut belongs to by its own time; "" for none."""
        at = datetime.fromisoformat(cut["measured_at"])
        mine = [
            s.session_id for s in self.shifts if s.device == cut["device"] and s.since <= at and (s.until or at) >= at
        ]
        return mine[-1] if mine else ""

    async def _scale(self, person: Administrator, device: str, standings: Collection[str]) -> int:
        """The server's number of a scale, as soon as its gateway has told of it."""
        try:
            async with asyncio.timeout(START_WITHIN_S):
                while True:
                    listed = await asyncio.to_thread(person.ask_json, "/shifts/api/scales/")
                    for scale in listed["scales"]:
                        if scale["device_id"] == device and scale["standing"] in standings:
                            return int(scale["id"])
                    await asyncio.sleep(LOOK_AGAIN_S)
        except TimeoutError:
            raise PlantError(f"the server was not told of the scale {device}") from None

    def _write_config(self, port: int, key: str) -> Path:
        scheme, path = ("ws", "/edge/ws") if self.carrier == "ws" else ("http", "/api/v1")
        settings = {"active_poll_s": "0.5", "waiting_poll_s": "0.5", "heartbeat_interval_s": "2", **self.settings}
        lines = [
            "[gateway]", 'name = "Meat plant"', 'data_dir = "data"', "", "[log]", 'format = "json"', "",
            "[store]", "reserve_mb = 4", "", "[[listener]]", 'name = "hall"',
            f'url = "tcp-listen://127.0.0.1:{port}"', 'unit = "g"', 'timezone = "UTC"', "",
            "[[uplink]]", 'type = "carnitrack"', f'url = "{scheme}://127.0.0.1:{self.way.port}{path}"',
            f'api_key = "{key}"', f'site_id = "{SITE}"', 'site_name = "Meat plant"',
            *(f"{name} = {value}" for name, value in settings.items()), "",
        ]  # fmt: skip
        config = self.folder / "gateway.toml"
        config.touch(mode=0o600)
        config.write_text("\n".join(lines), encoding="utf-8")
        return config


def _kind(row: Mapping[str, Any]) -> str:
    return str(json.loads(row["payload"])["kind"])


def _dialling(spec: StationSpec, port: int) -> StationSpec:
    return replace(spec, on=f"tcp://127.0.0.1:{port}")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
