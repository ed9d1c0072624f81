"""Reads about gateways."""

import hmac
from typing import Any

from django.conf import settings
from django.db.models import QuerySet

from scaleledger_server.devices.identity import gateway_id_of, token_of
from scaleledger_server.devices.models import Gateway
from scaleledger_server.errors import Refusal
from scaleledger_server.limits import BATCH_RECORDS_MAX

BATCH = {"path": "api/weighing/records/batch/", "max_records": BATCH_RECORDS_MAX}
GATEWAYS_SHOWN_MAX = 1_000


def by_mac(mac_address: str) -> Gateway | None:
    """The gateway of a normalised MAC address."""
    return Gateway.objects.filter(mac_address=mac_address).first()


def newest_seen() -> QuerySet[Gateway]:
    """Gateways for people to look at, bounded."""
    return Gateway.objects.order_by("mac_address")[:GATEWAYS_SHOWN_MAX]


def token(gateway: Gateway) -> str:
    """The token this gateway must show at present."""
    return token_of(settings.SECRET_KEY.encode(), gateway.pk, gateway.token_generation, gateway.mac_address)


def by_authorization(header: str) -> Gateway:
    """The active gateway that an Authorization header names (scheme `Bearer` or `Gateway`); one lookup.

    Raises Refusal: `token_missing`, `token_unknown` (401), `gateway_inactive` (403).
    """
    scheme, _, shown = header.strip().partition(" ")
    shown = shown.strip()
    if scheme.lower() not in {"bearer", "gateway"} or not shown:
        raise Refusal(401, "token_missing", "Send the access token as: Authorization: Bearer <token>.")
    claimed = gateway_id_of(shown)
    gateway = Gateway.objects.filter(pk=claimed).first() if claimed else None
    if gateway is None or not hmac.compare_digest(token(gateway), shown):
        raise Refusal(401, "token_unknown", "This access token is not known here.")
    if gateway.status != Gateway.Status.ACTIVE:
        raise Refusal(403, "gateway_inactive", "This gateway is not active. An administrator can approve it.")
    return gateway


def status_body(gateway: Gateway) -> dict[str, Any]:
    """`gateway_status` of the contract; the token only for an active gateway."""
    active = gateway.status == Gateway.Status.ACTIVE
    return {
        "id": gateway.pk,
        "mac_address": gateway.mac_address,
        "hostname": gateway.hostname,
        "ip_address": gateway.ip_address,
        "name": gateway.name,
        "status": gateway.status,
        "access_token": token(gateway) if active else None,
        "last_heartbeat": gateway.last_heartbeat and gateway.last_heartbeat.isoformat(),
        "batch": BATCH,
    }


def anchor_body(gateway: Gateway) -> dict[str, Any] | None:
    """The anchor with the gateway's own signature, by which it knows its head again; None where there is none to show."""
    if not gateway.anchor_seq or not gateway.anchor_signature:
        return None
    return {"seq": gateway.anchor_seq, "hash": gateway.anchor_hash, "signature": gateway.anchor_signature}
