"""Taking records in, idempotently, and judging how they fit the gateway's ledger.

A batch costs one transaction and the same few statements, however long it is; no object per row. The answer, and the
receipt in it, is given only after COMMIT. A record whose predecessor is not here yet (batches may overtake each other) is
stored with its link unproved; the link is proved when the predecessor comes, and by chain_check always.
"""

import hashlib
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import Any, NamedTuple

from django.db import transaction

from scaleledger_server import notices
from scaleledger_server.bodies import parse
from scaleledger_server.devices.identity import Head
from scaleledger_server.devices.models import Gateway, HeadAlarm
from scaleledger_server.devices.services import alarm_head, keep_alarm, raise_anchor
from scaleledger_server.market.services import note_uses
from scaleledger_server.weighing import lookups, partitions, progress, receipts
from scaleledger_server.weighing.inserts import AlreadyThere, append, insert, keep_head
from scaleledger_server.weighing.items import Item, offered_text
from scaleledger_server.weighing.models import IngestConflict

log = logging.getLogger(__name__)

LONG_AGO = datetime.min.replace(tzinfo=UTC)
APPENDED_MIN = 8  # below that a statement of its own costs less than two


class Outcome(StrEnum):
    """What became of one record; the words are the contract's."""

    CREATED = "created"
    HELD = "held"
    CONFLICT = "conflict"
    INVALID = "invalid"


class Verdict(NamedTuple):
    """The outcome of one item. `held` and `received_at` tell the record as stored, when it is (or was) stored."""

    outcome: Outcome
    detail: str = ""
    held: Item | None = None
    received_at: datetime | None = None


class Ingested(NamedTuple):
    """One verdict per item, in order, and the receipt that may be given now (see `receipts.made`)."""

    verdicts: list[Verdict]
    receipt: dict[str, Any] | None


def ingest(gateway: Gateway, items: Sequence[Item], head: Head | None, now: datetime) -> Ingested:
    """Store what is new; all that is returned is true once this has returned: the transaction is committed.

    A repeated record is held; other content under a known uuid or number is a conflict, kept as IngestConflict and never
    written over; a hash that does not follow from the record before it is invalid. A head raises the gateway's anchor.
    """
    partitions.ensure(now)
    try:
        return _ingest(gateway, items, head, now, hopefully=len(items) >= APPENDED_MIN)
    except AlreadyThere:
        return _ingest(gateway, items, head, now, hopefully=False)


def _ingest(gateway: Gateway, items: Sequence[Item], head: Head | None, now: datetime, *, hopefully: bool) -> Ingested:
    """`hopefully`: add what goes straight on without asking first; AlreadyThere if that was wrong, and nothing is kept."""
    with transaction.atomic(durable=True):
        state = progress.lock(gateway)
        judged = progress.judge(gateway, state, items) if items else progress.Judged()
        if hopefully and judged.straight:
            created = append(gateway.pk, items, now)
        else:
            created = insert(gateway.pk, [item for item in items if item.uuid not in judged.broken], now)
        progress.move_on(state, judged, items, created)
        for item in judged.before_others:
            if item.uuid in created:
                _keep(gateway, item, IngestConflict.Kind.SUCCESSOR, now)
        newest = {item.station: item for item in items if item.uuid in created}
        _tell(gateway, newest)
        _note_cards(items, created, now)
        verdicts = _verdicts(gateway, items, created, judged, now)
        if head is not None:
            _take_head(gateway, items, head, now)
        receipt = receipts.made(gateway, state.held_seq, state.held_hash, now)
        absorbed = sum(verdict.outcome is Outcome.HELD for verdict in verdicts) if len(created) < len(items) else 0
        progress.note(state, absorbed, newest, receipt, now)
    return Ingested(verdicts, receipt)


def _verdicts(
    gateway: Gateway, items: Sequence[Item], created: set[str], judged: progress.Judged, now: datetime
) -> list[Verdict]:
    if len(created) == len(items):
        return [Verdict(Outcome.CREATED, "", item, now) for item in items]
    left = set(created)
    held = lookups.held([item.uuid for item in items if item.uuid not in created])
    verdicts = []
    for item in items:
        if item.uuid in left:
            left.discard(item.uuid)
            held[item.uuid] = lookups.Held(gateway.pk, item, now)  # for a second copy further on in the batch
            verdicts.append(Verdict(Outcome.CREATED, "", item, now))
        else:
            verdicts.append(_settle(gateway, item, held.get(item.uuid), item.uuid in judged.broken, now))
    return verdicts


def _settle(gateway: Gateway, item: Item, held: lookups.Held | None, broken: bool, now: datetime) -> Verdict:  # noqa: FBT001
    """The verdict on an item that was not added."""
    if held is not None and held.gateway_id == gateway.pk and item.same_content(held.item):
        return Verdict(Outcome.HELD, "", held.item, held.received_at)
    if broken:
        _keep(gateway, item, IngestConflict.Kind.CHAIN, now)
        return Verdict(Outcome.INVALID, "hash does not follow")
    if held is not None:
        _keep(gateway, item, IngestConflict.Kind.UUID, now)
        return Verdict(Outcome.CONFLICT, "This uuid is held with other content.")
    _keep(gateway, item, IngestConflict.Kind.SEQ, now)
    return Verdict(Outcome.CONFLICT, f"The number {item.seq} is held by another record.")


def _keep(gateway: Gateway, item: Item, kind: IngestConflict.Kind, now: datetime) -> None:
    content = offered_text(item)
    digest = hashlib.sha256(content.encode()).hexdigest()
    key = {"gateway": gateway, "kind": kind, "digest": digest}
    keep_alarm(IngestConflict, key, {"uuid": item.uuid, "seq": item.seq, "content": content}, now)
    log.warning("gateway %s: record %s (%s): %s", gateway.mac_address, item.uuid, item.seq, kind.label)


def _take_head(gateway: Gateway, items: Sequence[Item], head: Head, now: datetime) -> None:
    """Raise the anchor and keep the head as evidence, unless it contradicts a record that came with it."""
    for item in items:
        if item.seq == head.seq and item.hash != head.hash:
            alarm_head(gateway, head, HeadAlarm.Kind.CONFLICT, item.hash, now)
            return
    if raise_anchor(gateway, head, now) and gateway.public_key:
        keep_head(gateway.pk, head, now)


def _tell(gateway: Gateway, newest: dict[str, Item]) -> None:
    """Show the pages that watch the newest record of each station; they are told after the commit."""
    if newest:
        records = [shown(item) for item in newest.values()]
        notices.tell_viewers(gateway.pk, {"type": "weighings", "records": records})


def _note_cards(items: Sequence[Item], created: set[str], now: datetime) -> None:
    """Let the market know, after the commit, which cards were used and when; a time ahead of ours is not believed."""
    uses: dict[str, datetime] = {}
    for item in items:
        if item.rfid_uid and item.uuid in created and item.measured_at > uses.get(item.rfid_uid, LONG_AGO):
            uses[item.rfid_uid] = min(item.measured_at, now)
    if uses:
        transaction.on_commit(partial(note_uses, uses), robust=True)


def shown(item: Item) -> dict[str, Any]:
    """A record as pages show it, with the names that its card stood for when it was presented."""
    details = parse(item.payload).get("details") if item.payload else None
    names = details if isinstance(details, dict) else {}
    return {
        "uuid": item.uuid,
        "seq": item.seq,
        "station": item.station,
        "weight_text": item.weight_text,
        "unit": item.unit,
        "rfid_uid": item.rfid_uid,
        "producer": str(names.get("producer", "")),
        "species": str(names.get("species", "")),
        "measured_at": item.measured_at.isoformat(),
    }
