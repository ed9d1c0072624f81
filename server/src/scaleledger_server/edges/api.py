"""The REST carrier of contracts/carnitrack.md: what edges ask and tell over plain HTTP.

No path ends in a slash and every refusal names its code twice, as the first programs look for it. A path that is not here
answers 404, and that says nothing of the others.
"""

import hashlib
import json
import logging
import time
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any, Concatenate, ParamSpec

import msgspec
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.utils import timezone
from django.utils.http import parse_etags
from django.views.decorators.csrf import csrf_exempt

from scaleledger_server.bodies import read_json
from scaleledger_server.edges import events, messages
from scaleledger_server.errors import Invalid, Refusal
from scaleledger_server.labels import services as labels
from scaleledger_server.shifts import edges, queries
from scaleledger_server.shifts.models import Edge

log = logging.getLogger(__name__)

BUSY = Refusal(503, "busy", "The server cannot write at the moment. Send it again.", retry_after_s=5)
DEVICES_ASKED_MAX = 500
SAY_AGAIN_S = 10.0
_said_until = {"s": 0.0}

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]
EdgeView = Callable[Concatenate[HttpRequest, Edge, datetime, P], HttpResponse]


def answer(value: Any, status: int = 200) -> HttpResponse:
    """A JSON answer."""
    return HttpResponse(msgspec.json.encode(value), status=status, content_type="application/json")


def said(refusal: Refusal) -> HttpResponse:
    """The answer that a refusal becomes for an edge."""
    body = {"error": refusal.code, "code": refusal.code, "detail": refusal.detail}
    response = answer({**body, "field": refusal.field} if refusal.field else body, refusal.status)
    if refusal.retry_after_s:
        response["Retry-After"] = str(refusal.retry_after_s)
    return response


def tagged(request: HttpRequest, tag: str, body: Callable[[], Any]) -> HttpResponse:
    """The answer to a question that is asked again and again: 304 while the asker holds what bears this tag."""
    held = [one.removeprefix("W/") for one in parse_etags(request.headers.get("If-None-Match", ""))]
    unchanged = f'"{tag}"' in held or "*" in held
    response: HttpResponse = HttpResponseNotModified() if unchanged else answer(body())
    response["ETag"] = f'"{tag}"'
    response["Cache-Control"] = "private, no-cache"
    return response


def open_call(method: str) -> Callable[[View[P]], View[P]]:
    """A view for whoever asks: this method only, and every refusal in the contract's form."""

    def decorated(view: View[P]) -> View[P]:
        @csrf_exempt  # no cookie of a browser stands for an edge
        @wraps(view)
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            if request.method != method:
                response = said(Refusal(405, "not_found", f"This path knows only {method}."))
                response["Allow"] = method
                return response
            try:
                return view(request, *args, **kwargs)
            except Refusal as refusal:
                return said(refusal)
            except (OperationalError, InterfaceError) as error:
                _log_trouble(error)
                return said(BUSY)

        return guarded

    return decorated


def edge_call(method: str) -> Callable[[EdgeView[P]], View[P]]:
    """A view for an edge that is known and approved: it is given the edge and the time."""

    def decorated(view: EdgeView[P]) -> View[P]:
        @open_call(method)
        @wraps(view)
        def admitted(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            now = timezone.now()
            return view(request, edges.known(shown_by(request), now), now, *args, **kwargs)

        return admitted

    return decorated


def shown_by(request: HttpRequest) -> edges.Shown:
    """Who a request says it is from."""
    headers = request.headers
    return edges.Shown(headers.get("X-Edge-Id", ""), headers.get("Authorization", ""), _address(request))


def _address(request: HttpRequest) -> str:
    return str(request.META.get("REMOTE_ADDR", ""))


def _log_trouble(error: Exception) -> None:
    if time.monotonic() >= _said_until["s"]:
        _said_until["s"] = time.monotonic() + SAY_AGAIN_S
        log.error("the database refuses edges (said again in %.0f s if it goes on): %s", SAY_AGAIN_S, error)


@open_call("POST")
def register(request: HttpRequest) -> HttpResponse:
    """`register` with a site's key: `edgeId, siteId, siteName, config`."""
    asked, _ = messages.read_register(read_json(request))
    header = request.headers.get("Authorization", "")
    edge, _ = edges.register(asked, header, _address(request), timezone.now())
    return answer(edges.registered_body(edge))


@open_call("POST")
def activate(request: HttpRequest) -> HttpResponse:
    """A claim code instead of a key: the same answer, and `apiKey`, once. 404 in words for a code that is not good."""
    asked, code = messages.read_register(read_json(request))
    if not code:
        raise Invalid("code is missing.", "code")
    try:
        edge, key = edges.activate(code, asked, _address(request), timezone.now())
    except Refusal as refusal:
        if refusal.code != "claim_wrong":
            raise
        body = {"error": refusal.detail, "code": refusal.code, "detail": refusal.detail}
        return answer(body, 404)
    response = answer({**edges.registered_body(edge), "apiKey": key})
    response["Cache-Control"] = "no-store"
    return response


@edge_call("GET")
def config(_request: HttpRequest, edge: Edge, _now: datetime) -> HttpResponse:
    """Runtime values."""
    return answer({**edges.config_body(), "edgeId": str(edge.pk)})


@edge_call("GET")
def sessions(request: HttpRequest, edge: Edge, now: datetime) -> HttpResponse:
    """`sessions[]` under way and `ended[]` of the last 24 h. While nothing changed, one statement and no body."""
    listed = request.GET.get("device_ids", "")
    wanted = [name for name in listed.split(",") if name][: DEVICES_ASKED_MAX + 1]
    if len(wanted) > DEVICES_ASKED_MAX:
        raise Invalid(f"device_ids must name at most {DEVICES_ASKED_MAX}.", "device_ids")
    messages.check_texts(wanted)
    devices = sorted(set(wanted)) if wanted else None
    stated = json.dumps([str(edge.pk), devices, edges.sessions_mark(edge, devices, now)])
    tag = f"sessions-{hashlib.sha256(stated.encode()).hexdigest()[:16]}"
    return tagged(request, tag, lambda: queries.sessions_body(edge, devices, now))


@edge_call("POST")
def event(request: HttpRequest, edge: Edge, now: datetime) -> HttpResponse:
    """One EventPayload: `localEventId, cloudEventId, status`; 422 for one that is never taken."""
    [result] = events.take(edge, [read_json(request)], now)
    if result.status is events.Status.FAILED:
        raise Invalid(result.error)
    return answer(result.body())


@edge_call("POST")
def event_batch(request: HttpRequest, edge: Edge, now: datetime) -> HttpResponse:
    """`events[]`: a result for each, in their order."""
    results = events.take(edge, events.listed(read_json(request)), now)
    return answer({"results": [result.body() for result in results]})


@edge_call("POST")
def offline_batch(request: HttpRequest, edge: Edge, now: datetime) -> HttpResponse:
    """A batch is over: `received` or `already_received`, and which of its events are not here."""
    stated = messages.read_batch(read_json(request), now)
    return answer(events.end_batch(edge, stated, now))


@edge_call("POST")
def device_status(request: HttpRequest, edge: Edge, now: datetime) -> HttpResponse:
    """What one scale does."""
    edges.note_scales(edge, [messages.read_device(read_json(request), now)], now)
    return answer({"ok": True})


@edge_call("POST")
def heartbeat(request: HttpRequest, edge: Edge, now: datetime) -> HttpResponse:
    """What the edge, its scales and its printers do."""
    reported, scales, printers = messages.read_heartbeat(read_json(request), now)
    edges.note_report(edge, reported, now)
    edges.note_scales(edge, scales, now)
    if printers:
        labels.take_inventory(edge, printers, now)
    return answer({"ok": True})


@csrf_exempt
def nothing(_request: HttpRequest, **_path: str) -> HttpResponse:
    """What this server does not have."""
    return said(Refusal(404, "not_found", "There is nothing at this path. It ends without a slash."))
