"""An edge's events taken in, whichever way they came: each becomes a record and a cut, and gets its own answer.

The answer is true once it is given: record and cut are committed, in this order, and an event that comes again completes
what a crash left in between.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from scaleledger_server.bodies import read_instant, shown
from scaleledger_server.edges.messages import Event, check_texts, read_device_id, read_moment, read_payload, read_uuid
from scaleledger_server.errors import Invalid
from scaleledger_server.limits import BATCH_RECORDS_MAX
from scaleledger_server.shifts import edges
from scaleledger_server.shifts.models import Edge, Scale
from scaleledger_server.weighing import cuts, lookups, offline_batches
from scaleledger_server.weighing.cuts import Said
from scaleledger_server.weighing.items import Item
from scaleledger_server.weighing.offline_batches import Ended
from scaleledger_server.weighing.services import Outcome, ingest

UNIT = "g"
NO_ROOM = f"This edge has {edges.SCALES_PER_EDGE_MAX} scales already; another one is not taken."
CLOCK_SUSPECT = "clock-suspect"


class Status(StrEnum):
    """What became of an event; the words are the contract's. A failed one is final."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    FAILED = "failed"


class Result(NamedTuple):
    """The answer to one event; `local_event_id` as it was sent, "" where it named none."""

    local_event_id: str
    status: Status
    cloud_event_id: str = ""
    error: str = ""

    def body(self) -> dict[str, Any]:
        """As the contract tells it."""
        told = {"localEventId": self.local_event_id, "cloudEventId": self.cloud_event_id or None, "status": self.status}
        return {**told, "error": self.error} if self.error else told


def listed(value: Any) -> list[Any]:
    """The events of `event_batch` or of the body of `POST /events/batch`. Raises Invalid for another shape, or too many."""
    events = value.get("events") if isinstance(value, dict) else None
    if not isinstance(events, list) or not 1 <= len(events) <= BATCH_RECORDS_MAX:
        raise Invalid(f"events must be a list of 1 to {BATCH_RECORDS_MAX}.", "events")
    return events


def take(edge: Edge, values: Sequence[Any], now: datetime) -> list[Result]:
    """Store what is new; one answer per event, in order, all true on return.

    The database's failures come through (OperationalError): nothing of the answer is known then, and all of it may come again.
    """
    results: dict[int, Result] = {}
    said: dict[int, Said] = {}
    for place, value in enumerate(values):
        try:
            said[place] = read_event(value, now)
        except Invalid as refusal:
            results[place] = Result(_claimed_id(value), Status.FAILED, error=refusal.detail)
    scales = edges.scales_of(edge, {one.device_id for one in said.values()})
    for place in [place for place, one in said.items() if one.device_id not in scales]:
        results[place] = Result(said.pop(place).item.uuid, Status.FAILED, error=NO_ROOM)
    results |= _stored(edge, said, scales, now)
    return [result._replace(local_event_id=_claimed_id(values[place])) for place, result in sorted(results.items())]


def _stored(edge: Edge, said: dict[int, Said], scales: dict[str, Scale], now: datetime) -> dict[int, Result]:
    if not said:
        return {}
    said = _as_first_told(edge, said)
    verdicts = dict(
        zip(said, ingest(edge.gateway, [one.item for one in said.values()], None, now).verdicts, strict=True)
    )
    held = {place: one for place, one in said.items() if verdicts[place].outcome in {Outcome.CREATED, Outcome.HELD}}
    new = dict(zip(held, cuts.keep(edge, list(held.values()), scales, now), strict=True))
    results = {}
    for place, one in said.items():
        if place in held:
            status = Status.ACCEPTED if new[place] else Status.DUPLICATE
            results[place] = Result("", status, one.item.uuid)
        else:
            results[place] = Result("", Status.FAILED, error=verdicts[place].detail)
    return results


def _as_first_told(edge: Edge, said: dict[int, Said]) -> dict[int, Said]:
    """Later words under the time that their record has: another one is kept with the cut, and is no other weighing.

    A scale that named itself late has its own clock's zone from then on.
    """
    later = {one.item.uuid for one in said.values() if one.revision}
    if not later:
        return said
    held = lookups.held(later)
    times = {uuid: found.item.measured_at for uuid, found in held.items() if found.gateway_id == edge.gateway_id}
    first = {}
    for place, one in said.items():
        told = one.item.measured_at
        at = times.setdefault(one.item.uuid, told) if one.item.uuid in later else told
        if one.revision and at != told:
            item = msgspec.structs.replace(one.item, measured_at=at)
            one = msgspec.structs.replace(one, item=item, extras={**one.extras, "measured_at": told.isoformat()})  # noqa: PLW2901
        first[place] = one
    return first


def end_batch(edge: Edge, said: Ended, now: datetime) -> dict[str, Any]:
    """An offline batch is over: the answer to `/offline-batches/ack`, and the payload of `offline_batch_ack`. Raises Invalid."""
    receipt = offline_batches.end(edge, said, _scale(edge, said.device_id), now)
    return {
        "batchId": str(receipt.batch_id),
        "status": receipt.status,
        "receivedAt": receipt.received_at.isoformat(),
        "missing": [str(event) for event in receipt.missing],
    }


def begin_batch(edge: Edge, said: Ended, now: datetime) -> None:
    """An offline batch begins: `offline_batch_start`. Raises Invalid."""
    offline_batches.begin(edge, said.batch_id, _scale(edge, said.device_id), said.started_at, now)


def _scale(edge: Edge, device_id: str) -> Scale:
    scale = edges.scales_of(edge, [device_id]).get(device_id)
    if scale is None:
        raise Invalid(NO_ROOM, "deviceId")
    return scale


def read_event(value: Any, now: datetime) -> Said:
    """EventPayload as what is stored of it. Raises Invalid.

    An event counts for `measuredAt`, else for the scale's time, else (the scale's is none or absurd) for when the edge had it.
    """
    event = read_payload(value, Event)
    check_texts(event.texts())
    uuid = read_uuid(event.local_event_id, "localEventId")
    edge_received_at = read_moment(event.received_at, "receivedAt", now)
    measured_at, notes = _measured_at(event, edge_received_at, now)
    extras = {
        "code": event.code,
        "company": event.company,
        "flags": event.flags,
        "notes": notes,
        "scale_time": event.scale_timestamp,
        "net_exact": event.net_exact,
    }
    net = event.net()
    return Said(
        item=Item(str(uuid), "", net, format(net, "f"), measured_at, station=event.device_id, unit=UNIT),
        uuid=uuid,
        device_id=read_device_id(event.device_id),
        told_session=event.cloud_session_id or "",
        offline=event.offline_mode,
        batch_id=read_uuid(event.offline_batch_id, "offlineBatchId") if event.offline_batch_id else None,
        plu_code=event.plu_code or "",
        product_name=event.product_name or "",
        barcode=event.barcode or "",
        net_grams=event.weight_grams,
        gross_grams=event.gross_grams,
        tare_grams=event.tare_grams,
        operator=event.operator or "",
        extras={name: told for name, told in extras.items() if told},
        edge_received_at=edge_received_at,
        revision=event.revision,
        reason=event.reason or "",
    )


def _measured_at(event: Event, edge_received_at: datetime | None, now: datetime) -> tuple[datetime, list[str]]:
    notes = list(event.notes or ())
    if event.measured_at:
        return read_instant(event.measured_at, "measuredAt", now), notes
    try:
        return read_instant(event.scale_timestamp, "scaleTimestamp", now), notes
    except Invalid:
        if edge_received_at is None:
            raise
        return edge_received_at, notes if CLOCK_SUSPECT in notes else [*notes, CLOCK_SUSPECT]


def _claimed_id(value: Any) -> str:
    """The event's own name for itself, as it came, so that its answer can be told from the others."""
    claimed = value.get("localEventId") if isinstance(value, dict) else None
    return shown(claimed, 64) if isinstance(claimed, str) else ""
