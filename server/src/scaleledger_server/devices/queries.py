"""Reads about gateways; and the one door: who an Authorization header stands for."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import DateTimeField, JSONField, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from scaleledger_server import rates, signing
from scaleledger_server.devices import services
from scaleledger_server.devices.identity import token_digest
from scaleledger_server.devices.models import AccessToken, Gateway, GatewayAlarm, Station
from scaleledger_server.errors import Refusal
from scaleledger_server.limits import BATCH_RECORDS_MAX, REFUSED_TOKENS_PER_MINUTE

BATCH = {"path": "api/weighing/records/batch/", "max_records": BATCH_RECORDS_MAX}
GATEWAYS_SHOWN_MAX = 1_000
ALARMS_SHOWN_MAX = 1_000
TOKEN_CHARS_MAX = 128

_FIELDS = (*AccessToken._meta.concrete_fields, *Gateway._meta.concrete_fields)  # noqa: SLF001 - Django's documented way
_TOKEN_COLUMNS = [field.attname for field in AccessToken._meta.concrete_fields]  # noqa: SLF001
_GATEWAY_COLUMNS = [field.attname for field in Gateway._meta.concrete_fields]  # noqa: SLF001
_CONVERTED = [(place, field) for place, field in enumerate(_FIELDS) if isinstance(field, DateTimeField | JSONField)]
_BY_DIGEST = (
    f"SELECT {', '.join(f't.{name}' for name in _TOKEN_COLUMNS)}, {', '.join(f'g.{name}' for name in _GATEWAY_COLUMNS)} "  # noqa: S608 - our own names
    "FROM devices_accesstoken t JOIN devices_gateway g ON g.id = t.gateway_id WHERE t.digest = %s"
)


def by_mac(mac_address: str) -> Gateway | None:
    """The gateway that bears this normalised MAC address now; one that was replaced is not found."""
    return Gateway.objects.filter(mac_address=mac_address).exclude(status=Gateway.Status.REPLACED).first()


def newest_seen() -> QuerySet[Gateway]:
    """Gateways for people to look at, bounded."""
    return Gateway.objects.order_by("mac_address", "pk")[:GATEWAYS_SHOWN_MAX]


def open_alarms() -> QuerySet[GatewayAlarm]:
    """What a person should look at, newest first, with its gateway, bounded."""
    return GatewayAlarm.objects.filter(closed_at__isnull=True).select_related("gateway")[:ALARMS_SHOWN_MAX]


def shown_token(header: str) -> str:
    """The token in an Authorization header (scheme `Bearer` or `Gateway`). Raises Refusal `token_missing` (401)."""
    scheme, _, shown = header.strip().partition(" ")
    shown = shown.strip()
    if scheme.lower() not in {"bearer", "gateway"} or not shown:
        raise Refusal(401, "token_missing", "Send the access token as: Authorization: Bearer <token>.")
    return shown


def known_token(header: str, address: str = "") -> AccessToken:
    """The token that an Authorization header shows, with its active gateway; one query, and the use noted.

    Raises Refusal: `token_missing`, `token_unknown`, `token_expired` (401), `gateway_inactive` (403), `rate_limited`. A
    token that a MAC address alone obtained is unknown while plain clients are not allowed. Tokens that are not known are
    counted by the `address` they come from, if it is given.
    """
    shown = shown_token(header)
    read = _token(token_digest(shown)) if len(shown) <= TOKEN_CHARS_MAX else None
    if read is None or (read.how == AccessToken.How.PLAIN and not settings.PLAIN_CLIENTS):
        if address:
            rates.spend("refused-tokens", rates.network_of(address), REFUSED_TOKENS_PER_MINUTE)
        raise Refusal(401, "token_unknown", "This access token is not known here.")
    rates.spend("token", str(read.pk), settings.REQUESTS_PER_MINUTE)
    now = timezone.now()
    if read.expires_at is not None and read.expires_at <= now:
        raise Refusal(401, "token_expired", "The time of this access token is over. Prove the key for a new one.")
    if read.gateway.status != Gateway.Status.ACTIVE:
        raise Refusal(403, "gateway_inactive", "This gateway is not active. An administrator can approve it.")
    services.note_use(read, now)
    return read


def _token(digest: str) -> AccessToken | None:
    """The token of this digest, with its gateway. Every delivery asks, so the statement is put together only once."""
    with connection.cursor() as cursor:
        cursor.execute(_BY_DIGEST, [digest])
        row = cursor.fetchone()
    if row is None:
        return None
    values = list(row)
    for place, field in _CONVERTED:
        column = field.cached_col
        for convert in (*connection.ops.get_db_converters(column), *column.get_db_converters(connection)):
            values[place] = convert(values[place], column, connection)
    held = len(_TOKEN_COLUMNS)
    token = AccessToken.from_db(connection.alias, _TOKEN_COLUMNS, values[:held])
    token.gateway = Gateway.from_db(connection.alias, _GATEWAY_COLUMNS, values[held:])
    return token


def by_authorization(header: str, address: str = "") -> Gateway:
    """The active gateway that an Authorization header stands for. Raises what `known_token` raises."""
    return known_token(header, address).gateway


def admitted(request: HttpRequest) -> Gateway:
    """The active gateway that sends a request. Raises what `known_token` raises."""
    return by_authorization(request.headers.get("Authorization", ""), str(request.META.get("REMOTE_ADDR", "")))


def status_body(gateway: Gateway, token: str | None = None, expires_at: datetime | None = None) -> dict[str, Any]:
    """`gateway_status` of the contract; `token` is what this very answer may show."""
    return {
        "id": gateway.pk,
        "mac_address": gateway.mac_address,
        "hostname": gateway.hostname,
        "ip_address": gateway.ip_address,
        "name": gateway.name,
        "description": gateway.description,
        "status": gateway.status,
        "access_token": token,
        "token_expires_at": expires_at and expires_at.isoformat(),
        "last_heartbeat": gateway.last_heartbeat and gateway.last_heartbeat.isoformat(),
        "fingerprint": gateway.fingerprint,
        "server_key": signing.server_key(),
        "created_at": gateway.created_at.isoformat(),
        "updated_at": gateway.updated_at.isoformat(),
        "batch": BATCH,
    }


def anchor_body(gateway: Gateway) -> dict[str, Any] | None:
    """The anchor with the gateway's own signature, by which it knows its head again; None where there is none to show."""
    if not gateway.anchor_seq or not gateway.anchor_signature:
        return None
    return {"seq": gateway.anchor_seq, "hash": gateway.anchor_hash, "signature": gateway.anchor_signature}


def assigned_stations(gateway: Gateway) -> list[dict[str, Any]]:
    """`stations` of the contract: those that are enabled."""
    return [_station_body(row) for row in Station.objects.filter(gateway=gateway, enabled=True).order_by("pk")]


def _station_body(station: Station) -> dict[str, Any]:
    return {
        "id": station.pk,
        "gateway": station.gateway_id,
        "name": station.name,
        "description": station.description,
        "serial_port": station.serial_port,
        "serial_description": station.serial_description,
        "serial_location": station.serial_location,
        "serial_number": station.serial_number,
        "serial_manufacturer": station.serial_manufacturer,
        "config": _station_config(station),
    }


def _station_config(station: Station) -> dict[str, Any] | None:
    """What a gateway needs to run it; None without a driver, or with nowhere to find the indicator."""
    url = station.url or (f"serial://{station.serial_port}" if station.serial_port else "")
    if not station.driver or not url:
        return None
    told = {
        "options": station.options,
        "unit": station.unit,
        "division": station.division,
        "min_weight": station.min_weight,
        "max_weight": station.max_weight,
        "rearm": station.rearm,
        "stability": station.stability,
        "timeout_s": station.timeout_s,
        "stale_s": station.stale_s,
    }
    config = {"driver": station.driver, "url": url, "mode": station.mode, **{k: v for k, v in told.items() if v}}
    if station.reader_driver and station.reader_url:
        config["reader"] = {"driver": station.reader_driver, "url": station.reader_url}
    return config
