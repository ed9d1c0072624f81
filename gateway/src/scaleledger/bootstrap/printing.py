"""Printers: the registry, the spool, slips of weighings, and the search for printers."""

import ipaddress
from collections.abc import Sequence

from scaleledger.app import host
from scaleledger.app.overview import ActionRefused, FoundPrinter
from scaleledger.app.plant_ports import Cloud
from scaleledger.app.print_cloud import CloudPrinting
from scaleledger.app.print_ports import Pace
from scaleledger.app.printers import Printers
from scaleledger.app.slips import Slips
from scaleledger.app.spool import Spool
from scaleledger.bootstrap.ground import Ground, Printing
from scaleledger.bootstrap.listeners import zone_named
from scaleledger.config.plant import PrinterSection
from scaleledger.domain.printing import PrinterCard
from scaleledger.transports.printer_scan import PORT, networks_of, own_addresses, scan
from scaleledger.transports.printer_tcp import connected

PUSHED_POLL_S, ASKED_POLL_S = 60.0, 5.0


async def add_printing(ground: Ground) -> Printing | None:
    """Add the parts of printing; None where nobody could ask for a print."""
    config, store = ground.config, ground.store
    if not config.printer and config.dashboard is None and config.carnitrack is None:
        return None
    printers = Printers(store.printing, ground.clock, connected)
    spool = Spool(
        store.printing,
        printers,
        connected,
        clock=ground.clock,
        new_uuid=ground.around.provenance.new_uuid,
        zone=zone_named(config.gateway.timezone),
        gateway=config.gateway.name or host.hostname(),
        pace=Pace(),
    )
    await printers.load([card_of(section) for section in config.printer])
    await spool.load()
    ground.supervisor.add(ground.supervisor.part("printers"), spool.run)
    slips = Slips(spool, store.history, store.outbox, ground.clock, store.head().seq)
    ground.supervisor.add(ground.supervisor.part("slips"), slips.run)
    return Printing(printers, spool)


def join_cloud(ground: Ground, printing: Printing, cloud: Cloud, *, pushes: bool) -> CloudPrinting:
    """Let a cloud order prints. Hand on to what is returned what the cloud says (`heard`) and whether it is there
    (`link_changed`). `pushes`: it announces print jobs, so they are looked for by and by only.
    """
    poll_s = PUSHED_POLL_S if pushes else ASKED_POLL_S
    parts = CloudPrinting(cloud, printing.spool, printing.printers, ground.store.printing, ground.rng, poll_s=poll_s)
    ground.supervisor.add(ground.supervisor.part("print orders"), parts.run)
    return parts


def card_of(section: PrinterSection) -> PrinterCard:
    """A printer of the configuration."""
    host_name, _, port = section.url.removeprefix("tcp://").rpartition(":")
    return PrinterCard(
        section.id,
        host_name.removeprefix("[").removesuffix("]"),
        int(port),
        section.language,
        section.role,
        section.name,
        section.priority,
        source="config",
        codepage=section.codepage,
        columns=section.columns,
        texts=section.texts,
        label_width_mm=section.label_width_mm,
        label_height_mm=section.label_height_mm,
        label_gap_mm=section.label_gap_mm,
    )


async def look_for_printers(network: str = "") -> Sequence[FoundPrinter]:
    """Who has port 9100 open in `network`, which must be one of this machine's own and private; in all of them if empty.

    Raises ActionRefused.
    """
    own = networks_of(own_addresses())
    if network:
        try:
            wanted = ipaddress.IPv4Network(network, strict=False)
        except ValueError:
            raise ActionRefused(f"{network!r} is no network, as 192.168.1.0/24 is.") from None
        if not any(wanted.subnet_of(mine) for mine in own):
            shown = ", ".join(map(str, own)) or "none"
            raise ActionRefused(f"Only this gateway's own private networks are searched: {shown}.")
        own = [wanted]
    return [FoundPrinter(found, PORT, f"Port {PORT} is open; nothing was sent to it.") for found in await scan(own)]
