"""Reads of stored records for those who judge them: ingest, the chain check, evidence."""

from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from scaleledger_server.devices.models import Gateway
from scaleledger_server.weighing.items import Item
from scaleledger_server.weighing.models import RecordKey, WeighingRecord

ITEM_COLUMNS = (
    "uuid", "rfid_uid", "weight_text", "measured_at", "seq", "payload", "hash", "station", "unit", "kind", "refers_to",
)  # fmt: skip


class Held(NamedTuple):
    """A stored record, whose it is, and since when."""

    gateway_id: int
    item: Item
    received_at: datetime


class Link(NamedTuple):
    """What a stored record has to do with its neighbours."""

    payload: str
    hash: str


def item_of(row: Sequence[Any]) -> Item:
    """A row of ITEM_COLUMNS as the item it was."""
    uuid, rfid_uid, weight_text, *others = row
    return Item(uuid, rfid_uid, Decimal(weight_text), weight_text, *others)


def places(uuids: Collection[str]) -> dict[str, tuple[int, datetime]]:
    """(row, received_at) of the records with these uuids, of any gateway: by both, a row is found in its month."""
    if not uuids:
        return {}
    keys = RecordKey.objects.filter(uuid__in=[UUID(uuid) for uuid in uuids])
    return {str(uuid): (row, at) for uuid, row, at in keys.values_list("uuid", "record_id", "received_at")}


def held(uuids: Collection[str]) -> dict[str, Held]:
    """Stored records by uuid, of any gateway."""
    found = places(uuids).values()
    if not found:
        return {}
    rows = WeighingRecord.objects.filter(
        id__in=[row for row, _ in found], received_at__in={received_at for _, received_at in found}
    ).values_list("gateway_id", "received_at", *ITEM_COLUMNS)
    return {row[2]: Held(row[0], item_of(row[2:]), row[1]) for row in rows}


def links(gateway: Gateway, seqs: Collection[int]) -> dict[int, Link]:
    """What is held under these numbers."""
    rows = WeighingRecord.objects.filter(gateway=gateway, seq__in=seqs).values_list("seq", "payload", "hash")
    return {seq: Link(payload, digest) for seq, payload, digest in rows if seq is not None}
