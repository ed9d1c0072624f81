"""The scales that dial in, and the sessions that the cloud opened on them."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from scaleledger.app.overview import DeviceView
from scaleledger.dashboard.desk import Desk
from scaleledger.dashboard.show import form, go
from scaleledger.domain.errors import ScaleLedgerError
from scaleledger.domain.viewing import EventFilter, Row
from scaleledger.web.access import Access, allow

TYPES = ("disassembly", "retail", "receiving")
TEXT_CHARACTERS_MAX = 100


def routes(desk: Desk) -> Sequence[BaseRoute]:
    """The pages of this file."""
    pages = _Devices(desk)
    return (
        Route("/devices", pages.all_of_them),
        Route("/devices/{device_id}", pages.one),
        Route("/devices/{device_id}", pages.describe, methods=["POST"]),
        Route("/sessions", pages.sessions),
    )


def fault_of(name: str, location: str, kind: str) -> str:
    """What is wrong with a person's words for a device; empty if nothing is."""
    for what, text in (("name", name), ("location", location)):
        if len(text) > TEXT_CHARACTERS_MAX:
            return f"A {what} has at most {TEXT_CHARACTERS_MAX} characters; this one has {len(text)}."
        if not text.isprintable():
            return f"The {what} has characters that cannot be shown. Type it again."
    return "" if kind in TYPES else f"The type is one of {', '.join(TYPES)}."


class _Devices:
    def __init__(self, desk: Desk) -> None:
        self._overview, self._page = desk.overview, desk.show.page

    @allow(Access.VIEWER)
    async def all_of_them(self, request: Request) -> Response:
        found = self._overview.devices
        return self._page(request, "devices.html", devices=found.views() if found is not None else None)

    @allow(Access.VIEWER)
    async def one(self, request: Request) -> Response:
        return await self._one(request)

    @allow(Access.ADMIN)
    async def describe(self, request: Request) -> Response:
        told, device_id = await form(request), request.path_params["device_id"]
        words = {key: told.get(key, "").strip() for key in ("name", "location", "kind")}
        devices = self._overview.devices
        if (fault := fault_of(**words)) or devices is None:
            return await self._one(request, 422, wrong=fault)
        try:
            await devices.describe(device_id, **words)
        except ScaleLedgerError as refused:
            return await self._one(request, 422, wrong=str(refused))
        return go(f"/devices/{device_id}", "saved")

    async def _one(self, request: Request, status: int = 200, *, wrong: str = "") -> Response:
        device_id = request.path_params["device_id"]
        view = self._find(device_id)
        if view is None:
            return self._page(request, "missing.html", 404, what=f"device {device_id!r}", back="/devices")
        newest = await self._overview.records.events(EventFilter(device=device_id, limit=10))
        return self._page(request, "device.html", status, device=view, types=TYPES, events=newest.events, wrong=wrong)

    def _find(self, device_id: str) -> DeviceView | None:
        devices = self._overview.devices
        views = devices.views() if devices is not None else ()
        return next((view for view in views if view.card.device_id == device_id), None)

    @allow(Access.VIEWER)
    async def sessions(self, request: Request) -> Response:
        overview = self._overview
        return self._page(
            request,
            "sessions.html",
            sessions=[
                _session(row, overview.now(), overview.session_age_s) for row in await overview.records.rows("sessions")
            ],
            batches=await overview.records.rows("batches"),
            has_cloud=overview.has_cloud,
        )


def _session(row: Row, now: datetime, old_s: float) -> dict[str, Any]:
    """A row with its age, and its changes taken apart."""
    try:
        confirmed = datetime.fromisoformat(str(row["confirmed_at"]))
        age_s = (now - (confirmed if confirmed.tzinfo else confirmed.replace(tzinfo=UTC))).total_seconds()
    except ValueError:
        age_s = None
    try:
        changes = [(str(at), str(status), str(reason)) for at, status, reason in json.loads(row["changes"])]
    except (ValueError, TypeError):
        changes = []
    return {**row, "age_s": age_s, "is_old": age_s is None or age_s > old_s, "changes": changes}
