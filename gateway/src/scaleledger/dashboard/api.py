"""JSON beside the pages, for programs: a login's cookie or a token made on the account page opens it.

Described by OpenAPI at /api/openapi.json. Writes take JSON only.
"""

import base64
import binascii
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Body, FastAPI, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from scaleledger.app.spool import JobView
from scaleledger.dashboard.desk import Desk
from scaleledger.dashboard.devices import fault_of
from scaleledger.dashboard.events import as_json
from scaleledger.dashboard.status import problems, views
from scaleledger.dashboard.tables import audited
from scaleledger.domain.errors import ScaleLedgerError
from scaleledger.domain.printing import PrintRequest
from scaleledger.domain.viewing import Event, EventFilter
from scaleledger.store.browse import QueryRefused
from scaleledger.web.access import Access, allow

KINDS = {"sessions": "sessions", "offline-batches": "batches", "plu-files": "plu_files"}


class DeviceWords(BaseModel):
    """A person's words for a device."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field("", max_length=100)
    location: str = Field("", max_length=100)
    kind: str = Field("disassembly", description="disassembly, retail or receiving")


class Question(BaseModel):
    """One SELECT."""

    model_config = ConfigDict(extra="forbid")
    sql: str = Field(max_length=20_000)


class NewPrintJob(BaseModel):
    """What is to be printed: text or base64 bytes in the printer's own language, on a printer or on any of a role."""

    model_config = ConfigDict(extra="forbid")
    prnContent: str = Field("", max_length=200_000)  # noqa: N815 - the contract's word
    prnBase64: str = Field("", max_length=250_000)  # noqa: N815
    targetRole: str = Field("", max_length=20)  # noqa: N815
    targetPrinter: str = Field("", max_length=64)  # noqa: N815
    labelCount: int = Field(1, ge=1, le=1000)  # noqa: N815
    globalJobId: str = Field("", max_length=100)  # noqa: N815


def add_api(app: FastAPI, desk: Desk) -> None:
    """Add the resources of this file."""
    api = _Api(desk, app)
    for path, method, endpoint in (
        ("/api/openapi.json", "GET", api.openapi),
        ("/api/status", "GET", api.status),
        ("/api/devices", "GET", api.devices),
        ("/api/devices/{device_id}", "PUT", api.describe),
        ("/api/events", "GET", api.events),
        ("/api/events/{seq}", "GET", api.event),
        ("/api/rejected", "GET", api.rejected),
        ("/api/tables/{kind}", "GET", api.rows),
        ("/api/printers", "GET", api.printers),
        ("/api/print-jobs", "GET", api.jobs),
        ("/api/print-jobs", "POST", api.submit),
        ("/api/print-jobs/{job_id}", "GET", api.job),
        ("/api/database/query", "POST", api.ask),
    ):
        app.add_api_route(path, endpoint, methods=[method], response_model=None)


class _Api:
    def __init__(self, desk: Desk, app: FastAPI) -> None:
        self._desk, self._overview, self._app = desk, desk.overview, app

    @allow(Access.VIEWER)
    async def openapi(self) -> Response:
        """The description of this API."""
        return JSONResponse(self._app.openapi())

    @allow(Access.VIEWER)
    async def status(self) -> dict[str, Any]:
        """The gateway, its uplinks with their books, its stations, and what is wrong in words."""
        gateway = self._overview.gateway()
        uplinks = await views(self._overview)
        return {
            "gateway": asdict(gateway),
            "uplinks": [asdict(uplink) for uplink in uplinks],
            "stations": [asdict(station) for station in self._overview.stations()],
            "problems": await problems(self._overview, gateway, uplinks),
        }

    @allow(Access.VIEWER)
    async def devices(self) -> dict[str, Any]:
        """The scales that dial in."""
        found = self._overview.devices
        return {"devices": [_flat(view) for view in found.views()] if found is not None else []}

    @allow(Access.ADMIN)
    async def describe(self, device_id: Annotated[str, Path(max_length=64)], words: DeviceWords) -> Response:
        """Give a device a name, a location and a type."""
        name, location, kind = words.name.strip(), words.location.strip(), words.kind
        if fault := fault_of(name, location, kind):
            return _error(422, fault)
        if self._overview.devices is None:
            return _error(404, "There are no devices on this gateway.")
        try:
            await self._overview.devices.describe(device_id, name=name, location=location, kind=kind)
        except ScaleLedgerError as refused:
            return _error(404, str(refused))
        return Response(status_code=204)

    @allow(Access.VIEWER)
    async def events(
        self,
        device: Annotated[str, Query(max_length=100)] = "",
        session: Annotated[str, Query(max_length=100)] = "",
        state: Annotated[str, Query(pattern="^(|sent|queued|kept|quarantined)$")] = "",
        before: Annotated[int, Query(ge=0, le=2**53)] = 0,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> dict[str, Any]:
        """Records of the ledger, newest first; go on with `before` = `next_before` until that is null."""
        page = await self._overview.records.events(EventFilter(device, session, state, before, limit))
        return {"events": [_record(event) for event in page.events], "next_before": page.next_before}

    @allow(Access.VIEWER)
    async def event(self, seq: Annotated[int, Path(ge=1, le=2**53)]) -> Any:
        """One record."""
        found = await self._overview.records.event(seq)
        return _record(found) if found is not None else _error(404, f"There is no record {seq}.")

    @allow(Access.VIEWER)
    async def rejected(
        self, before: Annotated[int, Query(ge=1, le=2**53)] = 2**53, limit: Annotated[int, Query(ge=1, le=500)] = 50
    ) -> dict[str, Any]:
        """Lines that could not be taken as weighings, newest first; bytes are hex."""
        return {"rejected": [as_json(row) for row in await self._overview.records.rejected(before, limit)]}

    @allow(Access.VIEWER)
    async def rows(
        self, kind: Annotated[str, Path(pattern="^(sessions|offline-batches|plu-files)$")]
    ) -> dict[str, Any]:
        """Sessions, offline batches or product files."""
        return {kind: [as_json(row) for row in await self._overview.records.rows(KINDS[kind])]}

    @allow(Access.VIEWER)
    async def printers(self) -> dict[str, Any]:
        """The printers and how they stand."""
        found = self._overview.printing
        return {"printers": [_flat(view) for view in found.printers()] if found is not None else []}

    @allow(Access.VIEWER)
    async def jobs(self, limit: Annotated[int, Query(ge=1, le=500)] = 100) -> dict[str, Any]:
        """Print jobs, newest first, without their content."""
        found = self._overview.printing
        return {"jobs": [_job(job) for job in await found.jobs(limit)] if found is not None else []}

    @allow(Access.VIEWER)
    async def job(self, job_id: Annotated[str, Path(max_length=36)]) -> Any:
        """One print job."""
        found = self._overview.printing
        job = await found.job(job_id) if found is not None else None
        return _job(job) if job is not None else _error(404, f"There is no print job {job_id!r}.")

    @allow(Access.ADMIN)
    async def submit(self, wanted: NewPrintJob) -> Response:
        """Take a print job. It is kept when this answers 202; a repeated `globalJobId` is the same job."""
        if self._overview.printing is None:
            return _error(409, "Printing is not set up on this gateway. Add a [[printer]] section first.")
        if bool(wanted.prnContent) == bool(wanted.prnBase64):
            return _error(422, "Give one of prnContent and prnBase64.")
        if bool(wanted.targetRole) == bool(wanted.targetPrinter):
            return _error(422, "Give one of targetRole and targetPrinter.")
        try:
            content = base64.b64decode(wanted.prnBase64, validate=True) if wanted.prnBase64 else wanted.prnContent
        except binascii.Error:
            return _error(422, "prnBase64 is not base64.")
        request = PrintRequest(content, wanted.targetPrinter, wanted.targetRole, wanted.labelCount, wanted.globalJobId)
        try:
            job_id = await self._overview.printing.submit(request)
        except ScaleLedgerError as refused:
            return _error(422, str(refused))
        return JSONResponse({"jobId": job_id}, 202)

    @allow(Access.ADMIN)
    async def ask(self, request: Request, question: Annotated[Question, Body()]) -> Response:
        """Read the database; nothing can be changed so."""
        try:
            answer = await audited(self._desk, request, question.sql)
        except QueryRefused as refused:
            return _error(422, str(refused))
        return JSONResponse(asdict(answer))


def _error(status: int, words: str) -> Response:
    return JSONResponse({"error": words}, status)


def _flat(view: Any) -> dict[str, Any]:
    found = asdict(view)
    return {**found.pop("card"), **found}


def _job(view: JobView) -> dict[str, Any]:
    found = asdict(view.job)
    return {"jobId": found.pop("job_id"), "words": view.words, **found}


def _record(event: Event) -> dict[str, Any]:
    entry = event.entry
    return {
        "seq": entry.seq,
        "uuid": entry.uuid,
        "kind": event.kind,
        "station": entry.station,
        "weight": entry.weight,
        "unit": entry.unit,
        "measured_at": entry.measured_at,
        "card": entry.card,
        "state": event.state,
        "refers_to": event.refers_to,
        "details": dict(event.details),
        "raw": event.raw.hex(),
        "hash": entry.hash.hex(),
    }
