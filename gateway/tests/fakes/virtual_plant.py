"""A whole plant in virtual time: simulated hardware, a gateway that can be killed, a network and a centre, faults by seed.

What is durable lies on a `Disk`, what the centre holds in `Books`; everything between them is the product's own code. The
centre wants keys proved, its tokens end within a quarter of an hour, and it gives receipts; or it is a plain one.
"""

import asyncio
import hashlib
import json
import random
import uuid
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

import httpx2

from fakes.centre import Books, Weather, _Body
from fakes.loop_port import LoopPort
from fakes.memory_store import Disk, MemoryStore, Sound
from fakes.outbox import MAC, MemoryIdentity
from fakes.proved_books import GATEWAY_KEY, ProvedBooks
from fakes.virtual_clock import LoopClock
from scaleledger.app.forwarder import Forwarder
from scaleledger.app.lifecycle import Lifecycle
from scaleledger.app.ports import CardStanding
from scaleledger.app.station import Provenance, Source, Surroundings, WeighingStation
from scaleledger.app.supervisor import Supervisor
from scaleledger.app.watch import Watch
from scaleledger.domain.errors import StoreError, StoreFull
from scaleledger.domain.station import Mode, StationRules
from scaleledger.drivers import open_driver
from scaleledger.simulators.faults import combine
from scaleledger.simulators.journal import Journal
from scaleledger.simulators.porter import Porter
from scaleledger.simulators.rfid import TagReader
from scaleledger.simulators.scenario import Indicator
from scaleledger.simulators.script import boxes
from scaleledger.simulators.suwol1000 import SuwolStation
from scaleledger.simulators.suwol_device import SuwolDevice
from scaleledger.simulators.talker import Manner, Talker, Wheel
from scaleledger.simulators.yard import encoder, frame_of_card, speakable
from scaleledger.uplinks.central.client import CentralUplink

CARDS = ("A1B2C3D4", "00000042", "0000BEEF")
TAGS = ("62E3086CED", "2E00AF0EC9")
DIVISION = Decimal("0.5")
TOKEN_LIFE_S = 900.0


@dataclass(frozen=True)
class Risks:
    """Mean times between faults in seconds, chances per event; zero is never."""

    kill_s: float = 0.0
    restart_s: float = 0.0
    flap_s: float = 0.0
    bad_weather_s: float = 0.0
    revoke_s: float = 0.0
    lost_reply: float = 0.0
    broken_answer: float = 0.0
    commit_fails: float = 0.0
    commit_slow: float = 0.0
    kill_at_boundary: float = 0.0


CALM = Risks()
STORMY = Risks(
    kill_s=1500,
    restart_s=3600,
    flap_s=420,
    bad_weather_s=1200,
    revoke_s=5000,
    lost_reply=0.03,
    broken_answer=0.03,
    commit_fails=0.02,
    commit_slow=0.1,
    kill_at_boundary=0.002,
)


class FatefulDisk(Sound):
    """Commits that are slow, that fail, and that are the last thing a process does."""

    def __init__(self, plant):
        self.plant = plant

    async def before_commit(self):
        plant, rng, risks = self.plant, self.plant.rng, self.plant.risks
        await asyncio.sleep(rng.uniform(0.001, 0.01))
        if rng.random() < risks.commit_slow:
            plant.faults["slow commit"] += 1
            await asyncio.sleep(rng.uniform(0.05, 3))
        if rng.random() < risks.commit_fails:
            plant.faults["failed commit"] += 1
            raise rng.choice([StoreError("the disk refused"), StoreFull("no room")])
        await plant.perhaps_die("before commit")

    async def after_commit(self):
        await asyncio.sleep(self.plant.rng.uniform(0, 0.005))
        await self.plant.perhaps_die("after commit")


class Sea(Weather):
    """One process's way to the centre: slow, lossy both ways, and gone with the process."""

    def __init__(self, plant):
        super().__init__(plant.books)
        self.plant, self.sunk = plant, False

    async def handle_async_request(self, request):
        plant, rng = self.plant, self.plant.rng
        self.state = plant.weather
        self.latency_s = rng.uniform(0.005, 0.2)
        if rng.random() < plant.risks.broken_answer:
            plant.faults["error 500"] += 1
            return httpx2.Response(500, stream=_Body(b"oops"))
        answer = await super().handle_async_request(request)
        if rng.random() < plant.risks.lost_reply:
            plant.faults["lost reply"] += 1
            raise httpx2.ReadError("the connection was reset", request=request)
        if self.state == "up":
            await plant.perhaps_die("after answer")
        if self.sunk:
            raise httpx2.ConnectError("this process is dead", request=request)
        return answer


class AnyCard:
    def standing(self, uid):
        return CardStanding.KNOWN

    def about(self, uid):
        return None


class Process:
    """One life of the gateway, wired as the product wires it."""

    def __init__(self, plant, number):
        rng = random.Random(f"{plant.seed} process {number}")
        clock = LoopClock()
        self.store = MemoryStore(plant.disk, FatefulDisk(plant))
        self.sea = Sea(plant)
        sign = GATEWAY_KEY.sign if plant.proved else None
        self.uplink = CentralUplink(
            "http://centre.invalid/", mac_address=MAC, sign=sign, now=clock.now, transport=self.sea
        )
        self.stop = asyncio.Event()
        self._ports = plant.ports
        supervisor = self._supervisor = Supervisor(rng)
        life = Lifecycle(self.uplink, plant.identity, self.store, clock=clock, rng=rng, name="plant")
        forwarder = Forwarder(self.uplink, self.store, clock=clock, rng=rng)
        life.read_head = self.store.head
        life.on_link_back = forwarder.retry_now
        self.parts = [supervisor.part("life"), supervisor.part("forwarder")]
        supervisor.add(self.parts[0], life.run)
        supervisor.add(self.parts[1], forwarder.run)
        provenance = Provenance(plant.new_uuid, f"boot-{number}", lambda: 540)
        around = Surroundings(clock, self.store, AnyCard(), provenance)
        self.stations = [self._station(plant, around, *wiring) for wiring in plant.wiring]
        life.on_approved = lambda: [station.approved() for station in self.stations]
        supervisor.add(supervisor.part("watch"), Watch(self.stations).run)
        self._work = asyncio.create_task(supervisor.run(self.stop))

    def _station(self, plant, around, name, driver, mode, options, reader):
        part = self._supervisor.part(name)
        self.parts.append(part)
        scale = Source(plant.ports[name].transport(name), partial(open_driver, driver, **options))
        cards = Source(plant.ports[reader].transport(reader), partial(open_driver, "rfid-em4100")) if reader else None
        rules = StationRules(name, mode, stale_s=5.0, needs_registration=plant.needs_registration)
        station = WeighingStation(
            rules, scale, cards, around, driver_name=driver, on_saved=plant.said.append, guard=part.guard
        )
        self._supervisor.add(part, station.run)
        return station

    async def end(self, *, kill):
        """In good order, or as SIGKILL does it: disk, wires and network stand still before anything else happens."""
        if kill:
            self.store.die()
            self.sea.sunk = True
            for port in self._ports.values():
                port.cut()
            self._work.cancel()
        else:
            self.stop.set()
        await asyncio.wait({self._work})
        await self.uplink.close()
        if not kill:
            self.store.close()


class Plant:
    """Hardware and centre; `run` plays a day and leaves the books for the test to compare."""

    def __init__(self, seed, risks=CALM, *, needs_registration=False, proved=True):
        self.seed, self.risks, self.needs_registration = seed, risks, needs_registration
        self.rng = random.Random(f"{seed} fate")
        self._uuids = random.Random(f"{seed} uuids")
        self.proved = proved
        self.disk, self.identity = Disk(), MemoryIdentity(public_key=GATEWAY_KEY.public)
        self.books = ProvedBooks(clock=LoopClock(), token_life_s=TOKEN_LIFE_S) if proved else Books()
        self.journal, self.faults, self.said = Journal(), Counter(), []
        self.weather = "up"
        self.ports, self.wiring = {}, []
        self.lives, self.restarts = 0, 0
        self._porters, self._talkers, self._wheel = [], [], Wheel()
        self._doom = asyncio.Event()
        self.process = None

    def new_uuid(self):
        return str(uuid.UUID(int=self._uuids.getrandbits(128), version=4))

    def port(self, name):
        port = self.ports[name] = LoopPort(LoopClock())
        return port

    async def add_dock(self, name, *faults, poll_interval_s=0.6, rest_s=60.0):
        """A SUWOL-1000 with a porter."""
        rng, port = random.Random(f"{self.seed} {name}"), self.port(name)
        device = SuwolDevice(Indicator(DIVISION), rng, faults=combine(*faults))
        wire_side = SuwolStation(name, port, device, journal=self.journal, pace=0)
        porter = Porter(
            name,
            device,
            boxes(rng, CARDS, DIVISION),
            journal=self.journal,
            clock=asyncio.get_running_loop().time,
            rest_s=rest_s,
        )
        self.wiring.append((name, "suwol-1000", Mode.TAG, {"poll_interval_s": poll_interval_s}, ""))
        self._porters.append(wire_side)
        await wire_side.start(porter)

    async def add_talker(self, name, driver, scenario="bench", *, rate_hz=1.0, with_reader=False):
        """A scale that talks by itself, and if wanted a card reader beside it."""
        rng, encode, reader = random.Random(f"{self.seed} {name}"), encoder(driver), None
        if with_reader:
            reader = TagReader(f"{name}-reader", self.port(f"{name}-reader"), frame_of_card, journal=self.journal)
            await reader.start()
        indicator = speakable(Indicator(DIVISION, DIVISION * 3000), encode)
        talker = Talker(
            name,
            self.port(name),
            encode,
            Manner(rate_hz, scenario, indicator),
            journal=self.journal,
            rng=rng,
            reader=reader,
            cards=TAGS if with_reader else (),
        )
        mode = Mode.TAG if with_reader else Mode.AUTO
        self.wiring.append((name, driver, mode, {}, reader.name if reader else ""))
        self._talkers.append(talker)
        await talker.start(self._wheel)

    async def perhaps_die(self, boundary):
        """Now and then the process ends right here."""
        if self.rng.random() < self.risks.kill_at_boundary:
            self.faults[f"kill {boundary}"] += 1
            self._doom.set()
            await asyncio.sleep(0.1)

    # -- the day ------------------------------------------------------------------------------------------------------

    async def run(self, hours):
        """Work for so long under the risks, then end the day in peace: everything is finished and delivered."""
        wheel = asyncio.create_task(self._wheel.run())
        gateway = asyncio.create_task(self._keep_gateway())
        async with self._fate():
            await asyncio.sleep(hours * 3600)
        self.risks, self.weather = CALM, "up"
        for port in self.ports.values():
            port.plug()
        for talker in self._talkers:
            talker.finish()
        await asyncio.gather(
            *(porter.finish() for porter in self._porters), *(talker.idle.wait() for talker in self._talkers)
        )
        await asyncio.sleep(150)
        while self.process.store.owed:
            await asyncio.sleep(1)
        for task in (gateway, wheel):
            task.cancel()
            await asyncio.wait({task})
        for device in (*self._porters, *self._talkers):
            await device.close()

    async def _keep_gateway(self):
        """Start the gateway whenever it is gone."""
        try:
            while True:
                self.lives += 1
                self._doom.clear()
                self.process = Process(self, self.lives)
                await self._doom.wait()
                await self._end_process(kill=True)
                await asyncio.sleep(self.rng.uniform(0.5, 5))
        finally:
            await self._end_process(kill=False)

    async def _end_process(self, *, kill):
        process, self.process = self.process, None
        if process is not None:
            await process.end(kill=kill)
            self.restarts += sum(part.restarts for part in process.parts)

    @asynccontextmanager
    async def _fate(self):
        risks = self.risks
        work = [
            (risks.kill_s, self._kill),
            (risks.bad_weather_s, self._bad_weather),
            (risks.revoke_s, self._revoke),
            *((risks.flap_s, partial(self._flap, name)) for name in self.ports),
        ]
        tasks = [asyncio.create_task(self._now_and_then(mean_s, strike)) for mean_s, strike in work if mean_s]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _now_and_then(self, mean_s, strike):
        while True:
            await asyncio.sleep(self.rng.expovariate(1 / mean_s))
            await strike()

    async def _kill(self):
        self.faults["kill"] += 1
        self._doom.set()

    async def _revoke(self):
        self.faults["token revoked"] += 1
        self.books.revoke()

    async def _bad_weather(self):
        kind, longest_s = self.rng.choice([("away", 7200), ("silent", 600), ("500", 600), ("html", 300)])
        self.faults[f"centre {kind}"] += 1
        self.weather = kind
        await asyncio.sleep(self.rng.uniform(1, longest_s))
        self.weather = "up"

    async def _flap(self, name):
        self.faults["link flap"] += 1
        self.ports[name].unplug()
        await asyncio.sleep(self.rng.choice([0.0, 0.1, 3.0]) + self.rng.uniform(0, 2))
        self.ports[name].plug()

    # -- the books ----------------------------------------------------------------------------------------------------

    def digest(self):
        """One number for all that the centre holds."""
        return hashlib.sha256(json.dumps(self.books.held, sort_keys=True).encode()).hexdigest()
