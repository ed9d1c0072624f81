"""Print jobs and printers over REST: what is to be printed, what became of it, and which printers an edge has."""

from datetime import datetime
from typing import Annotated, Any, Literal

from django.http import HttpRequest, HttpResponse
from django.urls import path
from msgspec import Meta

from scaleledger_server.bodies import read_json
from scaleledger_server.edges.api import answer, edge_call, tagged
from scaleledger_server.edges.messages import Payload, check_texts, read_moment, read_payload, read_uuid
from scaleledger_server.errors import Refusal
from scaleledger_server.labels import queries, services
from scaleledger_server.shifts.models import Edge

EDGE = "api/v1/edge"
PRINTERS_MAX = 100

Name = Annotated[str, Meta(min_length=1, max_length=64)]


class Outcome(Payload):
    """The body of `POST /print-jobs/<id>/ack`."""

    status: Literal["dispatched", "completed", "failed"]
    printed_at: Annotated[str, Meta(max_length=40)] | None = None
    resolved_printer: Annotated[str, Meta(max_length=64)] | None = None
    attempts: Annotated[int, Meta(ge=0, le=100_000)] = 0
    error_text: Annotated[str, Meta(max_length=500)] | None = None


class Stated(Payload):
    """One of `printers[]` in an inventory."""

    local_printer_id: Name
    role: Annotated[str, Meta(max_length=20)] | None = None
    host: Annotated[str, Meta(max_length=255)] | None = None
    port: Annotated[int, Meta(ge=0, le=65_535)] = 9100
    model: Annotated[str, Meta(max_length=100)] | None = None
    status: Annotated[str, Meta(max_length=10)] | None = None


class Inventory(Payload):
    """The body of `POST /printers/inventory`."""

    printers: Annotated[list[Stated], Meta(max_length=PRINTERS_MAX)]


def _texts(said: Stated) -> tuple[str | None, ...]:
    return said.local_printer_id, said.role, said.host, said.model, said.status


@edge_call("GET")
def pending(request: HttpRequest, edge: Edge, _now: datetime) -> HttpResponse:
    """`jobs[]` that wait for this edge, or that it has begun and not ended."""
    tag, jobs = queries.pending(edge)
    return tagged(request, tag, lambda: {"jobs": jobs})


@edge_call("POST")
def outcome(request: HttpRequest, edge: Edge, now: datetime, job: str) -> HttpResponse:
    """What became of a job; 404 for one that is not this edge's."""
    said = read_payload(read_json(request), Outcome)
    check_texts([said.resolved_printer, said.error_text])
    told: dict[str, Any] = {
        "status": said.status,
        "printed_at": read_moment(said.printed_at, "printedAt", now),
        "printer": said.resolved_printer or "",
        "attempts": said.attempts,
        "error": said.error_text or "",
    }
    if not services.note_outcome(edge, str(read_uuid(job, "jobId")), told):
        raise Refusal(404, "not_found", "There is no such print job for this edge.")
    return answer({"ok": True})


@edge_call("POST")
def inventory(request: HttpRequest, edge: Edge, now: datetime) -> HttpResponse:
    """The edge's printers: `printers[] {localPrinterId, globalPrinterId}`."""
    said = read_payload(read_json(request), Inventory)
    check_texts([text for one in said.printers for text in _texts(one)])
    told = [
        {
            "printer_id": one.local_printer_id,
            "role": one.role or "",
            "host": one.host or "",
            "port": one.port,
            "model": one.model or "",
            "status": one.status or "",
        }
        for one in said.printers
    ]
    named = services.take_inventory(edge, told, now)
    return answer({"ok": True, "printers": [{"localPrinterId": n, "globalPrinterId": g} for n, g in named]})


urlpatterns = [
    path(f"{EDGE}/print-jobs/pending", pending),
    path(f"{EDGE}/print-jobs/<str:job>/ack", outcome),
    path(f"{EDGE}/printers/inventory", inventory),
]
