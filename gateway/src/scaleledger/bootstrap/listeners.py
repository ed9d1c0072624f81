"""Scales that dial in: their listeners and the registry of devices."""

from contextlib import suppress
from datetime import datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

from scaleledger.app.listener import Listener
from scaleledger.app.nameless import NamelessEvents
from scaleledger.app.registry import ListenerRules, ScaleProfile
from scaleledger.bootstrap.ground import Ground
from scaleledger.config.plant import ListenerSection, ScaleSection
from scaleledger.drivers import open_driver
from scaleledger.transports import open_transport
from scaleledger.transports.tcp_listen import ListenError, TcpListen
from scaleledger.wire.driver import Driver

_MACHINE_ZONE = Path("/etc/localtime")


async def add_listeners(ground: Ground) -> None:
    """Add a part per listener, and the one that keeps what is known of the devices."""
    if not ground.config.listener:
        return
    registry, nameless = ground.devices, NamelessEvents(ground.store.identity.mac_address)
    await registry.load()
    ground.open_parts.push_async_callback(registry.keep)
    ground.supervisor.add(ground.supervisor.part("devices"), registry.run)
    for section in ground.config.listener:
        part = ground.supervisor.part(f"listener {section.name}")
        listener = Listener(
            rules_of(section, ground.config.gateway.timezone),
            open_transport(section.url, clock=ground.clock, rng=ground.rng),
            _drivers_of(section),
            registry,
            nameless,
            ground.store.history,
            boot_id=ground.around.provenance.boot_id,
            guard=part.guard,
        )
        ground.listeners.append(listener)
        ground.supervisor.add(part, listener.run)


def open_doors(ground: Ground) -> None:
    """Take the listeners' addresses now: who dials in from here on is let in as soon as the parts run.

    An address that cannot be had is said and tried again by its part.
    """
    for listener in ground.listeners:
        if isinstance(listener.transport, TcpListen):
            with suppress(ListenError):
                listener.transport.bind()


def rules_of(section: ListenerSection, site_zone: str) -> ListenerRules:
    """A listener's configuration, with what is left out of a scale taken from the listener, and of that from the site."""
    profile = ScaleProfile(section.unit, section.decimals, section.codepage, zone_named(section.timezone or site_zone))
    return ListenerRules(
        name=section.name,
        driver=section.driver,
        profile=profile,
        scales={scale.id: _profile_of(scale, profile) for scale in section.scale},
        only_listed=section.only_listed,
        registration_s=section.registration_s,
        idle_s=section.idle_s,
        stale_s=section.stale_s,
        lost_s=section.lost_s,
        clock_tolerance_s=section.clock_tolerance_s,
    )


def _profile_of(scale: ScaleSection, listener: ScaleProfile) -> ScaleProfile:
    return ScaleProfile(
        unit=scale.unit or listener.unit,
        decimals=listener.decimals if scale.decimals is None else scale.decimals,
        codepage=scale.codepage or listener.codepage,
        zone=zone_named(scale.timezone) if scale.timezone else listener.zone,
        name=scale.name,
        location=scale.location,
        type=scale.type,
    )


class _Drivers:
    """Makes drivers of one kind."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, profile: ScaleProfile) -> Driver:
        return open_driver(self._name, unit=profile.unit, decimals=profile.decimals, codepage=profile.codepage)


def _drivers_of(section: ListenerSection) -> _Drivers:
    return _Drivers(section.driver)


def zone_named(name: str) -> tzinfo:
    """The zone of that name; the machine's own for an empty one."""
    if name:
        return ZoneInfo(name)
    if _MACHINE_ZONE.exists():
        with _MACHINE_ZONE.open("rb") as file:
            return ZoneInfo.from_file(file, key="local")
    zone = datetime.now().astimezone().tzinfo  # one offset for the whole year: where the system tells no more
    assert zone is not None
    return zone
