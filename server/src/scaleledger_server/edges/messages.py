"""What edges say, read: from parsed JSON to values that may be stored. No database, no clock.

Fields that are not known are passed over, as the contract has it; those that are known must be what it says. Both carriers
read the same messages here: the body over REST is the payload over WebSocket.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Annotated, Any, TypeVar
from uuid import UUID

import msgspec
from msgspec import Meta

from scaleledger_server.bodies import SEQ_MAX, read_instant, shown
from scaleledger_server.errors import Invalid
from scaleledger_server.shifts.edges import Asked, ScaleSaid
from scaleledger_server.shifts.models import Scale
from scaleledger_server.weighing.items import PRINTED_WEIGHT
from scaleledger_server.weighing.offline_batches import EVENT_IDS_MAX, Ended

GRAMS_MAX = 10**12
DEVICES_MAX = 500
PRINTERS_MAX = 100
CODE_CHARS_MAX = 64
UUID_FORM = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
DEVICE_FORM = re.compile(r"[^\s/?#,]{1,64}")

Line = Annotated[str, Meta(max_length=100)]
Short = Annotated[str, Meta(max_length=64)]
Grams = Annotated[int, Meta(ge=-GRAMS_MAX, le=GRAMS_MAX)]
Count = Annotated[int, Meta(ge=0, le=SEQ_MAX)]
Events = Annotated[int, Meta(ge=0, le=2**31 - 1)]  # what the column holds on every database
Moment = Annotated[str, Meta(max_length=40)]
Words = Annotated[list[Short], Meta(max_length=20)]


class Payload(msgspec.Struct, rename="camel", gc=False):
    """A message whose fields are named as the contract names them."""


class Register(Payload):
    """`register`, and the body of `POST /register`; `/activate` has the code beside."""

    edge_id: str | None = None
    site_id: Line | None = None
    site_name: Line | None = None
    version: Annotated[str, Meta(max_length=30)] | None = None
    capabilities: Annotated[list[Short], Meta(max_length=32)] = []
    code: Annotated[str, Meta(max_length=CODE_CHARS_MAX)] | None = None


class Event(Payload):
    """EventPayload."""

    local_event_id: str
    device_id: Short
    weight_grams: Grams
    net_exact: Annotated[str, Meta(max_length=24)] | None = None
    cloud_session_id: Line | None = None
    offline_mode: bool = False
    offline_batch_id: str | None = None
    plu_code: Annotated[str, Meta(max_length=13)] | None = None
    product_name: Line | None = None
    barcode: Short | None = None
    scale_timestamp: Moment | None = None
    received_at: Moment | None = None
    gross_grams: Grams | None = None
    tare_grams: Grams | None = None
    operator: Line | None = None
    code: Line | None = None
    company: Line | None = None
    flags: Words | None = None
    measured_at: Moment | None = None
    notes: Words | None = None
    revision: Count = 0
    reason: Annotated[str, Meta(max_length=100)] | None = None

    def net(self) -> Decimal:
        """Grams, with the digits that were told. Raises Invalid where `netExact` is another weight than `weightGrams`."""
        if self.net_exact is None:
            return Decimal(self.weight_grams)
        if not PRINTED_WEIGHT.fullmatch(self.net_exact):
            raise Invalid("netExact must be grams in digits, at most 6 of them after the point.", "netExact")
        exact = Decimal(self.net_exact)
        if exact.to_integral_value(ROUND_HALF_EVEN) != self.weight_grams:
            raise Invalid("netExact does not agree with weightGrams.", "netExact")
        return exact

    def texts(self) -> Sequence[str | None]:
        """All that is kept as text."""
        return (
            self.device_id, self.cloud_session_id, self.plu_code, self.product_name, self.barcode, self.operator, self.code,
            self.company, self.reason, self.scale_timestamp, *(self.flags or ()), *(self.notes or ()),
        )  # fmt: skip


class BatchEnd(Payload):
    """`offline_batch_start`, `offline_batch_end`, and the body of `POST /offline-batches/ack`."""

    batch_id: str
    device_id: Short
    event_ids: Annotated[list[str], Meta(max_length=EVENT_IDS_MAX)] = []
    event_count: Events | None = None
    total_weight_grams: Grams | None = None
    started_at: Moment | None = None
    ended_at: Moment | None = None


class DeviceStatus(Payload):
    """The body of `POST /devices/status`, `device_connected`, `device_heartbeat`, `device_disconnected`, and one of `devices[]`."""

    device_id: Short
    status: Short | None = None
    heartbeat_count: Count | None = None
    device_type: Annotated[str, Meta(max_length=20)] | None = None
    source_ip: Short | None = None
    last_heartbeat_at: Moment | None = None
    last_event_at: Moment | None = None


class PrinterState(Payload):
    """One of `printers[]` in a heartbeat."""

    local_printer_id: Annotated[str, Meta(min_length=1, max_length=64)]
    status: Annotated[str, Meta(max_length=10)] | None = None
    last_error: Annotated[str, Meta(max_length=500)] | None = None
    warnings: Words | None = None


class Heartbeat(Payload):
    """The body of `POST /heartbeat`."""

    version: Annotated[str, Meta(max_length=30)] | None = None
    uptime_sec: Count | None = None
    health: Short | None = None
    devices: Annotated[list[DeviceStatus], Meta(max_length=DEVICES_MAX)] = []
    printers: Annotated[list[PrinterState], Meta(max_length=PRINTERS_MAX)] = []


Any_payload = TypeVar("Any_payload", bound=Payload)


def read_payload(value: Any, type_: type[Any_payload]) -> Any_payload:
    """A message of this type. Raises Invalid, saying which field is not what it should be."""
    try:
        return msgspec.convert(value, type_)
    except UnicodeError as error:  # half of a surrogate pair, met before our own look at the texts
        raise Invalid("A text holds characters that cannot be stored.") from error
    except (msgspec.ValidationError, RecursionError) as error:
        said = shown(str(error), 200)
        _, _, place = said.rpartition("`$.")
        raise Invalid(f"{said}.", place.rstrip("`") if place != said else "") from error


def check_texts(texts: Sequence[str | None]) -> None:
    """Any database takes these: no NUL, no half of a surrogate pair. Raises Invalid."""
    joined = "".join(text for text in texts if text)
    if "\0" in joined or (not joined.isascii() and any("\ud800" <= c <= "\udfff" for c in joined)):
        raise Invalid("A text holds characters that cannot be stored.")


def read_uuid(text: str, field: str) -> UUID:
    """A uuid as it is printed, in either case. Raises Invalid."""
    if not UUID_FORM.fullmatch(text):
        raise Invalid(f"{field} must be a UUID.", field)
    return UUID(text)


def read_moment(text: str | None, field: str, now: datetime) -> datetime | None:
    """A time that may not be there. Raises Invalid."""
    return read_instant(text, field, now) if text else None


def read_register(value: Any) -> tuple[Asked, str]:
    """`register`: what the edge says of itself, and the claim code if there is one. Raises Invalid."""
    said = read_payload(value, Register)
    check_texts([said.site_id, said.site_name, said.version, said.code, *said.capabilities])
    edge_id = read_uuid(said.edge_id, "edgeId") if said.edge_id else None
    asked = Asked(edge_id, said.site_id or "", said.site_name or "", said.version or "", tuple(said.capabilities))
    return asked, said.code or ""


def read_device_id(text: str) -> str:
    """The name under which a scale registers at its edge. Raises Invalid."""
    if not DEVICE_FORM.fullmatch(text):
        raise Invalid("deviceId must have 1 to 64 characters, without white space and , / ? #.", "deviceId")
    return text


def read_batch(value: Any, now: datetime) -> Ended:
    """`offline_batch_start`, `offline_batch_end` or the body of `/offline-batches/ack`. Raises Invalid."""
    said = read_payload(value, BatchEnd)
    check_texts([said.device_id])
    return Ended(
        read_uuid(said.batch_id, "batchId"),
        read_device_id(said.device_id),
        read_moment(said.started_at, "startedAt", now),
        read_moment(said.ended_at, "endedAt", now),
        said.event_count,
        said.total_weight_grams,
        tuple(dict.fromkeys(read_uuid(text, "eventIds") for text in said.event_ids)),
    )


def read_device(value: Any, now: datetime, status: str = "") -> ScaleSaid:
    """What is said of one scale; `status` is what the message's own name says. Raises Invalid."""
    return _scale_said(read_payload(value, DeviceStatus), now, status)


def _scale_said(said: DeviceStatus, now: datetime, status: str = "") -> ScaleSaid:
    check_texts([said.device_id, said.device_type, said.source_ip])
    stated = status or (said.status or "").lower()
    return ScaleSaid(
        read_device_id(said.device_id),
        stated if stated in Scale.Status.values else Scale.Status.UNKNOWN if stated else "",
        said.device_type or "",
        said.source_ip or "",
        said.heartbeat_count or None,  # at the end of a connection the first programs say 0
        read_moment(said.last_heartbeat_at, "lastHeartbeatAt", now),
        read_moment(said.last_event_at, "lastEventAt", now),
    )


def read_heartbeat(value: Any, now: datetime) -> tuple[dict[str, Any], list[ScaleSaid], list[dict[str, Any]]]:
    """`heartbeat`: what is kept of the edge itself, of its scales, of its printers. Raises Invalid."""
    said = read_payload(value, Heartbeat)
    check_texts([said.version, said.health])
    for printer in said.printers:
        check_texts([printer.local_printer_id, printer.status, printer.last_error, *(printer.warnings or ())])
    reported = {"version": said.version, "uptime_s": said.uptime_sec, "health": said.health}
    kept = {name: value for name, value in reported.items() if value is not None}
    return (
        kept,
        [_scale_said(device, now) for device in said.devices],
        [_printer_said(printer) for printer in said.printers],
    )


def _printer_said(said: PrinterState) -> dict[str, Any]:
    return {
        "printer_id": said.local_printer_id,
        "status": said.status or "",
        "warnings": said.warnings or [],
        "last_error": said.last_error or "",
    }
