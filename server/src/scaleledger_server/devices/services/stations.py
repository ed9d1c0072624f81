"""Stations that the centre assigns, and the ports a gateway found: each change is told to the gateway."""

import logging
import secrets
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F

from scaleledger_server import notices
from scaleledger_server.devices.models import Gateway, ScannedPort, Station
from scaleledger_server.errors import Invalid

log = logging.getLogger(__name__)

STATIONS_MAX = 256
PORTS_MAX = 256
PORT_FIELDS = (
    "device", "name", "description", "hwid", "vid", "pid", "serial_number", "location", "manufacturer", "product",
    "interface",
)  # fmt: skip


@transaction.atomic
def save_station(station: Station) -> None:
    """Add or change a station. Its gateway hears of it at once, or at its next sign of life.

    Raises Invalid when the gateway has 256 stations already.
    """
    before = Station.objects.filter(pk=station.pk).values_list("gateway_id", flat=True).first() if station.pk else None
    others = Station.objects.filter(gateway_id=station.gateway_id).exclude(pk=station.pk)
    if before != station.gateway_id and others.count() >= STATIONS_MAX:
        raise Invalid(f"A gateway has at most {STATIONS_MAX} stations.", "gateway")
    station.save()
    for gateway_id in {station.gateway_id, before or station.gateway_id}:
        _changed(gateway_id)


@transaction.atomic
def delete_station(station: Station) -> None:
    """Take a station away from its gateway."""
    gateway_id = station.gateway_id
    station.delete()
    _changed(gateway_id)


def _changed(gateway_id: int) -> None:
    Gateway.objects.filter(pk=gateway_id).update(stations_version=F("stations_version") + 1, stations_mark=fresh_mark())
    notices.tell_gateway(gateway_id, "sync.weighing_stations")


def fresh_mark() -> str:
    """Part of a version's name that a database restored from a backup does not give out again."""
    return secrets.token_hex(4)


@transaction.atomic
def keep_scan(gateway: Gateway, ports: Any, now: datetime) -> int:
    """Keep the ports of `peripherals.scanned` as the gateway's only ones; returns how many.

    An entry that names no device, or one named before, is left out; texts are cut to what is kept; 256 ports at most.
    """
    found: dict[str, ScannedPort] = {}
    entries = ports[:PORTS_MAX] if isinstance(ports, list) else []
    for entry in entries:
        facts = _port_facts(entry)
        if facts is not None and facts["device"] not in found:
            found[facts["device"]] = ScannedPort(gateway=gateway, seen_at=now, **facts)
    if len(found) != (len(ports) if isinstance(ports, list) else -1):
        log.warning("gateway %s: a scan of ports was kept only in part", gateway.mac_address)
    Gateway.objects.select_for_update().get(pk=gateway.pk)  # one scan at a time
    ScannedPort.objects.filter(gateway=gateway).delete()
    ScannedPort.objects.bulk_create(found.values())
    return len(found)


def _port_facts(entry: Any) -> dict[str, str] | None:
    if not isinstance(entry, dict):
        return None
    facts = {name: _text(entry.get(name), 20 if name in {"vid", "pid"} else 200) for name in PORT_FIELDS}
    return facts if facts["device"] else None


def _text(value: Any, chars_max: int) -> str:
    if type(value) not in {str, int} or (type(value) is int and abs(value) > 2**53):
        return ""
    return "".join(c for c in str(value) if c.isprintable())[:chars_max].strip()
