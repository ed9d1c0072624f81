"""The only writer of weighings: taking records in, idempotently, and judging how they fit the gateway's ledger.

A batch costs one INSERT and a few reads, however long it is; no object per row. The answer is given only after COMMIT.
A record whose predecessor is not here yet (batches may overtake each other) is stored with its link unproved; the link
is proved when the predecessor comes, and by chain_check always.
"""

import hashlib
import logging
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

from django.db import connection, transaction

from scaleledger_server.devices.identity import Head
from scaleledger_server.devices.models import Gateway, HeadAlarm
from scaleledger_server.devices.services import alarm_head, keep_alarm, raise_anchor
from scaleledger_server.weighing import queries
from scaleledger_server.weighing.items import GENESIS, Item, link, offered_text
from scaleledger_server.weighing.models import IngestConflict, WeighingRecord

log = logging.getLogger(__name__)

COLUMNS = (
    "uuid", "gateway_id", "seq", "rfid_uid", "weight", "weight_text", "unit", "station", "measured_at", "received_at",
    "payload", "hash", "kind", "refers_to",
)  # fmt: skip


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


def ingest(gateway: Gateway, items: Sequence[Item], head: Head | None, now: datetime) -> list[Verdict]:
    """Store what is new; one verdict per item, in order, true once this has returned: the transaction is committed.

    A repeated record is held; other content under a known uuid or number is a conflict, kept as IngestConflict and never
    written over; a hash that does not follow from the record before it is invalid. A head raises the gateway's anchor.
    """
    with transaction.atomic(durable=True):
        verdicts = _take_in(gateway, items, now) if items else []
        if head is not None:
            _take_head(gateway, items, head, now)
    return verdicts


def _take_in(gateway: Gateway, items: Sequence[Item], now: datetime) -> list[Verdict]:
    broken = _broken_links(gateway, items, now)
    created = _insert(gateway, [item for item in items if item.uuid not in broken], now)
    rest = [item.uuid for item in items if item.uuid not in created] if len(created) < len(items) else []
    held = queries.held(rest)
    verdicts = []
    for item in items:
        if item.uuid in created:
            created.discard(item.uuid)
            held[item.uuid] = queries.Held(gateway.pk, item, now)  # for a second copy further on in the batch
            verdicts.append(Verdict(Outcome.CREATED, "", item, now))
        else:
            verdicts.append(_settle(gateway, item, held.get(item.uuid), item.uuid in broken, now))
    return verdicts


def _broken_links(gateway: Gateway, items: Sequence[Item], now: datetime) -> set[str]:
    """The uuids of items whose hash does not follow from the record before, held or offered together with them."""
    numbered = sorted((item for item in items if item.seq is not None), key=lambda item: item.seq or 0)
    if not numbered:
        return set()
    wanted = {item.seq + step for item in numbered if item.seq is not None for step in (-1, 1)}
    known = {0: GENESIS, **queries.hashes(gateway, wanted)}
    offered: dict[int, str] = {}
    broken: set[str] = set()
    for item in numbered:
        assert item.seq is not None, "only numbered items are looked at"
        prev_hash = known.get(item.seq - 1) or offered.get(item.seq - 1)
        if prev_hash is not None and not item.follows(prev_hash):
            broken.add(item.uuid)
            continue
        offered.setdefault(item.seq, item.hash)
        if item.seq + 1 in known and item.seq not in known:
            _check_successor(gateway, item, now)
    return broken


def _check_successor(gateway: Gateway, item: Item, now: datetime) -> None:
    """The record after this one came first; now its link can be proved. Both stay: a person finds out which is wrong."""
    after = (
        WeighingRecord.objects.filter(gateway=gateway, seq=(item.seq or 0) + 1).values_list("payload", "hash").first()
    )
    if after is not None and link(item.hash, after[0]) != after[1]:
        _keep(gateway, item, IngestConflict.Kind.SUCCESSOR, now)


def _insert(gateway: Gateway, items: Sequence[Item], now: datetime) -> set[str]:
    """Add what collides with nothing; returns the uuids that were added."""
    if not items:
        return set()
    moment = connection.ops.adapt_datetimefield_value
    received_at = moment(now)
    values: list[Any] = []
    for item in items:
        values += (
            item.uuid, gateway.pk, item.seq, item.rfid_uid, format(item.weight, "f"), item.weight_text, item.unit,
            item.station, moment(item.measured_at), received_at, item.payload, item.hash, item.kind, item.refers_to,
        )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_insert_statement(len(items)), values)
        return {row[0] for row in cursor.fetchall()}


@lru_cache(maxsize=16)
def _insert_statement(rows: int) -> str:
    row = f"({', '.join(['%s'] * len(COLUMNS))})"
    table = WeighingRecord._meta.db_table  # noqa: SLF001 - Django's public name for it
    return (
        f"INSERT INTO {table} ({', '.join(COLUMNS)}) VALUES {', '.join([row] * rows)} "  # noqa: S608 - names of our own
        "ON CONFLICT DO NOTHING RETURNING uuid"
    )


def _settle(gateway: Gateway, item: Item, held: queries.Held | None, broken: bool, now: datetime) -> Verdict:  # noqa: FBT001
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
    """Raise the anchor, unless the head contradicts a record that came with it."""
    for item in items:
        if item.seq == head.seq and item.hash != head.hash:
            alarm_head(gateway, head, HeadAlarm.Kind.CONFLICT, item.hash, now)
            return
    raise_anchor(gateway, head, now)
