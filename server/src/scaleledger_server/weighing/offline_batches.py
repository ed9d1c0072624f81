"""The only writer of offline batches: what a scale weighed while its edge had no contact, and what became of it.

An edge's counts are its own words and are kept as such; what is here is counted from the cuts. So a batch that says more
than it brought shows it, whoever miscounted.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Q

from scaleledger_server.errors import Invalid
from scaleledger_server.shifts.models import Edge, Scale
from scaleledger_server.weighing.models import Cut, OfflineBatch

EVENT_IDS_MAX = 10_000
ASKED_AT_ONCE = 500
RECEIVED, ALREADY_RECEIVED = "received", "already_received"


@dataclass(frozen=True, slots=True)
class Ended:
    """A batch as its edge tells it when it is over; None where it does not say."""

    batch_id: UUID
    device_id: str
    started_at: datetime | None
    ended_at: datetime | None
    event_count: int | None
    total_grams: int | None
    event_ids: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to a batch: since when it is received, and which of its events are not held here."""

    batch_id: UUID
    status: str
    received_at: datetime
    missing: tuple[UUID, ...]


def of_events(edge: Edge, named: Sequence[tuple[UUID, Scale]], now: datetime) -> set[UUID]:
    """The batches that events name, made where they are new; one that another edge has is left out.

    A batch is its first event's scale's; an event of another scale in it stays its own scale's. Belongs into a transaction.
    """
    if not named:
        return set()
    first: dict[UUID, Scale] = {}
    for batch_id, scale in named:
        first.setdefault(batch_id, scale)
    missing = first.keys() - _mine(edge, first)
    if missing:
        rows = [
            OfflineBatch(batch_id=batch_id, scale=first[batch_id], first_seen_at=now) for batch_id in sorted(missing)
        ]
        OfflineBatch.objects.bulk_create(rows, ignore_conflicts=True)
    return _mine(edge, first) if missing else set(first)


def _mine(edge: Edge, batch_ids: Collection[UUID]) -> set[UUID]:
    found = OfflineBatch.objects.filter(pk__in=batch_ids, scale__edge=edge)
    return set(found.values_list("pk", flat=True))


def begin(edge: Edge, batch_id: UUID, scale: Scale, started_at: datetime | None, now: datetime) -> None:
    """A batch begins; what is known of it already stays. Raises Invalid for a batch of another edge."""
    with transaction.atomic():
        batch = _locked(edge, batch_id, scale, now)
        if batch.started_at is None and started_at is not None:
            batch.started_at = started_at
            batch.save(update_fields=["started_at"])


def end(edge: Edge, said: Ended, scale: Scale, now: datetime) -> Receipt:
    """A batch is over and all of it was sent. It is complete, once and for all, when no event of it is missing.

    Without a list of events it is complete when as many are here as its edge counted. Raises Invalid for a batch of
    another edge.
    """
    with transaction.atomic():
        batch = _locked(edge, said.batch_id, scale, now)
        missing = _missing(edge, said.event_ids)
        if batch.completed_at is not None:
            return Receipt(batch.pk, ALREADY_RECEIVED, batch.completed_at, missing)
        batch.started_at = said.started_at or batch.started_at
        batch.ended_at = said.ended_at or batch.ended_at
        batch.event_count = batch.event_count if said.event_count is None else said.event_count
        batch.total_grams = batch.total_grams if said.total_grams is None else said.total_grams
        if _is_whole(batch, said, missing):
            batch.completed_at = now
        batch.save()
        return Receipt(batch.pk, RECEIVED, now, missing)


def _is_whole(batch: OfflineBatch, said: Ended, missing: tuple[UUID, ...]) -> bool:
    if said.event_ids:
        return not missing
    return batch.event_count is not None and Cut.objects.filter(batch=batch).count() >= batch.event_count


def _locked(edge: Edge, batch_id: UUID, scale: Scale, now: datetime) -> OfflineBatch:
    OfflineBatch.objects.bulk_create(
        [OfflineBatch(batch_id=batch_id, scale=scale, first_seen_at=now)], ignore_conflicts=True
    )
    batch = OfflineBatch.objects.select_for_update(of=("self",)).select_related("scale").get(pk=batch_id)
    if batch.scale.edge_id != edge.pk:
        raise Invalid("This batch is another edge's.", "batchId")
    return batch


def _missing(edge: Edge, event_ids: Sequence[UUID]) -> tuple[UUID, ...]:
    """Of these events those that this edge has not delivered, in their order."""
    held: set[UUID] = set()
    for at in range(0, len(event_ids), ASKED_AT_ONCE):
        some = event_ids[at : at + ASKED_AT_ONCE]
        held |= set(Cut.objects.filter(record_uuid__in=some, scale__edge=edge).values_list("record_uuid", flat=True))
    return tuple(event for event in event_ids if event not in held)


def note_resolved(cuts: Collection[UUID], user: Any, now: datetime) -> None:
    """Cuts were assigned by a person: batches of theirs in which none is left without a session are resolved."""
    touched = OfflineBatch.objects.filter(cuts__in=cuts, resolved_at__isnull=True).values("pk")
    left = OfflineBatch.objects.filter(pk__in=list(touched.distinct().values_list("pk", flat=True))).annotate(
        orphans=Count("cuts", filter=Q(cuts__session__isnull=True))
    )
    whole = [batch.pk for batch in left if not batch.orphans]
    OfflineBatch.objects.filter(pk__in=whole).update(resolved_at=now, resolved_by=user)
