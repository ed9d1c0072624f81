"""Cuts that belong to no session: what was weighed without contact, before a session was told, or with none at all.

Read here, in spans: cuts of one scale that followed each other without a long pause are most likely one animal's.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from django.db.models import Count, F, Q, QuerySet, Sum

from scaleledger_server.shifts.models import Scale, WorkSession
from scaleledger_server.weighing.models import Cut, OfflineBatch

LOOKED_AT_MAX = 5_000
SHOWN_MAX = 500
BATCHES_SHOWN_MAX = 100
SESSIONS_OFFERED = 30
PAUSE = timedelta(minutes=30)
NEAR = timedelta(days=1)


class Span(NamedTuple):
    """Cuts of one scale without a session, from the first to the last, with no long pause between two of them."""

    scale: Scale
    first_at: datetime
    last_at: datetime
    cuts: int
    grams: int
    offline: int


def spans() -> list[Span]:
    """The newest LOOKED_AT_MAX cuts without a session, gathered; newest span first."""
    columns = ("scale_id", "measured_at", "net_grams", "offline")
    newest = Cut.objects.filter(session__isnull=True).order_by("-measured_at").values_list(*columns)[:LOOKED_AT_MAX]
    by_scale: dict[int, list[tuple[datetime, int, bool]]] = {}
    for scale_id, measured_at, grams, offline in newest:
        by_scale.setdefault(scale_id, []).append((measured_at, grams, offline))
    scales = Scale.objects.select_related("edge__site", "edge__gateway").in_bulk(by_scale)
    found = [span for scale_id, rows in by_scale.items() for span in _gathered(scales[scale_id], rows)]
    return sorted(found, key=lambda span: span.last_at, reverse=True)


def _gathered(scale: Scale, rows: Iterable[tuple[datetime, int, bool]]) -> list[Span]:
    """`rows` are newest first."""
    found: list[Span] = []
    for measured_at, grams, offline in rows:
        last = found[-1] if found else None
        if last is None or last.first_at - measured_at > PAUSE:
            found.append(Span(scale, measured_at, measured_at, 1, grams, int(offline)))
        else:
            more = last.cuts + 1, last.grams + grams, last.offline + offline
            found[-1] = Span(scale, measured_at, last.last_at, *more)
    return found


def within(scale: Scale, first_at: datetime, last_at: datetime) -> QuerySet[Cut]:
    """Cuts of this scale without a session from one moment to another, both in it."""
    return Cut.objects.filter(scale=scale, session__isnull=True, measured_at__gte=first_at, measured_at__lte=last_at)


def sessions_near(scale: Scale, first_at: datetime, last_at: datetime) -> list[WorkSession]:
    """Sessions of this scale that were under way within a day of these moments; the latest first."""
    mine = WorkSession.objects.filter(scale=scale, started_at__lte=last_at + NEAR).select_related("operator")
    mine = mine.filter(Q(ended_at__isnull=True) | Q(ended_at__gte=first_at - NEAR))
    return list(mine.order_by("-started_at")[:SESSIONS_OFFERED])


class BatchState(NamedTuple):
    """An offline batch, what of it is here, and how much of that belongs to no session."""

    batch: OfflineBatch
    received: int
    grams: int
    orphans: int

    @property
    def differs(self) -> bool:
        """Whether the edge counted otherwise than what is here."""
        told = self.batch.event_count, self.batch.total_grams
        return any(stated not in (None, here) for stated, here in zip(told, (self.received, self.grams), strict=True))


def batches_open() -> list[BatchState]:
    """The newest offline batches that are not complete, or of which cuts belong to no session, or whose counts differ."""
    rows = OfflineBatch.objects.select_related("scale__edge__site").annotate(
        received=Count("cuts"),
        grams=Sum("cuts__net_grams", default=0),
        orphans=Count("cuts", filter=Q(cuts__session__isnull=True)),
    )
    unsettled = Q(completed_at__isnull=True) | Q(orphans__gt=0) | ~Q(received=F("event_count"))
    newest = rows.filter(unsettled).order_by("-first_seen_at")[:BATCHES_SHOWN_MAX]
    return [BatchState(row, row.received, row.grams, row.orphans) for row in newest]


def chosen(scale: Scale, first_at: datetime, last_at: datetime) -> list[UUID]:
    """All cuts of a span by their ids, as `cuts.assign` takes them."""
    return list(within(scale, first_at, last_at).order_by("measured_at").values_list("record_uuid", flat=True))
