"""REST v1: what is asked, as values. No I/O, no clock.

Source: contracts/carnitrack.md, "REST v1". `resource` names what a cloud may have or not have; a 404 for one says nothing
of the others.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from scaleledger.domain.cloud import (
    BatchBegins,
    BatchEnds,
    CloudTold,
    DeviceAlive,
    DeviceConnected,
    PrinterOffer,
    PrintOutcome,
)
from scaleledger.uplinks.carnitrack.answers import SILENT_REFUSAL
from scaleledger.uplinks.carnitrack.protocol import Event, events_text, global_id
from scaleledger.uplinks.exchange import Request, json_text, time_text

CAPABILITIES = ("events", "sessions", "offline_batches", "printing", "plu")
DEVICES_MAX = 256
PRINTERS_MAX = 64
SOCKET_PATHS = ("/edge/ws", "/edge")
_JUDGED = frozenset({200, 201}) | SILENT_REFUSAL


@dataclass(frozen=True, slots=True)
class Call:
    """One request: what it is called in words, which resource it needs, and the ETag that is held already."""

    what: str
    resource: str
    request: Request
    etag: str = ""
    good: frozenset[int] = field(default=frozenset({200, 201}))


def rest_root(url: str) -> str:
    """The address that `edge/` and `activate` lie under, ending in "/": the configured one, with or without its `/edge`."""
    return url.rstrip("/").removesuffix("/edge") + "/"


def rest_beside(socket_url: str) -> str:
    """Where REST is to be found beside a WebSocket address, when nothing else is configured."""
    parts = urlsplit(socket_url)
    path = _without_socket(parts.path)
    scheme = "https" if parts.scheme == "wss" else "http"
    return urlunsplit((scheme, parts.netloc, f"{path}/api/v1", "", ""))


def socket_address(url: str) -> str:
    """The WebSocket's whole address; one without a path gets the usual one."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, parts.path if parts.path.strip("/") else SOCKET_PATHS[0], "", ""))


def _without_socket(path: str) -> str:
    bare = path.rstrip("/")
    for known in SOCKET_PATHS:
        if bare.endswith(known):
            return bare.removesuffix(known)
    return bare


def introduction(edge_id: str, site_id: str, site_name: str, version: str) -> dict[str, Any]:
    """Who we say that we are; no id only where none was ever given."""
    return {
        "edgeId": edge_id or None,
        "siteId": site_id or None,
        "siteName": site_name or None,
        "version": version,
        "capabilities": list(CAPABILITIES),
    }


def register(said: Mapping[str, Any]) -> Call:
    """Be registered."""
    call = _post("the registration", "register", "edge/register", said)
    return replace(call, good=call.good | {400, 404})


def activate(code: str, version: str) -> Call:
    """Be registered with a claim code."""
    said = {"code": code, "version": version, "capabilities": list(CAPABILITIES)}
    return _post("the activation", "activate", "activate", said)


def config() -> Call:
    """Ask for the runtime configuration: the sign of life."""
    return _get("the configuration", "config", "edge/config")


def sessions(devices: Iterable[str], etag: str) -> Call:
    """Ask which sessions are under way on these devices."""
    named = ",".join(quote(device, safe="") for device in list(devices)[:DEVICES_MAX])
    return _get("the list of sessions", "sessions", f"edge/sessions?device_ids={named}", etag)


def event(item: Event) -> Call:
    """Deliver one event."""
    return Call("an event", "events", Request("POST", "edge/events", item.body.encode()), good=_JUDGED)


def events(part: Sequence[Event]) -> Call:
    """Deliver several events."""
    request = Request("POST", "edge/events/batch", events_text(part).encode())
    return Call("a batch of events", "events/batch", request, good=_JUDGED)


def batch_ends(told: BatchEnds) -> Call:
    """Ask whether an offline batch has arrived as a whole."""
    said = batch_fields(told) | {"eventIds": list(told.event_ids)}
    return _post("an offline batch", "offline-batches", "edge/offline-batches/ack", said)


def device_status(told: CloudTold, site_id: str) -> Call | None:
    """How a device stands; None for what REST has no call for."""
    if isinstance(told, BatchBegins | BatchEnds):
        return None
    return _post("a device's status", "devices", "edge/devices/status", device_fields(told, site_id))


def heartbeat(
    version: str,
    uptime_s: float,
    health: str,
    devices: Sequence[Mapping[str, object]],
    printers: Sequence[PrinterOffer],
) -> Call:
    """The gateway lives, and what is connected to it stands so."""
    said = {
        "version": version,
        "uptimeSec": int(uptime_s),
        "health": health,
        "devices": [dict(device) for device in devices[:DEVICES_MAX]],
        "printers": [
            {
                "localPrinterId": printer.printer_id,
                "status": printer.status,
                "lastSeenAt": _when(printer.last_seen_at),
                "lastError": printer.last_error or None,
                "warnings": list(printer.warnings),
            }
            for printer in printers[:PRINTERS_MAX]
        ],
    }
    return _post("the heartbeat", "heartbeat", "edge/heartbeat", said)


def print_jobs(etag: str) -> Call:
    """Ask for the waiting print jobs."""
    return _get("the print jobs", "print-jobs", "edge/print-jobs/pending", etag)


def print_outcome(outcome: PrintOutcome) -> Call:
    """What became of a print job."""
    said = {
        "status": outcome.status,
        "printedAt": _when(outcome.printed_at),
        "resolvedPrinter": outcome.printer or None,
        "attempts": outcome.attempts,
    }
    if outcome.error:
        said["errorText"] = outcome.error
    path = f"edge/print-jobs/{quote(outcome.global_job_id, safe='')}/ack"
    return _post("a print job's outcome", "print-jobs/ack", path, said)


def inventory(printers: Sequence[PrinterOffer]) -> Call:
    """Which printers there are."""
    listed = [
        {
            "localPrinterId": printer.printer_id,
            "role": printer.role,
            "host": printer.host,
            "port": printer.port,
            "model": printer.model,
            "status": printer.status,
        }
        for printer in printers[:PRINTERS_MAX]
    ]
    return _post("the list of printers", "printers", "edge/printers/inventory", {"printers": listed})


def plu(etag: str) -> Call:
    """Ask for the product list."""
    return _get("the product list", "plu", "edge/plu", etag)


def device_fields(told: DeviceConnected | CloudTold, site_id: str) -> dict[str, Any]:
    """A device's fields, which both carriers share."""
    assert not isinstance(told, BatchBegins | BatchEnds), "a batch is no device"
    fields: dict[str, Any] = {"deviceId": told.device_id, "globalDeviceId": global_id(site_id, told.device_id)}
    if isinstance(told, DeviceConnected):
        counts = {"status": "online", "heartbeatCount": 0, "eventCount": 0}
        return fields | counts | {"sourceIp": told.source_ip, "deviceType": told.device_type}
    if isinstance(told, DeviceAlive):
        counts = {"status": told.status, "heartbeatCount": told.heartbeat_count, "eventCount": told.event_count}
        return fields | counts | {"timestamp": time_text(told.at)}
    counts = {"status": "disconnected", "heartbeatCount": 0, "eventCount": 0}
    return fields | counts | {"reason": told.reason, "timestamp": time_text(told.at)}


def batch_fields(told: BatchEnds) -> dict[str, Any]:
    """An offline batch's counts and times, which both carriers share."""
    return {
        "batchId": told.batch_id,
        "deviceId": told.device_id,
        "startedAt": time_text(told.started_at),
        "endedAt": time_text(told.ended_at),
        "eventCount": told.event_count,
        "totalWeightGrams": told.total_grams,
    }


def _get(what: str, resource: str, path: str, etag: str = "") -> Call:
    headers = {"If-None-Match": etag} if etag else {}
    good = frozenset({200, 304}) if etag else frozenset({200})
    return Call(what, resource, Request("GET", path, headers=headers), etag, good)


def _post(what: str, resource: str, path: str, said: Mapping[str, Any]) -> Call:
    return Call(what, resource, Request("POST", path, json_text(said).encode()))


def _when(at: datetime | None) -> str | None:
    return None if at is None else time_text(at)
