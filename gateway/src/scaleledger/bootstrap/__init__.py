"""Configuration in, a running gateway out: the only module that knows every concrete class."""

import asyncio
import os
import random
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from scaleledger import __version__
from scaleledger.app import host
from scaleledger.app.clock import SystemClock, boot_id, utc_offset_min
from scaleledger.app.forwarder import Forwarder
from scaleledger.app.lifecycle import Lifecycle
from scaleledger.app.line import Line, LineDuties
from scaleledger.app.live import LiveLane
from scaleledger.app.market import market
from scaleledger.app.refresh import Refresh, Subject
from scaleledger.app.registry import Registry
from scaleledger.app.roster import Duties, Plan, Ports, Roster
from scaleledger.app.station import Provenance, Source, Surroundings, WeighingStation
from scaleledger.app.supervisor import Part, Supervisor
from scaleledger.app.watch import Watch
from scaleledger.bootstrap.cloud import add_cloud
from scaleledger.bootstrap.ground import Ground
from scaleledger.bootstrap.listeners import add_listeners, open_doors
from scaleledger.bootstrap.printing import add_printing
from scaleledger.config.assigned import ports_of, section_of
from scaleledger.config.load import known_cards
from scaleledger.config.model import Assignable, Config, StationSection, UplinkSection
from scaleledger.domain.assignment import AssignedStation
from scaleledger.domain.stability import StabilityRule
from scaleledger.domain.standing import Alive
from scaleledger.domain.station import StationRules
from scaleledger.domain.weighing import Head
from scaleledger.drivers import open_driver
from scaleledger.observe.log import get_logger
from scaleledger.store import Store
from scaleledger.transports import SerialReader, open_transport
from scaleledger.transports.serial_ports import scan
from scaleledger.uplinks.central.channel import CentralChannel
from scaleledger.uplinks.central.client import CentralUplink

try:
    from uuid import uuid7  # type: ignore[attr-defined,unused-ignore]  # from Python 3.14 on
except ImportError:
    from uuid_utils import uuid7

log = get_logger()


def new_uuid() -> str:
    """A version 7 UUID: unique without asking anyone, and in the order of time."""
    return str(uuid7())


@dataclass(frozen=True, slots=True)
class Gateway:
    """The parts of a running gateway, for those who look at it. `stations` is always what runs at the moment.

    `dashboard_port` is 0 where no dashboard is served.
    """

    store: Store
    stations: Sequence[WeighingStation]
    lifecycle: Lifecycle | None
    dashboard_port: int = 0


def station_rules(section: StationSection, *, require_registration: bool) -> StationRules:
    """The pure part of a station's configuration."""
    return StationRules(
        name=section.name,
        mode=section.mode,
        unit=section.unit,
        division=section.division,
        min_weight=section.min_weight,
        max_weight=section.max_weight,
        rearm=section.rearm,
        stability=StabilityRule(**section.stability.model_dump()),
        timeout_s=section.timeout_s,
        stale_s=section.stale_s,
        needs_registration=require_registration,
    )


async def run_gateway(
    path: Path, config: Config, stop: asyncio.Event, on_ready: Callable[[Gateway], None] = lambda _: None
) -> None:
    """Run until `stop` is set, then drain: what was accepted is durable, the store is closed.

    Raises StoreError or one of its kinds when the data folder cannot be used (StoreDamaged: run again, and what was damaged
    is set aside and salvaged), ConfigError when the card file cannot.
    """
    clock, rng = SystemClock(), random.Random()  # noqa: S311 - jitter
    cards = known_cards(path, config)
    log.info("sys.start", version=__version__, stations=len(config.station), pid=os.getpid())
    async with AsyncExitStack() as open_parts:
        store = await Store.open(
            path.parent / config.gateway.data_dir,
            clock=clock,
            mac_address=config.gateway.mac_address or host.mac_address(),
            hostname=host.hostname(),
            reserve_mb=config.store.reserve_mb,
            software=__version__,
        )
        open_parts.push_async_callback(_close, store)
        if cards is not None:
            store.cards.replace(cards)
        supervisor = Supervisor(rng)
        reader = SerialReader(clock)
        open_parts.callback(reader.stop)
        around = Surroundings(clock, store.ledger, store.cards, _provenance(config))
        ever_approved = (await store.identity.load()).ever_approved
        workshop = _Workshop(around, reader, needs_approval=config.gateway.require_registration and not ever_approved)
        devices = Registry(clock, store.ledger, store.devices, store.history, store.rejected)
        ground = Ground(path, config, store, supervisor, around, clock, rng, open_parts, devices)
        await add_listeners(ground)
        ground = replace(ground, printing=await add_printing(ground))
        cloud = await add_cloud(ground)
        roster = _roster(supervisor, config, store, workshop)
        lifecycle = None
        if config.central is not None:
            uplink = await open_parts.enter_async_context(_centre(path, config.central, store))
            lifecycle = _add_uplink(supervisor, config, config.central, uplink, store, clock, rng)
        for section in config.station:
            roster.add(workshop.plan(section))
        if lifecycle is not None and config.central is not None:
            lifecycle.on_approved = partial(_approve, workshop, roster)
            lifecycle.read_stations = roster.reports
            await _add_centre(supervisor, lifecycle, config.central, uplink, store, roster, clock, rng)
        supervisor.add(supervisor.part("watch"), Watch(roster.stations).run)
        dashboard = None
        if config.dashboard is not None:
            from scaleledger.bootstrap.dashboard import add_dashboard  # noqa: PLC0415 - its libraries are for those who want it

            dashboard = await add_dashboard(ground, roster, lifecycle, cloud)
        open_doors(ground)
        log.info("sys.ready", stations=[s.name for s in roster.stations])
        on_ready(Gateway(store, roster.stations, lifecycle, dashboard.port if dashboard is not None else 0))
        await _until(stop, store, supervisor)
        log.info("sys.stop")


async def _until(stop: asyncio.Event, store: Store, supervisor: Supervisor) -> None:
    """Run the parts until `stop` is set, or until the store fails; they are ended in good order in both cases."""
    over = asyncio.Event()
    ends = [asyncio.create_task(stop.wait()), asyncio.create_task(store.wait_failed())]
    for end in ends:
        end.add_done_callback(lambda _: over.set())
    try:
        await supervisor.run(over)
        if ends[1].done():
            ends[1].result()
    finally:
        for end in ends:
            end.cancel()
        await asyncio.gather(*ends, return_exceptions=True)


async def _close(store: Store) -> None:
    await store.close()
    log.info("sys.drained")


def _centre(path: Path, section: UplinkSection, store: Store) -> CentralUplink:
    store.identity.use_server_key(section.server_key)
    ca_file = path.parent / section.ca_file if section.ca_file else None
    return CentralUplink(section.url, ca_file=ca_file, mac_address=store.identity.mac_address, sign=store.sign)


class _Workshop:
    """Makes stations from sections, whether they come from the file or from the centre."""

    def __init__(self, around: Surroundings, reader: SerialReader, *, needs_approval: bool) -> None:
        self._around, self._reader = around, reader
        self.needs_approval = needs_approval

    def plan(self, section: StationSection) -> Plan:
        """How a section is run."""
        return Plan(section.name, section, ports_of(section), partial(self._build, section))

    def fit(self, assignable: Assignable, assigned: AssignedStation, ports: Ports) -> Plan:
        """How an assigned station is run. Raises AssignmentRefused."""
        return self.plan(section_of(assigned, ports, assignable))

    def _build(self, section: StationSection, part: Part) -> WeighingStation:
        cards = None
        if section.reader is not None:
            cards = self._source(section.reader.url, section.reader.driver, section.reader.options)
        return WeighingStation(
            station_rules(section, require_registration=self.needs_approval),
            self._source(section.url, section.driver, section.driver_options),
            cards,
            self._around,
            driver_name=section.driver,
            guard=part.guard,
        )

    def _source(self, url: str, driver: str, options: dict[str, Any]) -> Source:
        transport = open_transport(url, clock=self._around.clock, reader=self._reader)
        return Source(transport, partial(open_driver, driver, **options))


def _roster(supervisor: Supervisor, config: Config, store: Store, workshop: _Workshop) -> Roster:
    section = config.central
    fit = partial(workshop.fit, section.stations if section else "none")
    return Roster(supervisor, Duties(partial(scan, section.ports if section else ()), fit, store.assignment.keep))


async def _add_centre(
    supervisor: Supervisor,
    lifecycle: Lifecycle,
    section: UplinkSection,
    uplink: CentralUplink,
    store: Store,
    roster: Roster,
    clock: SystemClock,
    rng: random.Random,
) -> None:
    """What the centre gives, and what it may watch: stations, market data, the open line."""
    stored = await store.assignment.load()
    if stored is not None:
        await roster.take(stored, stored=True)
    stations = Refresh(Subject("stations", lambda: roster.version, uplink.fetch_stations, roster.take), uplink, rng)
    goods = market(uplink, store.cards, rng)
    channel = CentralChannel(uplink)
    lane = LiveLane(roster.stations, channel.send, clock)
    duties = LineDuties(stations.ask, goods.ask, partial(scan, section.ports))
    line = Line(channel, lane, duties, clock, rng)
    retry_deliveries = lifecycle.on_link_back

    def link_back() -> None:
        retry_deliveries()
        stations.ask()
        goods.ask()

    def alive(said: Alive) -> None:
        stations.compare(said.stations_version)
        goods.compare(said.market_version)

    lifecycle.on_link_back, lifecycle.on_alive = link_back, alive
    lifecycle.read_host = partial(host.report, store.folder)
    for name, run in (
        ("roster", roster.run),
        ("stations", stations.run),
        ("market", goods.run),
        ("live", lane.run),
        ("line", line.run),
    ):
        supervisor.add(supervisor.part(name), run)


def _approve(workshop: _Workshop, roster: Roster) -> None:
    workshop.needs_approval = False
    roster.approved()


def _add_uplink(
    supervisor: Supervisor,
    config: Config,
    section: UplinkSection,
    uplink: CentralUplink,
    store: Store,
    clock: SystemClock,
    rng: random.Random,
) -> Lifecycle:
    lifecycle = Lifecycle(
        uplink,
        store.identity,
        store.outbox,
        clock=clock,
        rng=rng,
        name=config.gateway.name or host.hostname(),
        heartbeat_interval_s=section.heartbeat_interval_s,
        pending_interval_s=section.pending_interval_s,
    )
    forwarder = Forwarder(uplink, store.outbox, clock=clock, rng=rng, sweep_interval_s=section.sweep_interval_s)
    lifecycle.read_head = partial(_head, store)
    lifecycle.on_anchor = store.go_on_above
    lifecycle.on_link_back = forwarder.retry_now
    supervisor.add(supervisor.part("life"), lifecycle.run)
    supervisor.add(supervisor.part("forwarder"), forwarder.run)
    return lifecycle


async def _head(store: Store) -> Head | None:
    head = store.head()
    return head if head.seq else None


def _provenance(config: Config) -> Provenance:
    zone = ZoneInfo(config.gateway.timezone) if config.gateway.timezone else None
    return Provenance(new_uuid, boot_id(), partial(utc_offset_min, zone))
