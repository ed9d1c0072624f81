"""Records become events of the CarniTrack contract, and its answers become outcomes. No I/O, no clock.

Only a weighing that a scale itself completed is an event (mode "event"); records of other stations are not owed. A
correction says something new of an event, so it travels under the first record's uuid with a `revision`; that is why two
items of one part never share an id: the answer could not be told apart.

    answer for an item               becomes
    accepted, duplicate              ACKED
    failed, event_rejected           QUARANTINE, with the cloud's words
    anything else, or none           RETRY

Source: contracts/carnitrack.md, "Events".
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

from scaleledger.domain.delivery import ItemOutcome, Outcome
from scaleledger.domain.errors import Disbelieved
from scaleledger.domain.offline import EventContext
from scaleledger.domain.weighing import Kind, Record
from scaleledger.uplinks.carnitrack.answers import SILENT_REFUSAL, believe, refusal_words, same_id, text, told
from scaleledger.uplinks.exchange import Answer, instant, is_html, json_text, object_in, plain, time_text

MODE = "event"
FIRST_BATCH = 50  # what the first clouds take
MOST_BATCH = 500
PART_MAX_BYTES = 500_000
GRAMS_MAX = 10**15
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_GRAMS_IN = {"g": Decimal(1), "kg": Decimal(1000)}
_EXACT = Context(prec=120)
_DECIMAL = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?")
_STAMPED = re.compile(r"[0-9a-f]{12}8[0-9a-f]{19}")  # a version 8 uuid begins with the scale's stamp in ms
_HELD = frozenset({"accepted", "duplicate"})
_REFUSED = frozenset({"failed", "rejected"})
_EVENTS_OPEN, _EVENTS_CLOSE = '{"events":[', "]}"


@dataclass(frozen=True, slots=True)
class Event:
    """One item for the cloud: the record's number, the id it is answered by, its device, and its JSON text."""

    seq: int
    local_id: str
    device_id: str
    body: str


def event_of(record: Record, context: EventContext, site_id: str) -> Event | ItemOutcome:
    """The event that a record is; or what becomes of a record that is none (NOT_OWED), or can be none (QUARANTINE)."""
    try:
        stated = json.loads(record.payload)
    except (ValueError, RecursionError):
        return ItemOutcome(record.seq, Outcome.QUARANTINE, "its payload is not JSON")
    if not isinstance(stated, dict) or stated.get("mode") != MODE:
        return ItemOutcome(record.seq, Outcome.NOT_OWED, "not a weighing that a scale completed itself")
    kind = stated.get("kind")
    if kind not in (Kind.WEIGHING, Kind.CORRECTION):
        return ItemOutcome(record.seq, Outcome.NOT_OWED, f"the contract has no place for a record of this kind: {kind}")
    exact = exact_grams(record.weight, record.unit)
    if exact is None:
        return ItemOutcome(record.seq, Outcome.QUARANTINE, f"{record.weight} {record.unit} cannot be said in grams")
    details = stated.get("details")
    local_id = str(stated.get("refers_to") or record.uuid) if kind == Kind.CORRECTION else record.uuid
    found = _Details(details if isinstance(details, dict) else {}, record, local_id, context)
    fields = found.fields(exact, site_id)
    if kind == Kind.CORRECTION:
        fields |= {"revision": record.seq, "reason": found.text("reason")}
    body = json_text({"localEventId": local_id} | fields)
    return Event(record.seq, local_id, found.device, body)


class _Details:
    """A record's details, read for an event."""

    def __init__(self, details: dict[Any, Any], record: Record, local_id: str, context: EventContext) -> None:
        self._details, self._record, self._local_id, self._context = details, record, local_id, context
        self.device = self.text("device") or record.station

    def text(self, name: str) -> str:
        found = self._details.get(name)
        return found if isinstance(found, str) else ""

    def _list(self, name: str) -> list[str]:
        return [item for item in self.text(name).split(",") if item]

    def _grams(self, name: str) -> int | None:
        written = self.text(name)
        if not _DECIMAL.fullmatch(written):
            return None
        exact = exact_grams(Decimal(written), self._record.unit)
        return None if exact is None else whole_grams(exact)

    def _scale_time(self, notes: Sequence[str], received_at: datetime) -> datetime:
        """The scale's own time: what the event counts for, or the stamp in its uuid where the scale's clock is not believed."""
        if "clock-suspect" not in notes:
            return self._record.measured_at
        digits = self._local_id.replace("-", "")
        if not _STAMPED.fullmatch(digits):
            return received_at
        try:
            stamp = EPOCH + timedelta(milliseconds=int(digits[:12], 16))
        except OverflowError:
            return received_at
        return stamp if stamp.year < 9998 else received_at

    def fields(self, exact: Decimal, site_id: str) -> dict[str, Any]:
        """The event but for its id, in the contract's names."""
        received_at = instant(self.text("received_at")) or self._record.measured_at
        notes = self._list("notes")
        whole = whole_grams(exact)
        return {
            "deviceId": self.device,
            "globalDeviceId": global_id(site_id, self.device),
            "cloudSessionId": self.text("session") or None,
            "offlineMode": self._context.offline,
            "offlineBatchId": self._context.batch_id or None,
            "pluCode": self.text("plu"),
            "productName": self.text("product"),
            "barcode": self.text("plu"),
            "weightGrams": whole,
            "scaleTimestamp": time_text(self._scale_time(notes, received_at)),
            "receivedAt": time_text(received_at),
            "grossGrams": self._grams("gross"),
            "tareGrams": self._grams("tare"),
            "operator": self.text("operator"),
            "code": self.text("code"),
            "company": self.text("company"),
            "flags": self._list("flags"),
            "measuredAt": time_text(self._record.measured_at),
            "notes": notes,
        } | ({} if whole == exact else {"netExact": format(exact, "f")})


def exact_grams(weight: Decimal, unit: str) -> Decimal | None:
    """A weight in grams, not rounded; None where the unit is neither g nor kg, or the number is beyond all scales."""
    factor = _GRAMS_IN.get(unit)
    if factor is None or not weight.is_finite() or weight.adjusted() > 20 or len(weight.as_tuple().digits) > 60:
        return None
    exact = _EXACT.multiply(weight, factor)
    return exact if abs(exact) <= GRAMS_MAX else None


def whole_grams(exact: Decimal) -> int:
    """Rounded half to even."""
    return int(exact.to_integral_value(ROUND_HALF_EVEN, _EXACT))


def global_id(site_id: str, device_id: str) -> str:
    """A device's name beyond its own site."""
    return f"{site_id}-{device_id}" if site_id else device_id


def sort_out(events: Iterable[Event | ItemOutcome]) -> tuple[list[Event], dict[int, ItemOutcome]]:
    """What is to be sent, in order, and what is settled without."""
    to_send: list[Event] = []
    known: dict[int, ItemOutcome] = {}
    for item in events:
        if isinstance(item, Event):
            to_send.append(item)
        else:
            known[item.seq] = item
    return to_send, known


def parts(events: Sequence[Event], most: int) -> Iterator[list[Event]]:
    """The events in order, in parts of at most `most`, bounded in bytes, none with the same id twice."""
    part: list[Event] = []
    ids: set[str] = set()
    size = 0
    for event in events:
        if part and (len(part) >= most or event.local_id in ids or size + len(event.body) > PART_MAX_BYTES):
            yield part
            part, ids, size = [], set(), 0
        part.append(event)
        ids.add(event.local_id)
        size += len(event.body) + 1
    if part:
        yield part


def events_text(part: Sequence[Event]) -> str:
    """The body of a batch."""
    return _EVENTS_OPEN + ",".join(event.body for event in part) + _EVENTS_CLOSE


class BatchUnfit(Exception):
    """A batch was refused as a whole, which says nothing of any one event: send them in smaller parts."""


def read_single(answer: Answer, event: Event) -> ItemOutcome:
    """What became of one event. Raises LinkError and its kinds."""
    what = "an event"
    if answer.status in SILENT_REFUSAL and not is_html(answer) and object_in(answer) is not None:
        return ItemOutcome(event.seq, Outcome.QUARANTINE, refusal_words(answer))
    found = believe(answer, what, good=frozenset({200, 201}))
    outcome = _outcome(found, event, placed=True)
    if outcome.outcome is Outcome.RETRY:
        raise Disbelieved(f"{what} was answered {answer.status}, but {outcome.reason}")
    return outcome


def read_batch(answer: Answer, part: Sequence[Event]) -> list[ItemOutcome]:
    """What became of each event, in order. Raises BatchUnfit, LinkError and its kinds."""
    what = "a batch of events"
    if answer.status in SILENT_REFUSAL and not is_html(answer) and object_in(answer) is not None:
        raise BatchUnfit(refusal_words(answer))
    results = told(believe(answer, what, good=frozenset({200, 201})), "results")
    if not isinstance(results, list):
        raise Disbelieved(f"{what} was answered {answer.status}, but without results")
    if len(results) == len(part):
        return [_outcome(found, event, placed=True) for found, event in zip(results, part, strict=True)]
    named = {local_id: found for found in results[: 2 * len(part)] if (local_id := _id_in(found))}
    return [_outcome(named.get(event.local_id.lower()), event, placed=False) for event in part]


def item_outcome(event: Event, status: str, words: str = "") -> ItemOutcome:
    """The outcome that a word of the cloud for an event means."""
    if status in _HELD:
        return ItemOutcome(event.seq, Outcome.ACKED)
    if status in _REFUSED:
        return ItemOutcome(event.seq, Outcome.QUARANTINE, f"{status}: {words}" if words else status)
    return ItemOutcome(event.seq, Outcome.RETRY, "the answer for it is not the contract's")


def _outcome(found: Any, event: Event, *, placed: bool) -> ItemOutcome:
    """One entry; the cloud may leave the id out only where the place in the list is beyond doubt."""
    if not isinstance(found, dict):
        return ItemOutcome(event.seq, Outcome.RETRY, "the answer leaves it out")
    named = told(found, "localEventId")
    if not (same_id(named, event.local_id) or (named is None and placed)):
        return ItemOutcome(event.seq, Outcome.RETRY, "the answer names another event")
    words = told(found, "error") or told(found, "reason")
    return item_outcome(event, text(found, "status", 20), plain(words) if isinstance(words, str) else "")


def _id_in(found: Any) -> str:
    return text(found, "localEventId", 36).lower() if isinstance(found, dict) else ""
