"""The first page: does it work, and if not, what is wrong and where. And /healthz, for a machine that asks the same."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from scaleledger.app.overview import GatewayView, Overview, UplinkView
from scaleledger.dashboard.desk import Desk
from scaleledger.web.access import Access, allow

DISK_LOW = 0.1
NEWEST = 2**53
REJECTED_TOLD = timedelta(days=1)


def routes(desk: Desk) -> Sequence[BaseRoute]:
    """The pages of this file."""

    @allow(Access.OPEN)
    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    @allow(Access.VIEWER)
    async def status(request: Request) -> Response:
        overview = desk.overview
        uplinks = await views(overview)
        gateway = overview.gateway()
        return desk.show.page(
            request,
            "status.html",
            gateway=gateway,
            uplinks=uplinks,
            stations=overview.stations(),
            devices=overview.devices.views() if overview.devices is not None else None,
            problems=await problems(overview, gateway, uplinks),
            now=overview.now(),
        )

    return Route("/healthz", health), Route("/health", health), Route("/", status)


async def views(overview: Overview) -> list[UplinkView]:
    """How every uplink stands."""
    return [await uplink() for uplink in overview.uplinks]


async def problems(overview: Overview, gateway: GatewayView, uplinks: Sequence[UplinkView]) -> list[str]:
    """What somebody should look at, in words."""
    found = [words for part in overview.problems for words in part()]
    for uplink in uplinks:
        if not uplink.up:
            found.append(f"{uplink.name}: {uplink.words}. Weighings are kept here until it is back.")
        if uplink.counts.quarantined:
            found.append(f"{uplink.name} refused {uplink.counts.quarantined} records; see them under Events.")
    newest = await overview.records.rejected(NEWEST, 1)
    if newest and datetime.fromisoformat(newest[0]["last_at"]) > overview.now() - REJECTED_TOLD:
        device = newest[0]["device_id"] or "a scale without a name"
        found.append(
            f"{device} sent a line that could not be read: no weighing was saved of it. See Rejected lines, under Events."
        )
    host = gateway.host
    if host is not None and host.disk_free_bytes < host.disk_total_bytes * DISK_LOW:
        found.append("The disk is nearly full: less than a tenth of it is free.")
    found += [
        f"{station.name}: {station.detail or 'its link is ' + station.link}."
        for station in overview.stations()
        if station.link != "up"
    ]
    return found
