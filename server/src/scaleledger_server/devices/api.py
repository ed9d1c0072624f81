"""Who a gateway is, what it is to do, and its sign of life: the part of the contract that needs no record."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.utils import timezone
from django.utils.cache import get_conditional_response
from ninja import Router

from scaleledger_server import rates
from scaleledger_server.bodies import read_fields, read_json
from scaleledger_server.devices import queries, services
from scaleledger_server.devices.identity import normal_mac
from scaleledger_server.devices.messages import read_heartbeat, read_registration
from scaleledger_server.devices.models import AccessToken, Gateway
from scaleledger_server.errors import Refusal
from scaleledger_server.schemas import operation

router = Router(tags=["gateways"])


def _status(gateway: Gateway, token: str | None, ends_at: datetime | None = None, *, status: int = 200) -> HttpResponse:
    """`gateway_status`, which may hold a token and is therefore kept by no cache."""
    response = JsonResponse(queries.status_body(gateway, token, ends_at), status=status)
    response["Cache-Control"] = "no-store"
    return response


def _spend_by_address(request: HttpRequest, scope: str) -> str:
    """Count a request of somebody who has shown nothing yet; returns the address. Raises `rate_limited`."""
    address = str(request.META.get("REMOTE_ADDR", ""))
    rates.spend(scope, rates.network_of(address), settings.REGISTRATIONS_PER_MINUTE)
    return address


@router.post(
    "gateways/challenge/",
    summary="Something fresh to sign",
    operation_id="challenge",
    openapi_extra=operation({200: "challenge"}, bearer=False),
)
def challenge(request: HttpRequest) -> HttpResponse:
    """`{}` or no body. Answers 200 `challenge`; 429."""
    _spend_by_address(request, "challenges")
    read_fields(read_json(request, if_empty={}), ())
    given = services.give_challenge(timezone.now())
    return JsonResponse({"challenge": given.text, "expires_at": given.expires_at.isoformat()})


@router.post(
    "gateways/heartbeat/",
    summary="Sign of life",
    operation_id="heartbeat",
    openapi_extra=operation({200: "heartbeat_answer"}, request="heartbeat", empty=True),
)
def heartbeat(request: HttpRequest) -> HttpResponse:
    """Bearer token; an empty body, or `heartbeat`. Answers 200 `heartbeat_answer`."""
    gateway = queries.admitted(request)
    now = timezone.now()
    reported, head = read_heartbeat(read_json(request, if_empty={}), now)
    services.note_heartbeat(gateway, reported, now)
    if head is not None:
        services.raise_anchor(gateway, head, now)
    return JsonResponse(_heartbeat_answer(gateway))


def _heartbeat_answer(gateway: Gateway) -> dict[str, Any]:
    answer: dict[str, Any] = {"status": "active", "anchor": queries.anchor_body(gateway)}
    versions = {"stations": gateway.stations_tag, "market": ""}  # "": nobody has market data here
    for told in services.on_heartbeat_answer:
        part = dict(told(gateway))
        versions.update(part.pop("versions", {}))
        answer.update(part)
    return {**answer, "versions": versions, "server_time": timezone.now().isoformat()}


@router.post(
    "gateways/",
    summary="Ask to be registered, or prove the key",
    operation_id="register",
    openapi_extra=operation(
        {201: "gateway_status", 200: "gateway_status"}, request="gateway_registration", bearer=False
    ),
)
def register(request: HttpRequest) -> HttpResponse:
    """`gateway_registration`. 201 (new) or 200 (known) `gateway_status`, with a token for an active gateway that proved
    its key; 403 `key_required`, `challenge_unknown`, `proof_wrong`, `claim_wrong`; 409 `challenge_used`, `mac_conflict`;
    422; 429.
    """
    address = _spend_by_address(request, "registrations")
    asked, proof = read_registration(read_json(request), address)
    now = timezone.now()
    if proof is not None:
        enrolled = services.enrol(asked, proof, now)
        status = 201 if enrolled.created else 200
        return _status(enrolled.gateway, enrolled.token, enrolled.token_expires_at, status=status)
    if not settings.PLAIN_CLIENTS:
        raise Refusal(403, "key_required", "This server takes only gateways that prove a key. Ask for a challenge.")
    gateway, created = services.register(asked, now)
    return _status(gateway, None, status=201 if created else 200)


@router.get(
    "gateways/self/",
    summary="How the asking gateway stands",
    operation_id="self",
    openapi_extra=operation({200: "gateway_status"}),
)
def own_status(request: HttpRequest) -> HttpResponse:
    """Bearer token. Answers 200 `gateway_status` with the very token shown in the request."""
    header = request.headers.get("Authorization", "")
    token = queries.known_token(header, str(request.META.get("REMOTE_ADDR", "")))
    return _status(token.gateway, queries.shown_token(header), token.expires_at)


@router.get(
    "gateways/self/stations/",
    summary="The stations the centre assigns",
    operation_id="stations",
    openapi_extra=operation({200: "stations", 304: ""}),
)
def own_stations(request: HttpRequest) -> HttpResponseBase:
    """Bearer token. Answers 200 `stations` (a bare array) with ETag; 304."""
    gateway = queries.admitted(request)
    etag = f'"{gateway.stations_tag}"'
    unchanged = get_conditional_response(request, etag=etag)
    response = unchanged or JsonResponse(queries.assigned_stations(gateway), safe=False)
    response["ETag"] = etag
    response["Cache-Control"] = "private, no-cache"
    return response


@router.get(
    "gateways/{mac_address}/",
    summary="How a gateway stands",
    operation_id="sync",
    openapi_extra=operation({200: "gateway_status"}, bearer=False),
)
def sync(request: HttpRequest, mac_address: str) -> HttpResponse:
    """Answers 200 `gateway_status`; 404 `gateway_unknown`. Where plain clients are not allowed it says the status
    alone; where they are, a fresh token is in it for an approved gateway that has no key.
    """
    _spend_by_address(request, "lookups")
    normal = normal_mac(mac_address)
    if normal is None:
        raise Refusal(404, "not_found", "This is no MAC address.")
    gateway = queries.by_mac(normal)
    if gateway is None:
        raise Refusal(404, "gateway_unknown", "No gateway is registered with this MAC address.")
    token = None
    if not settings.PLAIN_CLIENTS:
        return JsonResponse({"mac_address": gateway.mac_address, "status": gateway.status, "access_token": None})
    if gateway.status == Gateway.Status.ACTIVE and not gateway.public_key:
        token = services.issue_token(gateway, AccessToken.How.PLAIN, timezone.now())
    return _status(gateway, token)
