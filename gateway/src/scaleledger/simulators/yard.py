"""A whole yard of simulated hardware in one process: stations, talkers and readers from a short list, one journal for all.

async with Simulation(specs, seed=1, directory=folder) as yard:
...                      # a gateway works against yard.urls
await yard.finish()      # operators end their present box
yard.journal.totals()    # what must be found in the ledger
"""

import asyncio
import importlib
import random
import re
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Self

from scaleledger.domain.inputs import CardSeen
from scaleledger.domain.reading import Reading
from scaleledger.drivers import NAMES, rfid_em4100
from scaleledger.simulators.dp401 import Exchange, LabelManner, LabelScale, cuts
from scaleledger.simulators.faults import combine
from scaleledger.simulators.journal import Journal
from scaleledger.simulators.porter import Porter
from scaleledger.simulators.ports import Port, open_port
from scaleledger.simulators.rfid import TagReader
from scaleledger.simulators.scenario import SCENARIOS, Indicator, Sample
from scaleledger.simulators.script import boxes
from scaleledger.simulators.suwol1000 import SuwolStation
from scaleledger.simulators.suwol_device import SuwolDevice
from scaleledger.simulators.talker import Manner, Talker, Wheel

TALKERS = tuple(name for name in NAMES if name not in {"dp401-csv", "suwol-1000", "rfid-em4100"})
"""Drivers of indicators that send by themselves."""


@dataclass(frozen=True, slots=True)
class StationSpec:
    """One simulated device.

    `driver` is a name of the drivers' table. `on` is where it is plugged in (see `ports.open_port`); empty: a pty named after
    the station in the simulation's directory. `cards` are tapped in turn; a talker needs `reader_on`, the port of an EM4100
    reader, for them. `faults`, `boxes` (0: no end), `rest_s`, `patience_s`, `tries` and `pace` are for a SUWOL-1000;
    `scenario`, `rate_hz` and `pieces` for a talker. A DP-401 dials the address `on`, registers as `device` and tells its cuts
    in the manner of `exchange` (confirmed or plain); `boxes`, `rest_s`, `patience_s`, `tries` are its cuts, and as many digits
    stand behind its point as behind that of `division`.
    """

    name: str
    driver: str
    on: str = ""
    cards: tuple[str, ...] = ()
    division: Decimal = Decimal("0.5")
    unit: str = "kg"
    scenario: str = "bench"
    rate_hz: float = 10.0
    pieces: int = 1
    reader_on: str = ""
    faults: tuple[str, ...] = ()
    boxes: int = 0
    rest_s: float = 0.5
    patience_s: float = 12.0
    tries: int = 4
    pace: float = 1.0
    device: str = "SCALE-01"
    exchange: str = "confirmed"


class Simulation:
    """Everything in `specs`, plugged in while the context is open. The same seed plays the same loads and cards.

    `urls` tells by station where it is found. Entering raises ValueError for a spec that makes no sense and OSError for a
    place that cannot be had.
    """

    def __init__(
        self,
        specs: Sequence[StationSpec],
        *,
        seed: int = 0,
        directory: Path,
        journal: Journal | None = None,
    ) -> None:
        self.journal = journal or Journal(directory / "journal.jsonl")
        self.urls: dict[str, str] = {}
        self.talkers: dict[str, Talker] = {}
        self.stations: dict[str, SuwolStation] = {}
        self.readers: dict[str, TagReader] = {}
        self.label_scales: dict[str, LabelScale] = {}
        self._specs = specs
        self._seed = seed
        self._directory = directory
        self._wheel = Wheel()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opened:
            opened.push_async_callback(self.close)
            for spec in self._specs:
                await self._open(spec)
            opened.pop_all()
        if self.talkers:
            self._tasks.append(asyncio.create_task(self._wheel.run(), name="talkers"))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def finish(self) -> None:
        """Let every operator end the present box and every talker its present load; then all platforms are empty."""
        for talker in self.talkers.values():
            talker.finish()
        await asyncio.gather(
            *(station.finish() for station in self.stations.values()),
            *(scale.finish() for scale in self.label_scales.values()),
            *(talker.idle.wait() for talker in self.talkers.values()),
        )

    async def wait_done(self) -> None:
        """Wait until all who have a limited number of boxes or cuts to weigh have done so; talkers go on."""
        await asyncio.gather(
            *(station.wait_done() for station in self.stations.values()),
            *(scale.wait_done() for scale in self.label_scales.values()),
        )

    async def close(self) -> None:
        """Unplug everything at once, as it stands."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        devices: list[SuwolStation | LabelScale | Talker | TagReader] = [
            *self.stations.values(),
            *self.label_scales.values(),
            *self.talkers.values(),
            *self.readers.values(),
        ]
        for device in devices:
            await device.close()
        self.journal.close()

    async def _open(self, spec: StationSpec) -> None:
        rng = random.Random(f"{self._seed} {spec.name}")  # noqa: S311 - plays loads
        port = open_port(spec.on or f"pty:{self._directory / spec.name}")
        match spec.driver:
            case "suwol-1000":
                await self._open_station(spec, port, rng)
            case "rfid-em4100":
                await self._open_reader(spec, port)
            case "dp401-csv":
                await self._open_label_scale(spec, port, rng)
            case _:
                await self._open_talker(spec, port, rng)
        self.urls[spec.name] = port.where

    async def _open_station(self, spec: StationSpec, port: Port, rng: random.Random) -> None:
        for card in spec.cards:
            if not re.fullmatch("(?!0{8})[0-9A-Za-z]{8}", card):
                raise ValueError(f"a card at a SUWOL-1000 has eight letters or digits, not all zero; not {card!r}")
        indicator = Indicator(spec.division, spec.division * 3000, spec.unit)
        device = SuwolDevice(indicator, rng, faults=combine(*spec.faults))
        station = SuwolStation(spec.name, port, device, journal=self.journal, pace=spec.pace)
        self.stations[spec.name] = station
        porter = Porter(
            spec.name,
            device,
            boxes(rng, spec.cards, spec.division, patience_s=spec.patience_s, tries=spec.tries),
            journal=self.journal,
            clock=asyncio.get_running_loop().time,
            rest_s=spec.rest_s,
            limit=spec.boxes,
        )
        await station.start(porter)

    async def _open_label_scale(self, spec: StationSpec, port: Port, rng: random.Random) -> None:
        decimals = max(0, -int(spec.division.as_tuple().exponent))
        manner = LabelManner(spec.device, Exchange(spec.exchange), decimals, answer_s=spec.patience_s, tries=spec.tries)
        self.label_scales[spec.name] = scale = LabelScale(spec.name, port, manner, journal=self.journal)
        await scale.start(cuts(rng, decimals), limit=spec.boxes, rest_s=spec.rest_s)

    async def _open_talker(self, spec: StationSpec, port: Port, rng: random.Random) -> None:
        encode = encoder(spec.driver)
        indicator = speakable(Indicator(spec.division, spec.division * 3000, spec.unit), encode)
        if spec.scenario not in SCENARIOS:
            raise ValueError(f"there is no scenario {spec.scenario!r}; known are {', '.join(SCENARIOS)}")
        reader = None
        if spec.reader_on:
            for card in spec.cards:
                frame_of_card(card)
            name = f"{spec.name}-reader"
            self.readers[name] = reader = TagReader(
                name, open_port(spec.reader_on), frame_of_card, journal=self.journal
            )
            await reader.start()
            self.urls[name] = reader.port.where
        self.talkers[spec.name] = talker = Talker(
            spec.name,
            port,
            encode,
            Manner(spec.rate_hz, spec.scenario, indicator, spec.pieces),
            journal=self.journal,
            rng=rng,
            reader=reader,
            cards=spec.cards,
        )
        await talker.start(self._wheel)

    async def _open_reader(self, spec: StationSpec, port: Port) -> None:
        for card in spec.cards:
            frame_of_card(card)
        self.readers[spec.name] = reader = TagReader(
            spec.name, port, frame_of_card, journal=self.journal, cards=spec.cards
        )
        await reader.start()
        if spec.cards:
            work = reader.present_in_turn(max(spec.rest_s, 2.0))
            self._tasks.append(asyncio.create_task(work, name=f"cards of {spec.name}"))


def encoder(driver: str) -> Callable[[Reading], bytes]:
    """What makes the bytes of an indicator that talks by itself. Raises ValueError for a name that is none."""
    if driver not in TALKERS:
        raise ValueError(f"no talking indicator is called {driver!r}; known are {', '.join(TALKERS)}")
    found: Callable[[Reading], bytes] = importlib.import_module(NAMES[driver]).encode
    return found


def speakable(indicator: Indicator, encode: Callable[[Reading], bytes]) -> Indicator:
    """The indicator, without its role if its protocol cannot say one."""
    try:
        encode(indicator.show(Sample(Decimal(0), moving=False)))
    except ValueError:
        return replace(indicator, role=None)
    return indicator


def frame_of_card(uid: str) -> bytes:
    """The frame of an EM4100 reader. Raises ValueError unless `uid` is ten hex digits."""
    return rfid_em4100.encode(CardSeen(uid.upper()))
