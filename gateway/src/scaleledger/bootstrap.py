"""Configuration in, a running gateway out: the only module that knows every concrete class."""

import asyncio
import os
import random
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from scaleledger import __version__
from scaleledger.app import host
from scaleledger.app.clock import SystemClock, boot_id, utc_offset_min
from scaleledger.app.forwarder import Forwarder
from scaleledger.app.lifecycle import Lifecycle
from scaleledger.app.station import Provenance, Source, Surroundings, WeighingStation
from scaleledger.app.supervisor import Supervisor
from scaleledger.app.watch import Watch
from scaleledger.config.load import known_cards
from scaleledger.config.model import Config, StationSection, UplinkSection
from scaleledger.domain.stability import StabilityRule
from scaleledger.domain.station import StationRules
from scaleledger.domain.weighing import Head
from scaleledger.drivers import open_driver
from scaleledger.observe.log import get_logger
from scaleledger.store import Store
from scaleledger.transports import SerialReader, open_transport
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
    """The parts of a running gateway, for those who look at it."""

    store: Store
    stations: tuple[WeighingStation, ...]
    lifecycle: Lifecycle | None


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
        lifecycle = None
        if config.uplink:
            uplink = await open_parts.enter_async_context(_centre(path, config.uplink[0]))
            lifecycle = _add_uplink(supervisor, config, uplink, store, clock, rng)
        reader = SerialReader(clock)
        open_parts.callback(reader.stop)
        around = Surroundings(clock, store.ledger, store.cards, _provenance(config))
        ever_approved = (await store.identity.load()).ever_approved
        required = config.gateway.require_registration and not ever_approved
        stations = tuple(
            _add_station(supervisor, section, around, reader, required=required) for section in config.station
        )
        if lifecycle is not None:
            lifecycle.on_approved = partial(_approve, stations)
        supervisor.add(supervisor.part("watch"), Watch(stations).run)
        log.info("sys.ready", stations=[s.name for s in stations])
        on_ready(Gateway(store, stations, lifecycle))
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


def _centre(path: Path, section: UplinkSection) -> CentralUplink:
    return CentralUplink(section.url, ca_file=path.parent / section.ca_file if section.ca_file else None)


def _add_station(
    supervisor: Supervisor, section: StationSection, around: Surroundings, reader: SerialReader, *, required: bool
) -> WeighingStation:
    part = supervisor.part(f"station {section.name}")
    scale = Source(
        open_transport(section.url, clock=around.clock, reader=reader),
        partial(open_driver, section.driver, **section.driver_options),
    )
    cards = None
    if section.reader is not None:
        cards = Source(
            open_transport(section.reader.url, clock=around.clock, reader=reader),
            partial(open_driver, section.reader.driver, **section.reader.options),
        )
    station = WeighingStation(
        station_rules(section, require_registration=required),
        scale,
        cards,
        around,
        driver_name=section.driver,
        guard=part.guard,
    )
    supervisor.add(part, station.run)
    return station


def _approve(stations: Iterable[WeighingStation]) -> None:
    for station in stations:
        station.approved()


def _add_uplink(
    supervisor: Supervisor, config: Config, uplink: CentralUplink, store: Store, clock: SystemClock, rng: random.Random
) -> Lifecycle:
    section = config.uplink[0]
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
