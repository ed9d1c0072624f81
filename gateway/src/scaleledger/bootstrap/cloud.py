"""A CarniTrack cloud: delivery of events, sessions, offline batches, products, print jobs."""

from dataclasses import dataclass
from pathlib import Path

from scaleledger.app.cloud import CloudLine, Floor, Gated
from scaleledger.app.forwarder import Forwarder
from scaleledger.app.offline import OfflineBatches
from scaleledger.app.products import Products
from scaleledger.app.reattribution import Reattribution
from scaleledger.app.sessions import SessionDesk
from scaleledger.bootstrap.ground import Ground
from scaleledger.bootstrap.printing import join_cloud
from scaleledger.bootstrap.products import add_products
from scaleledger.config.plant import CarnitrackSection
from scaleledger.domain.cloud import CloudSaid, PluChanged
from scaleledger.domain.errors import ScaleLedgerError
from scaleledger.domain.offline import ContextOf, EventContext
from scaleledger.domain.session_book import SessionFact
from scaleledger.domain.weighing import Record
from scaleledger.uplinks.carnitrack.calls import rest_beside
from scaleledger.uplinks.carnitrack.resources import CloudSettings
from scaleledger.uplinks.carnitrack.rest import Pace, RestCloud
from scaleledger.uplinks.carnitrack.ws import SocketCloud


class KeyUnreadable(ScaleLedgerError):
    """The file that should hold the site's key cannot be read."""


@dataclass(frozen=True, slots=True)
class CloudParts:
    """The parts of a cloud, for those who show them. `name` is its uplink's, under which the outbox has its books."""

    name: str
    line: CloudLine
    sessions: SessionDesk
    batches: OfflineBatches
    products: Products | None


async def add_cloud(ground: Ground) -> CloudParts | None:
    """Add the parts of a CarniTrack uplink; None where none is configured. Raises StoreError, KeyUnreadable."""
    section = ground.config.carnitrack
    if section is None:
        return None

    def context(record: Record) -> EventContext:
        return batches.context(record)

    cloud = _open(ground, section, context)
    ground.open_parts.push_async_callback(cloud.close)
    line = CloudLine(
        cloud,
        Floor(ground.devices.connected, ground.devices.snapshots),
        ground.clock,
        ground.rng,
        heartbeat_interval_s=section.heartbeat_interval_s,
    )
    sessions = await _sessions(ground, line)
    batches = OfflineBatches(
        cloud.name,
        ground.store.identity.mac_address,
        cloud,
        ground.store.batches,
        ground.store.outbox,
        clock=ground.clock,
        rng=ground.rng,
    )
    await batches.load()
    gated = Gated(cloud, batches.prepared)
    forwarder = Forwarder(
        gated,
        ground.store.outbox,
        clock=ground.clock,
        rng=ground.rng,
        sweep_interval_s=section.sweep_interval_s,
    )
    cloud.retry = forwarder.retry_now
    line.links += [batches.link, lambda up: forwarder.retry_now() if up else None]
    ground.devices.hears.append(line.tell)
    for name, run in (
        ("sessions", sessions.run),
        ("offline batches", batches.run),
        ("cloud", line.run),
        ("cloud heartbeat", line.beat),
        (f"{cloud.name} forwarder", forwarder.run),
    ):
        ground.supervisor.add(ground.supervisor.part(name), run)
    products = add_products(ground, cloud)
    _join(line, products)
    if ground.printing is not None:
        orders = join_cloud(ground, ground.printing, cloud, pushes=isinstance(cloud, SocketCloud))
        line.hears.append(orders.heard)
        line.links.append(orders.link_changed)
    return CloudParts(cloud.name, line, sessions, batches, products)


async def _sessions(ground: Ground, line: CloudLine) -> SessionDesk:
    """The sessions, which the devices ask and the cloud tells."""
    desk = SessionDesk(ground.store.sessions, ground.clock)
    await desk.load()
    desk.reattribution = Reattribution(
        ground.store.attributions,
        ground.store.ledger,
        desk.at,
        clock=ground.clock,
        boot_id=ground.around.provenance.boot_id,
    )
    desk.on_change = line.look
    ground.devices.sessions = desk
    ground.devices.records.append(desk.kept_event)

    def hear(said: CloudSaid) -> None:
        if isinstance(said, SessionFact):
            desk.hear(said)

    line.hears.append(hear)
    return desk


def _join(line: CloudLine, products: Products | None) -> None:
    """A list of products is asked for when the cloud says that it is new, and after each return of the cloud."""
    if products is None:
        return
    line.hears.append(lambda said: products.ask() if isinstance(said, PluChanged) else None)
    line.links.append(lambda up: products.ask() if up else None)


def cloud_settings(path: Path, section: CarnitrackSection) -> CloudSettings:
    """How a cloud is reached, by its section in the file at `path`. Raises KeyUnreadable."""
    rest_url = section.api_url or (rest_beside(section.url) if section.url.startswith("ws") else section.url)
    return CloudSettings(
        rest_url,
        api_key=_key(path, section),
        site_id=section.site_id,
        site_name=section.site_name,
        ca_file=path.parent / section.ca_file if section.ca_file else None,
    )


def _open(ground: Ground, section: CarnitrackSection, context: ContextOf) -> SocketCloud | RestCloud:
    settings = cloud_settings(ground.path, section)
    if section.url.startswith("ws"):
        return SocketCloud(section.url, settings, ground.store.edge_identity, context)
    pace = Pace(section.idle_poll_s, section.waiting_poll_s, section.active_poll_s)
    return RestCloud(settings, ground.store.edge_identity, context, pace=pace)


def _key(path: Path, section: CarnitrackSection) -> str:
    key, where = section.api_key.get_secret_value().strip(), "api_key"
    if section.api_key_file is not None:
        where = str(path.parent / section.api_key_file)
        try:
            key = Path(where).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise KeyUnreadable(f"the site's key cannot be read from {where}: {error}") from error
    if not (key.isascii() and key.isprintable()):
        raise KeyUnreadable(f"the site's key in {where} is none: a key is letters, digits and signs on one line")
    return key
