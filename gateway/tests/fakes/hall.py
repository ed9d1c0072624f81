"""A hall of talking scales on loopback wires: a roster with its stations, and belts that send lines at a pace."""

import asyncio
import random
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial

from fakes.loop_port import LoopPort
from fakes.memory_store import MemoryStore
from fakes.virtual_clock import LoopClock
from scaleledger.app.ports import CardStanding
from scaleledger.app.roster import AssignmentRefused, Duties, Plan, Roster
from scaleledger.app.station import Provenance, Source, Surroundings, WeighingStation
from scaleledger.app.supervisor import Supervisor
from scaleledger.domain.assignment import AssignedStation, Assignment
from scaleledger.domain.catalogue import Card
from scaleledger.domain.station import Mode, StationRules
from scaleledger.drivers import open_driver


class ChangingCards:
    """A card list that a test changes; as long as it is empty, every card is known."""

    def __init__(self):
        self.cards = {}

    def standing(self, uid):
        card = self.cards.get(uid, Card(CardStanding.UNKNOWN)) if self.cards else Card(CardStanding.KNOWN)
        return card.standing

    def about(self, uid):
        return self.cards.get(uid)


class Belt:
    """The device's end of one wire."""

    def __init__(self):
        self.port = LoopPort(LoopClock())

    def show(self, weight, *, stable=True):
        sign = "-" if Decimal(weight) < 0 else "+"
        self.port.send(f"{'ST' if stable else 'US'},GS,{sign}{abs(Decimal(weight)):>7}kg\r\n".encode())

    async def hold(self, weight, seconds, rate_hz=10, *, stable=True):
        for _ in range(round(seconds * rate_hz)):
            self.show(weight, stable=stable)
            await asyncio.sleep(1 / rate_hz)

    async def weigh(self, weight):
        await self.hold("0.0", 1)
        await self.hold(weight, 1)


class Hall:
    """`assign` takes stations as dictionaries of name → config; `config` needs a `url` that names a belt."""

    def __init__(self, store=None):
        self.store, self.cards = store or MemoryStore(), ChangingCards()
        self.belts, self.kept, self.ports, self.scans = {}, [], [], 0
        self.supervisor = Supervisor(random.Random(1))
        numbers = iter(range(1, 10**9))
        provenance = Provenance(lambda: f"0192f0c1-7a00-7000-8000-{next(numbers):012d}", "boot-1", lambda: 540)
        self._around = Surroundings(LoopClock(), self.store, self.cards, provenance)
        self.roster = Roster(self.supervisor, Duties(self._scan, self._fit, self._keep))
        self._stop = asyncio.Event()

    @property
    def running(self):
        return sorted(station.name for station in self.roster.stations)

    @property
    def refused(self):
        return {refused.name: refused.reason for refused in self.roster.reports()[1]}

    def station(self, name):
        [found] = [station for station in self.roster.stations if station.name == name]
        return found

    def belt(self, name):
        return self.belts.setdefault(name, Belt())

    def add_file(self, name, url):
        self.roster.add(self.plan(name, {"url": url}))

    async def assign(self, version="1", /, **stations):
        found = tuple(AssignedStation(name, config=config) for name, config in stations.items())
        await self.roster.take(Assignment(version, found))

    @asynccontextmanager
    async def open(self):
        self.supervisor.add(self.supervisor.part("roster"), self.roster.run)
        work = asyncio.create_task(self.supervisor.run(self._stop))
        try:
            yield self
        finally:
            self._stop.set()
            await work

    def plan(self, name, config):
        return Plan(name, tuple(sorted(config.items())), frozenset({config["url"]}), partial(self._build, name, config))

    def _build(self, name, config, part):
        mode = Mode(config.get("mode", "auto"))
        rules = StationRules(name, mode, min_weight=Decimal(config.get("min_weight", "2")))
        scale = Source(
            self.belt(config["url"]).port.transport(config["url"].removeprefix("loop:")),
            partial(open_driver, "st-gs-comma"),
        )
        return WeighingStation(rules, scale, None, self._around, driver_name="st-gs-comma", guard=part.guard)

    async def _scan(self):
        self.scans += 1
        return self.ports

    def _fit(self, assigned, ports):
        if "broken" in assigned.config:
            raise AssignmentRefused(assigned.config["broken"])
        wanted = assigned.config.get("usb")
        if wanted is not None:
            found = [p["device"] for p in ports if p["serial_number"] == wanted]
            if not found:
                raise AssignmentRefused(f"no port {wanted}", may_pass=True)
            return self.plan(assigned.name, dict(assigned.config) | {"url": found[0]})
        return self.plan(assigned.name, dict(assigned.config))

    async def _keep(self, assignment):
        self.kept.append(assignment)
