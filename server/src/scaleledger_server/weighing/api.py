"""Taking weighings in over HTTP: one, or a batch with an outcome per record."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from ninja import Router

from scaleledger_server.bodies import read_fields, read_json
from scaleledger_server.devices.identity import read_head
from scaleledger_server.devices.queries import by_authorization
from scaleledger_server.errors import Invalid, Refusal
from scaleledger_server.limits import BATCH_RECORDS_MAX
from scaleledger_server.weighing.items import UUID, Item, read_item, stored_json
from scaleledger_server.weighing.services import Outcome, ingest

router = Router(tags=["weighing"])


@router.post("records/", summary="Deliver one weighing", operation_id="deliver")
def deliver(request: HttpRequest) -> HttpResponse:
    """`weighing_record`, bearer. 201 (new) or 200 (held) `stored_record`; 409 `uuid_conflict`; 422."""
    gateway = by_authorization(request.headers.get("Authorization", ""))
    now = timezone.now()
    item = read_item(read_json(request), gateway.mac_address, now)
    [verdict] = ingest(gateway, [item], None, now)
    if verdict.outcome is Outcome.CONFLICT:
        raise Refusal(409, "uuid_conflict", verdict.detail)
    if verdict.outcome is Outcome.INVALID:
        raise Invalid(verdict.detail, "ledger.hash")
    assert verdict.held is not None, "a created or held record is there to show"
    assert verdict.received_at is not None, "and so is its time"
    created = verdict.outcome is Outcome.CREATED
    body = stored_json(verdict.held, verdict.received_at)
    return HttpResponse(body, status=201 if created else 200, content_type="application/json")


@router.post("records/batch/", summary="Deliver many weighings", operation_id="deliver_batch")
def deliver_batch(request: HttpRequest) -> HttpResponse:
    """`weighing_batch`, bearer. 200 `batch_result`: an outcome per record, in order. 422 only for a broken envelope."""
    gateway = by_authorization(request.headers.get("Authorization", ""))
    now = timezone.now()
    fields = read_fields(read_json(request), ("records", "head"))
    values = fields["records"]
    if not isinstance(values, list) or not 1 <= len(values) <= BATCH_RECORDS_MAX:
        raise Invalid(f"records must be a list of 1 to {BATCH_RECORDS_MAX}.", "records")
    head = read_head(fields["head"])

    results: list[dict[str, Any]] = []
    items: list[Item] = []
    places: list[int] = []
    for place, value in enumerate(values):
        try:
            items.append(read_item(value, gateway.mac_address, now))
            places.append(place)
            results.append({"uuid": items[-1].uuid})
        except Invalid as refusal:
            results.append({"uuid": _claimed_uuid(value), "outcome": Outcome.INVALID, "detail": refusal.detail})
    for place, verdict in zip(places, ingest(gateway, items, head, now), strict=True):
        results[place]["outcome"] = verdict.outcome
        if verdict.detail:
            results[place]["detail"] = verdict.detail
    anchor = {"seq": gateway.anchor_seq, "hash": gateway.anchor_hash} if gateway.anchor_seq else None
    return JsonResponse({"results": results, "anchor": anchor})


def _claimed_uuid(value: Any) -> str | None:
    """The uuid of a record that was refused, if it has one that can be named back."""
    uuid = value.get("uuid") if isinstance(value, dict) else None
    return uuid if isinstance(uuid, str) and UUID.fullmatch(uuid) else None
