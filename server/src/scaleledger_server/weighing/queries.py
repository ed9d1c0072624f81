"""Reads of weighings, for pages, lists and commands. Each costs a fixed number of statements, however much it shows."""

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

from django.db.models import Count, Q, QuerySet

from scaleledger_server.weighing.evidence import Effective, Evidence, effective, evidence
from scaleledger_server.weighing.items import UUID as UUID_TEXT
from scaleledger_server.weighing.lookups import places
from scaleledger_server.weighing.models import Amendment, LedgerState, WeighingRecord
from scaleledger_server.weighing.reconciliation import Reconciliation, reconcile

__all__ = [
    "UUID_TEXT",
    "Effective",
    "Evidence",
    "Reconciliation",
    "by_uuid",
    "counts",
    "each",
    "effective",
    "evidence",
    "last_sale_ready",
    "newest",
    "reconcile",
    "search",
]


def search(
    *,
    text: str = "",
    gateway_id: int | None = None,
    station: str = "",
    measured_from: datetime | None = None,
    measured_to: datetime | None = None,
    suspect: bool | None = None,
    voided: bool | None = None,
) -> QuerySet[WeighingRecord]:
    """Records by what people ask for, unordered; `text` is a card, a whole uuid or a ledger number. `measured_to` is
    left out of the range.
    """
    rows = WeighingRecord.objects.select_related("gateway")
    stated: dict[str, Any] = {
        "gateway_id": gateway_id,
        "station": station or None,
        "measured_at__gte": measured_from,
        "measured_at__lt": measured_to,
        "time_suspect": suspect,
    }
    rows = rows.filter(**{name: value for name, value in stated.items() if value is not None})
    if voided is not None:
        voids = Amendment.objects.filter(kind=Amendment.Kind.VOID).values("record_uuid")
        rows = rows.filter(uuid__in=voids) if voided else rows.exclude(uuid__in=voids)
    return rows.filter(_named(text.strip())) if text.strip() else rows


def _named(text: str) -> Q:
    wanted = Q(rfid_uid=text)
    if UUID_TEXT.fullmatch(text.lower()):
        place = places([text.lower()]).get(text.lower())
        return Q(id=place[0], received_at=place[1]) if place else wanted
    if text.isascii() and text.isdigit() and len(text) <= 15:
        return wanted | Q(seq=int(text))
    return wanted


def last_sale_ready(gateway_ids: Collection[int]) -> dict[tuple[int, str], WeighingRecord]:
    """The newest record of each (gateway, station), as ingest noted it: three statements for all of them."""
    latest = {
        uuid: (gateway_id, station)
        for gateway_id, stations in LedgerState.objects.filter(gateway_id__in=gateway_ids).values_list(
            "gateway_id", "latest"
        )
        for station, (_, uuid) in stations.items()
    }
    return {latest[record.uuid]: record for record in by_uuid(latest)}


def by_uuid(uuids: Collection[str]) -> list[WeighingRecord]:
    """The records with these uuids, in no order; two statements."""
    found = places(uuids).values()
    if not found:
        return []
    rows = WeighingRecord.objects.select_related("gateway")
    return list(rows.filter(id__in=[row for row, _ in found], received_at__in={at for _, at in found}))


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
