"""A weighing that the scale finished by itself: which event it is, when it was, and the draft made of it.

An event is named by its content: the same line is the same record for ever, after a lost OK, a reconnect, a restart of the
scale or of the gateway. The name is taken over the line without its line end and without the print prefix, and over who
sent it: the device where the link has named itself, else the address that dialled in. It begins with the printed time, read
as if it were UTC, so that no change of a setting gives an old line a new name.

The printed time counts where the scale's clock is trusted. In the hour that a zone has twice, and in the one that it leaves
out, the reading nearer to the receipt is taken.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from uuid import UUID

from scaleledger.domain.inputs import FinishedWeighing
from scaleledger.domain.session import WorkSession, session_details
from scaleledger.domain.weighing import Draft, Kind

UNREGISTERED = "unregistered"
"""The station of an event whose link had not named itself."""

CLOCK_SUSPECT, POSSIBLE_COPY, NET_MISMATCH = "clock-suspect", "possible-copy", "net-mismatch"
REGISTERED_LATE = "registered-late"
MODE = "event"

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - printed times have no zone
_DATE = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})")
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})")
_YEARS = range(2000, 2100)
_TEXTS = ("number", "code", "operator", "company", "flags")


@dataclass(frozen=True, slots=True)
class Arrival:
    """A finished weighing as it came in: from whom (`peer` is "address:port") and when (aware, UTC)."""

    event: FinishedWeighing
    peer: str
    received_at: datetime
    monotonic_s: float

    @property
    def host(self) -> str:
        """The address without the port."""
        return host_of(self.peer)


@dataclass(frozen=True, slots=True)
class Place:
    """What is known of an event beside its line. `device` is "" where the link has not named itself; `gateway` is ours."""

    listener: str
    driver: str
    device: str
    zone: tzinfo
    tolerance: timedelta
    boot_id: str
    gateway: str


@dataclass(frozen=True, slots=True)
class ClockTrust:
    """What a device's last event said of its clock: whether it was trusted, and what it printed."""

    trusted: bool = False
    printed: datetime | None = None


UNTRIED = ClockTrust()


@dataclass(frozen=True, slots=True)
class Timed:
    """When an event was (aware, UTC), whether the scale's own time says so, and how far that is ahead of ours."""

    at: datetime
    trust: ClockTrust
    offset: timedelta | None = None


def host_of(peer: str) -> str:
    """`10.0.0.5:51234` is `10.0.0.5`."""
    return peer.rpartition(":")[0] or peer


def fields_of(event: FinishedWeighing) -> dict[str, str]:
    """The line's named fields."""
    return dict(event.fields)


def content(event: FinishedWeighing) -> bytes:
    """The line without its end and without the prefix of a print."""
    line = event.raw.strip(b"\r\n \t")
    return line.removeprefix(fields_of(event).get("prefix", "").encode())


def printed_time(event: FinishedWeighing) -> datetime | None:
    """Date and time as the scale printed them, without a zone; None when there is no such time."""
    fields = fields_of(event)
    return read_printed(fields.get("date", ""), fields.get("time", ""))


def read_printed(date: str, time: str) -> datetime | None:
    """`30.01.2026` and `10:30:00`; None for a moment that no calendar has, or none of this century."""
    day, clock = _DATE.fullmatch(date), _TIME.fullmatch(time)
    if day is None or clock is None or int(day[3]) not in _YEARS:
        return None
    try:
        return datetime(int(day[3]), int(day[2]), int(day[1]), int(clock[1]), int(clock[2]), int(clock[3]))  # noqa: DTZ001
    except ValueError:
        return None


def identity(owner: str, event: FinishedWeighing) -> str:
    """The event's uuid (version 8): 48 bits of the printed time in ms, the rest SHA-256 over owner and content.

    `owner` is `of_device` or `of_host`.
    """
    return _named(printed_time(event), owner.encode() + b"\0" + content(event))


def of_device(gateway: str, device: str) -> str:
    """The owner of the events of a device that named itself; at another gateway another scale may bear the same name."""
    return f"{gateway} device:{device}"


def of_host(gateway: str, host: str) -> str:
    """The owner of the events of an address whose link did not name itself."""
    return f"{gateway} host:{host}"


def _named(printed: datetime | None, what: bytes) -> str:
    digest = int.from_bytes(hashlib.sha256(what).digest()[:10], "big")
    ms = (printed - _EPOCH) // timedelta(milliseconds=1) if printed is not None else 0
    high = (ms & (1 << 48) - 1) << 16 | 0x8000 | digest >> 62 & 0xFFF
    return str(UUID(int=high << 64 | 0b10 << 62 | digest & (1 << 62) - 1))


def judge_time(
    printed: datetime | None, zone: tzinfo, received_at: datetime, tolerance: timedelta, last: ClockTrust
) -> Timed:
    """Which time counts: the printed one when the clock is trusted, else that of the receipt.

    A clock is trusted when it is no further from ours than `tolerance`. An older print is believed too, when the device's
    last event was and this one was printed after it: such a scale was out of reach and kept its events. A time to come
    never is, nor one that stands still or goes back.
    """
    if printed is None:
        return Timed(received_at, ClockTrust(trusted=False))
    readings = [printed.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
    at = min(readings, key=lambda reading: abs(reading - received_at))
    offset = at - received_at
    goes_on = last.trusted and last.printed is not None and printed > last.printed and offset <= tolerance
    if abs(offset) <= tolerance or goes_on:
        return Timed(at, ClockTrust(trusted=True, printed=printed), offset)
    return Timed(received_at, ClockTrust(trusted=False, printed=printed), offset)


def draft_of(arrival: Arrival, place: Place, timed: Timed, session: WorkSession | None = None) -> Draft:
    """The draft of an event. It needs a net weight and a unit; the driver reports a line without them as a problem."""
    event = arrival.event
    assert event.net is not None
    assert event.unit is not None
    owner = of_device(place.gateway, place.device) if place.device else of_host(place.gateway, arrival.host)
    offset = timed.at.astimezone(place.zone).utcoffset() or timedelta()
    return Draft(
        uuid=identity(owner, event),
        station=place.device or UNREGISTERED,
        driver=place.driver,
        mode=MODE,
        weight=event.net,
        unit=event.unit,
        measured_at=timed.at,
        raw=event.raw,
        monotonic_s=arrival.monotonic_s,
        boot_id=place.boot_id,
        utc_offset_min=offset // timedelta(minutes=1),
        details=_details(arrival, place, timed, session),
    )


def _details(arrival: Arrival, place: Place, timed: Timed, session: WorkSession | None) -> tuple[tuple[str, str], ...]:
    event, fields = arrival.event, fields_of(arrival.event)
    notes = [fields.get("notes", "")]
    if not timed.trust.trusted:
        notes.append(CLOCK_SUSPECT)
    if None not in (event.gross, event.tare) and _plain(event.gross) - _plain(event.tare) != event.net:
        notes.append(NET_MISMATCH)
    found = {
        "device": place.device,
        "listener": place.listener,
        "peer": arrival.peer,
        "product": fields.get("product", ""),
        "plu": fields.get("plu", "") or fields.get("barcode", ""),
        **{name: fields.get(name, "") for name in _TEXTS},
        "gross": _text(event.gross),
        "tare": _text(event.tare),
        "scale_time": f"{fields.get('date', '')} {fields.get('time', '')}".strip(),
        "received_at": received_text(arrival),
        **session_details(session),
        "notes": _joined(notes),
    }
    return tuple((name, text) for name, text in found.items() if text)


def received_text(arrival: Arrival) -> str:
    """When it came, as its record says it."""
    return arrival.received_at.isoformat(timespec="microseconds")


def noted(draft: Draft, note: str) -> Draft:
    """The draft with one more note."""
    details = dict(draft.details)
    details["notes"] = _joined([*details.get("notes", "").split(","), note])
    return replace(draft, details=tuple(details.items()))


def attributed(first_uuid: str, anew: Draft) -> Draft:
    """The correction that says whose event the first one was, which was kept before its link had named itself.

    `anew` is the draft that the same arrival gives with the device known: its time, session and unit are the device's own.
    Made twice, it is the same record.
    """
    device = dict(anew.details)["device"]
    seed = f"{REGISTERED_LATE}\0{first_uuid}\0{device}".encode()
    stamp = _EPOCH + timedelta(milliseconds=UUID(first_uuid).int >> 80)
    correction = replace(anew, uuid=_named(stamp, seed), kind=Kind.CORRECTION, refers_to=first_uuid)
    correction = noted(correction, REGISTERED_LATE)
    return replace(correction, details=(*correction.details, ("reason", REGISTERED_LATE)))


def likeness(details: Mapping[str, str], weight: str, unit: str) -> tuple[str, ...]:
    """All that is printed of an event but its time: what a print copy repeats."""
    return (weight, unit, *(details.get(name, "") for name in ("gross", "tare", "product", "plu", *_TEXTS)))


def _plain(value: Decimal | None) -> Decimal:
    assert value is not None
    return value


def _text(value: Decimal | None) -> str:
    return "" if value is None else format(value, "f")


def _joined(notes: list[str]) -> str:
    return ",".join(dict.fromkeys(note for each in notes for note in each.split(",") if note))
