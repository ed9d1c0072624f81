"""Voids and corrections: later words on a record, chained and signed, so that none is altered or lost unnoticed either.

The record itself stays what the gateway measured. The newest amendment of a record tells how it should be read.
"""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import connection, transaction

from scaleledger_server import notices
from scaleledger_server.bodies import read_match, read_text
from scaleledger_server.errors import Invalid, Refusal
from scaleledger_server.signing import signed
from scaleledger_server.weighing import lookups
from scaleledger_server.weighing.items import GENESIS, PRINTED_WEIGHT, link
from scaleledger_server.weighing.models import Amendment

LOCK = 0x5CA1E002
REASON_CHARS_MAX = 500


def void(record_uuid: str, user: AbstractBaseUser, reason: str, now: datetime) -> Amendment:
    """The record counts no more. Raises Refusal `not_found`; Invalid for a reason that is none, or a record void already."""
    return _amend(record_uuid, Amendment.Kind.VOID, {}, user, reason, now)


def correct(
    record_uuid: str, user: AbstractBaseUser, reason: str, now: datetime, *, weight_text: str, unit: str, rfid_uid: str
) -> Amendment:
    """The record should read so; all three values as they are to stand. Raises as `void` does, and Invalid for a value."""
    values = {
        "weight_text": read_match(weight_text, "weight_text", PRINTED_WEIGHT, "plain digits such as 152.50"),
        "unit": read_text(unit, "unit", 8),
        "rfid_uid": read_text(rfid_uid, "rfid_uid", 50),
    }
    return _amend(record_uuid, Amendment.Kind.CORRECTION, values, user, reason, now)


def message(number: int, digest: str) -> str:
    """What the server signs."""
    return f"scaleledger-amendment-v1\n{number}\n{digest}"


@transaction.atomic
def _amend(
    record_uuid: str, kind: Amendment.Kind, values: dict[str, str], user: AbstractBaseUser, reason: str, now: datetime
) -> Amendment:
    why = read_text(reason.strip(), "reason", REASON_CHARS_MAX, 1)
    _take_turn()
    held = lookups.held([record_uuid]).get(record_uuid)
    if held is None:
        raise Refusal(404, "not_found", f"No record {record_uuid} is held.")
    rows = Amendment.objects.order_by("-number")
    before = rows.filter(record_uuid=record_uuid).first()
    if before is not None and before.kind == Amendment.Kind.VOID:
        raise Invalid("This record is void already; nothing can be added to it.", "kind")
    last = rows.values_list("number", "hash").first() or (0, GENESIS)
    gateway_id, item, _ = held
    amendment = Amendment(
        number=last[0] + 1,
        kind=kind,
        record_uuid=record_uuid,
        gateway_id=gateway_id,
        reason=why,
        user_id=user.pk,
        made_at=now,
        prev_hash=last[1],
        **values,
    )
    amendment.text = text_of(amendment, item.hash, user.get_username())
    amendment.hash = link(amendment.prev_hash, amendment.text)
    amendment.signature = signed(message(amendment.number, amendment.hash))
    Amendment.objects.bulk_create([amendment])
    notices.tell_viewers(gateway_id, {"type": "weighings"})
    return amendment


def _take_turn() -> None:
    """One at a time, for the chain's sake; on SQLite only one transaction writes anyway."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])


def stated(amendment: Amendment) -> dict[str, Any]:
    """The columns as the text must tell them."""
    return {
        "card": amendment.rfid_uid,
        "gateway": amendment.gateway_id,
        "kind": amendment.kind,
        "made_at": amendment.made_at.astimezone(UTC).isoformat(timespec="microseconds"),
        "number": amendment.number,
        "reason": amendment.reason,
        "record": amendment.record_uuid,
        "unit": amendment.unit,
        "user": amendment.user_id,
        "v": 1,
        "weight": amendment.weight_text,
    }


def text_of(amendment: Amendment, record_hash: str, user_name: str) -> str:
    """Canonical JSON: what was said of which record (and its hash, "" without a ledger), by whom, when and why."""
    fields = {**stated(amendment), "record_hash": record_hash, "user_name": user_name}
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def wrong(amendment: Amendment, number: int, prev_hash: str) -> str:
    """Why this is not the amendment `number` after the one with `prev_hash`; "" when it is."""
    if amendment.number != number:
        return "is missing"
    digest = hashlib.sha256(bytes.fromhex(prev_hash) + amendment.text.encode()).hexdigest()
    if amendment.prev_hash != prev_hash or amendment.hash != digest:
        return "hash does not follow from its text and the amendment before it"
    if amendment.signature != signed(message(amendment.number, amendment.hash)):  # Ed25519 signs alike each time
        return "is not signed with this server's key"
    said = json.loads(amendment.text)
    altered = next((name for name, value in stated(amendment).items() if said.get(name) != value), "")
    return f"{altered} was altered: it is not what the text says" if altered else ""
