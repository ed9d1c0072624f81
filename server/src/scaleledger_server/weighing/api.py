"""Taking weighings in over HTTP: one, or a batch with an outcome per record; in the ledger's words or the first clients'."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Router

from scaleledger_server.bodies import parsed, read_body, read_fields
from scaleledger_server.devices.identity import Head, check_body_signature, read_head
from scaleledger_server.devices.models import Gateway
from scaleledger_server.devices.queries import admitted
from scaleledger_server.errors import Invalid, Refusal
from scaleledger_server.limits import BATCH_RECORDS_MAX
from scaleledger_server.schemas import operation
from scaleledger_server.weighing import typed
from scaleledger_server.weighing.items import UUID, Item, plain_json, read_item, read_plain_item, stored_json
from scaleledger_server.weighing.services import Outcome, Verdict, ingest

router = Router(tags=["weighing"])
plain_router = Router(tags=["weighing"])


def _signed_body(request: HttpRequest) -> tuple[Gateway, bytes]:
    """Who delivers, and what, once both are proved."""
    gateway = admitted(request)
    body = read_body(request)
    check_body_signature(gateway, request.headers.get("Scaleledger-Signature", ""), body)
    return gateway, body


def _stored(gateway: Gateway, item: Item, now: datetime) -> tuple[int, Item, datetime]:
    """Take one record in: 201 or 200, and the record as it is held since when. Raises Refusal `uuid_conflict`, Invalid."""
    [verdict], _ = ingest(gateway, [item], None, now)
    if verdict.outcome is Outcome.CONFLICT:
        raise Refusal(409, "uuid_conflict", verdict.detail)
    if verdict.outcome is Outcome.INVALID:
        raise Invalid(verdict.detail, "ledger.hash")
    assert verdict.held is not None, "a created or held record is there to show"
    assert verdict.received_at is not None, "and so is its time"
    return (201 if verdict.outcome is Outcome.CREATED else 200), verdict.held, verdict.received_at


@router.post(
    "records/",
    summary="Deliver one weighing",
    operation_id="deliver",
    openapi_extra=operation({201: "stored_record", 200: "stored_record"}, request="weighing_record", signed=True),
)
def deliver(request: HttpRequest) -> HttpResponse:
    """`weighing_record`, bearer, signature. 201 (new) or 200 (held) `stored_record`; 409 `uuid_conflict`; 422."""
    gateway, body = _signed_body(request)
    now = timezone.now()
    status, held, received_at = _stored(gateway, read_item(parsed(body), gateway.mac_address, now), now)
    return HttpResponse(stored_json(held, received_at), status=status, content_type="application/json")


@plain_router.post(
    "records/",
    summary="Deliver one weighing, as the first clients do",
    operation_id="deliver_plain",
    openapi_extra=operation({201: "", 200: ""}, request="plain_record", signed=True),
)
def deliver_plain(request: HttpRequest) -> HttpResponse:
    """`plain_record`, bearer. 201 (new) or 200 (held); 409 `uuid_conflict`; 422; 403 `key_required` where not allowed."""
    gateway, body = _signed_body(request)
    if not settings.PLAIN_CLIENTS:
        raise Refusal(403, "key_required", "This server takes weighings only from gateways that prove a key.")
    now = timezone.now()
    status, held, received_at = _stored(gateway, read_plain_item(parsed(body), now), now)
    return HttpResponse(plain_json(held, received_at), status=status, content_type="application/json")


@router.post(
    "records/batch/",
    summary="Deliver many weighings",
    operation_id="deliver_batch",
    openapi_extra=operation({200: "batch_result"}, request="weighing_batch", signed=True),
)
def deliver_batch(request: HttpRequest) -> HttpResponse:
    """`weighing_batch`, bearer, signature. 200 `batch_result`: an outcome per record, in order, and a receipt.

    422 only for a broken envelope.
    """
    gateway, body = _signed_body(request)
    now = timezone.now()
    items, refused, head = _read_batch(body, gateway.mac_address, now)
    verdicts, receipt = ingest(gateway, [item for item in items if item is not None], head, now)
    answer = {
        "results": _results(items, refused, verdicts),
        "anchor": {"seq": gateway.anchor_seq, "hash": gateway.anchor_hash} if gateway.anchor_seq else None,
        "receipt": receipt,
    }
    return HttpResponse(msgspec.json.encode(answer), content_type="application/json")


Refused = dict[int, dict[str, Any]]


def _read_batch(body: bytes, mac_address: str, now: datetime) -> tuple[Sequence[Item | None], Refused, Head]:
    """The items, None where one is refused; the refusals by place; the head. Raises Refusal for a broken envelope."""
    quick = typed.read_batch(body, mac_address, now)
    if quick is not None and None not in quick.items:
        return quick.items, {}, quick.head
    fields = read_fields(parsed(body), ("records", "head"))
    values = fields["records"]
    if not isinstance(values, list) or not 1 <= len(values) <= BATCH_RECORDS_MAX:
        raise Invalid(f"records must be a list of 1 to {BATCH_RECORDS_MAX}.", "records")
    head = read_head(fields["head"])
    items: list[Item | None] = list(quick.items) if quick is not None else [None] * len(values)
    refused: Refused = {}
    for place, item in enumerate(items):
        if item is None:
            try:
                items[place] = read_item(values[place], mac_address, now)
            except Invalid as refusal:
                said = {"uuid": _claimed_uuid(values[place]), "outcome": Outcome.INVALID, "detail": refusal.detail}
                refused[place] = said
    return items, refused, head


def _results(items: Sequence[Item | None], refused: Refused, verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    judged = iter(verdicts)
    results: list[dict[str, Any]] = []
    for place, item in enumerate(items):
        if item is None:
            results.append(refused[place])
            continue
        verdict = next(judged)
        result = {"uuid": item.uuid, "outcome": verdict.outcome}
        results.append({**result, "detail": verdict.detail} if verdict.detail else result)
    return results


def _claimed_uuid(value: Any) -> str | None:
    """The uuid of a record that was refused, if it has one that can be named back."""
    uuid = value.get("uuid") if isinstance(value, dict) else None
    return uuid if isinstance(uuid, str) and UUID.fullmatch(uuid) else None
