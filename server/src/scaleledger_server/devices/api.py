"""Registration, SYNC and HEARTBEAT: the part of the contract that needs no record."""

import re
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from ninja import Router

from scaleledger_server.bodies import HASH, read_count, read_fields, read_instant, read_json, read_match, read_text
from scaleledger_server.devices import queries, services
from scaleledger_server.devices.identity import Head, normal_mac, read_head
from scaleledger_server.errors import Invalid, Refusal

router = Router(tags=["gateways"])
PUBLIC_KEY: re.Pattern[str] = HASH  # both are 32 bytes in hex
REGISTRATION_WINDOW_S = 60


def _bounded_rate(remote_address: str) -> None:
    """Raise `rate_limited` when an address registers more often than the setting allows. Counted per process."""
    key = f"register:{remote_address}"
    cache.add(key, 0, REGISTRATION_WINDOW_S)
    try:
        count = cache.incr(key)
    except ValueError:  # the window ended between the two calls
        return
    if count > settings.REGISTRATIONS_PER_MINUTE:
        raise Refusal(
            429, "rate_limited", "Too many registrations from this address.", retry_after_s=REGISTRATION_WINDOW_S
        )


def read_registration(value: Any, remote_address: str) -> services.Registration:
    """`gateway_registration` of the contract. Raises Invalid."""
    fields = read_fields(value, ("mac_address", "hostname", "ip_address", "name"), ("public_key",))
    mac_address = normal_mac(read_text(fields["mac_address"], "mac_address", 17))
    if mac_address is None:
        raise Invalid("mac_address must be six bytes in hex, such as 02:5a:1e:d6:e4:01.", "mac_address")
    key = read_match(fields["public_key"], "public_key", PUBLIC_KEY, "64 hex digits") if "public_key" in fields else ""
    return services.Registration(
        mac_address,
        read_text(fields["hostname"], "hostname", 255),
        read_text(fields["ip_address"], "ip_address", 39),
        read_text(fields["name"], "name", 100),
        key,
        remote_address,
    )


def read_heartbeat(value: Any, now: datetime) -> tuple[dict[str, Any], Head | None]:
    """`heartbeat` of the contract: what is kept for people, and the head if one came. Raises Invalid."""
    optional = ("version", "queued", "quarantined", "oldest_queued_at", "head", "sent_at")
    fields = read_fields(value, (), optional)
    reported: dict[str, Any] = {}
    if "version" in fields:
        reported["version"] = read_text(fields["version"], "version", 40)
    for name in ("queued", "quarantined"):
        if name in fields:
            reported[name] = read_count(fields[name], name, 0)
    for name in ("oldest_queued_at", "sent_at"):
        if fields.get(name) is not None:
            reported[name] = read_instant(fields[name], name, now).isoformat()
    head = read_head(fields["head"]) if fields.get("head") is not None else None
    return reported, head


@router.post("gateways/heartbeat/", summary="Sign of life", operation_id="heartbeat")
def heartbeat(request: HttpRequest) -> HttpResponse:
    """Bearer token; an empty body, or `heartbeat`. Answers 200 `heartbeat_answer`."""
    gateway = queries.by_authorization(request.headers.get("Authorization", ""))
    now = timezone.now()
    reported, head = read_heartbeat(read_json(request, if_empty={}), now)
    services.note_heartbeat(gateway, reported, now)
    if head is not None:
        services.raise_anchor(gateway, head, now)
    return JsonResponse({"status": "active", "server_time": now.isoformat(), "anchor": queries.anchor_body(gateway)})


@router.post("gateways/", summary="Ask to be registered", operation_id="register")
def register(request: HttpRequest) -> HttpResponse:
    """`gateway_registration`. Answers 201 (new) or 200 (known) `gateway_status`; 409 `mac_conflict`; 429."""
    remote_address = request.META.get("REMOTE_ADDR", "")
    _bounded_rate(remote_address)
    asked = read_registration(read_json(request), remote_address)
    gateway, created = services.register(asked, timezone.now())
    return JsonResponse(queries.status_body(gateway), status=201 if created else 200)


@router.get("gateways/{mac_address}/", summary="How a gateway stands", operation_id="sync")
def sync(request: HttpRequest, mac_address: str) -> HttpResponse:  # noqa: ARG001 - ninja knows it by this name
    """Answers 200 `gateway_status`, with the token once approved; 404 `gateway_unknown`."""
    normal = normal_mac(mac_address)
    if normal is None:
        raise Refusal(404, "not_found", "This is no MAC address.")
    gateway = queries.by_mac(normal)
    if gateway is None:
        raise Refusal(404, "gateway_unknown", "No gateway is registered with this MAC address.")
    return JsonResponse(queries.status_body(gateway))
