"""The gateway's own pages: their data, their door and their server. Imported only where a dashboard is configured."""

import ipaddress
import socket
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from scaleledger import __version__
from scaleledger.app import host
from scaleledger.app.desks import DeviceDesk, SpoolDesk
from scaleledger.app.lifecycle import Lifecycle
from scaleledger.app.overview import GatewayView, Overview, UplinkView
from scaleledger.app.roster import Roster
from scaleledger.app.viewers import Viewers
from scaleledger.bootstrap.cloud import CloudParts
from scaleledger.bootstrap.ground import Ground
from scaleledger.bootstrap.listeners import zone_named
from scaleledger.bootstrap.printing import look_for_printers
from scaleledger.config.plant import DashboardSection
from scaleledger.dashboard import create_application
from scaleledger.domain.standing import StationReport, fingerprint
from scaleledger.observe.log import get_logger
from scaleledger.store.browse import Browser
from scaleledger.store.folder import DATABASE
from scaleledger.store.reader import Reader
from scaleledger.store.views import Views
from scaleledger.web import tls
from scaleledger.web.doorkeeper import Doorkeeper
from scaleledger.web.server import Address, WebServer

log = get_logger()


async def add_dashboard(
    ground: Ground, roster: Roster, lifecycle: Lifecycle | None, cloud: CloudParts | None
) -> WebServer:
    """Add the parts of the dashboard; its address is bound when this returns, if it can be had."""
    section = ground.config.dashboard
    assert section is not None, "a dashboard is configured"
    store = ground.store
    views, browser = Views(Reader(store.folder / DATABASE)), Browser(store.folder / DATABASE)
    ground.open_parts.callback(views.close)
    ground.open_parts.callback(browser.close)
    overview = _overview(ground, roster, lifecycle, views)
    if cloud is not None:
        overview.uplinks.append(partial(_cloud, ground, cloud))
    door = Doorkeeper(store.logins, store.folder, ground.clock.monotonic, section.session_hours * 3600)
    await door.open()
    viewers = Viewers(overview.shown, ground.clock)
    hosts = {*section.hosts, host.hostname(), f"{host.hostname()}.local"}
    address = _address(ground, section, hosts)
    application = create_application(
        overview, door, viewers, browser, hosts=hosts, port=address.port, is_secure=address.certificate is not None
    )
    server = WebServer(application, address, ground.rng)
    ground.open_parts.callback(server.close)
    server.bind()
    ground.supervisor.add(ground.supervisor.part("dashboard"), server.run)
    ground.supervisor.add(ground.supervisor.part("dashboard live"), viewers.run)  # ended first, and its streams with it
    return server


def _overview(ground: Ground, roster: Roster, lifecycle: Lifecycle | None, views: Views) -> Overview:
    config = ground.config
    overview = Overview(
        partial(_gateway, ground, ground.clock.now(), ground.clock.monotonic()),
        views,
        ground.clock.now,
        zone_named(config.gateway.timezone),
    )
    overview.shown.add(lambda: roster.stations)
    overview.stations = partial(_stations, roster)
    if lifecycle is not None:
        overview.uplinks.append(partial(_central, ground, lifecycle))
    if config.listener:
        devices = DeviceDesk(ground.devices)
        overview.devices = devices
        overview.shown.add(devices.shown)
        overview.problems.append(devices.problems)
    if ground.printing is not None:
        printing = SpoolDesk(ground.printing.printers, ground.printing.spool, look_for_printers)
        overview.printing = printing
        overview.problems.append(printing.problems)
    if config.plu is not None:
        overview.files = _Files(ground)
    overview.has_cloud = config.carnitrack is not None
    if config.carnitrack is not None:
        overview.session_age_s = config.carnitrack.session_age_s
    return overview


def _gateway(ground: Ground, started_at: datetime, began_s: float) -> GatewayView:
    store = ground.store
    return GatewayView(
        name=ground.config.gateway.name or host.hostname(),
        version=__version__,
        mac_address=store.identity.mac_address,
        fingerprint=fingerprint(store.public_key),
        started_at=started_at,
        uptime_s=ground.clock.monotonic() - began_s,
        head=store.head(),
        host=host.report(store.folder),
    )


def _stations(roster: Roster) -> tuple[StationReport, ...]:
    running, _ = roster.reports()
    return running


_STANDING = {
    "initialize": "starting",
    "sync": "waits for approval or for an answer",
    "register": "asks to be registered",
    "heartbeat": "approved and connected",
}


async def _central(ground: Ground, lifecycle: Lifecycle) -> UplinkView:
    outbox, name = ground.store.outbox, "central"
    up = lifecycle.link_up and lifecycle.state.value == "heartbeat"
    receipt = outbox.receipt(name)
    words = _STANDING[lifecycle.state.value] if lifecycle.link_up else "the centre cannot be reached"
    return UplinkView(name, up, words, await outbox.counts(name), receipt.upto_seq if receipt is not None else 0)


async def _cloud(ground: Ground, cloud: CloudParts) -> UplinkView:
    words = "connected" if cloud.line.up else cloud.line.words or "the cloud cannot be reached"
    return UplinkView(cloud.name, cloud.line.up, words, await ground.store.outbox.counts(cloud.name))


class _Files:
    """The product files of the store."""

    def __init__(self, ground: Ground) -> None:
        self._shelf, self._clock = ground.store.plu, ground.clock

    async def content(self, file_id: int) -> tuple[str, bytes] | None:
        """File name and bytes."""
        found = await self._shelf.content(file_id)
        return ("plu.txt", found[1]) if found is not None else None

    async def note_download(self, file_id: int) -> None:
        """Somebody took it."""
        await self._shelf.note_download(file_id, self._clock.now())


def _address(ground: Ground, section: DashboardSection, hosts: set[str]) -> Address:
    """Where to listen, with TLS wherever anybody else could listen in."""
    name, _, port = section.address.rpartition(":")
    name = name.removeprefix("[").removesuffix("]")
    certificate: Path | None = None
    key: Path | None = None
    if section.cert_file is not None and section.key_file is not None:
        certificate, key = ground.path.parent / section.cert_file, ground.path.parent / section.key_file
    elif not ipaddress.ip_address(name).is_loopback:
        names = {*hosts, "localhost", "127.0.0.1", *_own_addresses(name)}
        certificate, key = tls.own_certificate(ground.store.folder, names, ground.clock.now().astimezone(UTC))
        log.info("sys.dashboard_certificate", sha256=tls.fingerprint(certificate))
    return Address(name, int(port), certificate, key)


def _own_addresses(bound: str) -> set[str]:
    """The bound address; for all of them, the one that leads out (asked of the system, nothing is sent)."""
    address = ipaddress.ip_address(bound)
    if not address.is_unspecified:
        return {bound}
    found = set()
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        way.connect(("192.0.2.1", 9))
        found.add(str(way.getsockname()[0]))
    return found
