"""Reads of weighings."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from django.db.models import Count, QuerySet

from scaleledger_server.devices.models import Gateway
from scaleledger_server.weighing.items import Item
from scaleledger_server.weighing.models import WeighingRecord

ITEM_COLUMNS = (
    "uuid", "rfid_uid", "weight_text", "measured_at", "seq", "payload", "hash", "station", "unit", "kind", "refers_to",
)  # fmt: skip


class Held(NamedTuple):
    """A stored record, whose it is, and since when."""

    gateway_id: int
    item: Item
    received_at: datetime


def item_of(row: Sequence[Any]) -> Item:
    """A row of ITEM_COLUMNS as the item it was."""
    uuid, rfid_uid, weight_text, *others = row
    return Item(uuid, rfid_uid, Decimal(weight_text), weight_text, *others)


def held(uuids: Collection[str]) -> dict[str, Held]:
    """Stored records by uuid, of any gateway."""
    if not uuids:
        return {}
    rows = WeighingRecord.objects.filter(uuid__in=uuids).values_list("gateway_id", "received_at", *ITEM_COLUMNS)
    return {row[2]: Held(row[0], item_of(row[2:]), row[1]) for row in rows}


def hashes(gateway: Gateway, seqs: Collection[int]) -> dict[int, str]:
    """The hashes held under these numbers."""
    rows = WeighingRecord.objects.filter(gateway=gateway, seq__in=seqs).values_list("seq", "hash")
    return {seq: digest for seq, digest in rows if seq is not None}


def newest(limit: int) -> QuerySet[WeighingRecord]:
    """The records that came last, newest first."""
    return WeighingRecord.objects.select_related("gateway").order_by("-id").defer("payload")[:limit]


def counts() -> dict[str, Any]:
    """The server's books: total, per gateway (MAC address), per station, and rows that tell a weighing twice."""
    rows = WeighingRecord.objects.all()
    by_seq = rows.filter(seq__isnull=False).values("gateway_id", "seq").distinct().count()
    by_uuid = rows.values("uuid").distinct().count()
    total = rows.count()
    twice = max(total - by_uuid, rows.filter(seq__isnull=False).count() - by_seq)
    return {
        "total": total,
        "gateways": dict(rows.values_list("gateway__mac_address").annotate(Count("id")).order_by()),
        "stations": dict(rows.values_list("station").annotate(Count("id")).order_by()),
        "duplicates": twice,
    }


def each() -> Iterator[dict[str, Any]]:
    """Every record in the order of arrival, as little as a comparison needs."""
    rows = WeighingRecord.objects.order_by("id").values("uuid", "station", "seq", "gateway__mac_address")
    for row in rows.iterator():
        yield {
            "uuid": row["uuid"],
            "station": row["station"],
            "seq": row["seq"],
            "gateway": row["gateway__mac_address"],
        }
