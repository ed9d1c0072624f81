"""Reads of weighings."""

from collections.abc import Iterator
from typing import Any

from django.db.models import Count, QuerySet

from scaleledger_server.weighing.models import WeighingRecord

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
