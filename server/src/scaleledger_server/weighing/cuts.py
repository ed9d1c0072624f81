"""The only writer of cuts: what an edge's events say beside their weights, and to which session each belongs.

The record is stored first, by ingest, and its cut in a transaction after it; an event that comes again after a crash in
between finds its record held and no cut, and makes it. A later word on an event moves its cut and leaves the record alone.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from django.db import connection, transaction
from django.db.models import Count, Sum

from scaleledger_server import notices
from scaleledger_server.errors import Refusal
from scaleledger_server.shifts import edges
from scaleledger_server.shifts.models import Edge, Scale, WorkSession
from scaleledger_server.weighing import offline_batches
from scaleledger_server.weighing.items import Item
from scaleledger_server.weighing.models import Cut, CutChange

ASSIGNED_MAX = 5_000
COLUMNS = (
    "record_uuid", "scale_id", "session_id", "told_session", "batch_id", "offline", "plu_code", "product_name", "barcode",
    "net_grams", "gross_grams", "tare_grams", "operator", "extras", "measured_at", "edge_received_at", "received_at",
    "revision",
)  # fmt: skip
MOVED = ("scale_id", "session_id", "told_session", "extras", "revision")
_ADD = f"INSERT INTO weighing_cut ({', '.join(COLUMNS)}) VALUES ({', '.join(['%s'] * len(COLUMNS))}) ON CONFLICT DO NOTHING"  # noqa: S608 - our own names
_MOVE = f"UPDATE weighing_cut SET {', '.join(f'{name} = %s' for name in MOVED)} WHERE record_uuid = %s"  # noqa: S608


class Said(msgspec.Struct, frozen=True, gc=False):
    """One event as an edge tells it: the record that it is, and the cut. Grams are whole; None and "" where it says nothing.

    `revision` 0 is the event itself; a higher one is a later word on it, for `reason`.
    """

    item: Item
    uuid: UUID
    device_id: str
    told_session: str
    offline: bool
    batch_id: UUID | None
    plu_code: str
    product_name: str
    barcode: str
    net_grams: int
    gross_grams: int | None
    tare_grams: int | None
    operator: str
    extras: dict[str, Any]
    edge_received_at: datetime | None
    revision: int
    reason: str


class Standing(NamedTuple):
    """What is held of a cut that may move."""

    scale_id: int
    session_id: UUID | None
    revision: int


class Change(NamedTuple):
    """A cut that moves, from where to where."""

    uuid: UUID
    before: UUID | None
    after: UUID | None
    reason: str


def keep(edge: Edge, said: Sequence[Said], scales: Mapping[str, Scale], now: datetime) -> list[bool]:
    """Store the cuts of records that are held; for each whether it said something new. All is committed on return.

    `scales` holds the scale of each device that is named. An event that is known with the same or a higher revision changes
    nothing. The session that is told is linked if it is one of that scale; else it is kept as told, and linked when it appears.
    Costs the same few statements for one event as for 500, and a few more where events move or came from offline batches.
    """
    if not said:
        return []
    with transaction.atomic(durable=True):
        _alone(edge.pk)
        standing = _standing(said)
        sessions = _sessions(said)
        batches = offline_batches.of_events(
            edge, [(one.batch_id, scales[one.device_id]) for one in said if one.batch_id is not None], now
        )
        rows: list[tuple[Said, UUID | None]] = []
        moving: dict[UUID, tuple[Said, Standing, UUID | None]] = {}
        new: list[bool] = []
        for one in said:
            scale = scales[one.device_id]
            session = _session_at(sessions, one.told_session, scale.pk)
            held = standing.get(one.uuid)
            new.append(held is None or one.revision > held.revision)
            if held is None:
                rows.append((one, session))
            elif one.revision > held.revision:
                first = moving[one.uuid][1] if one.uuid in moving else held
                moving[one.uuid] = (one, first, session)
            else:
                continue
            standing[one.uuid] = Standing(scale.pk, session, one.revision)
        _add(rows, scales, batches, now)
        _count(rows, scales, now)
        touched = _move(moving, scales, now)
        touched |= {session for _, session in rows if session is not None}
        notices.tell_cuts([str(session) for session in touched])
    return new


def _alone(edge_id: UUID) -> None:
    """One at a time attributes an edge's cuts: none judges what another is changing. Belongs into a transaction."""
    Edge.objects.select_for_update().get(pk=edge_id)


def _standing(said: Sequence[Said]) -> dict[UUID, Standing]:
    held = Cut.objects.filter(record_uuid__in={one.uuid for one in said})
    return {row[0]: Standing(*row[1:]) for row in held.values_list("record_uuid", "scale_id", "session_id", "revision")}


def _sessions(said: Sequence[Said]) -> dict[str, tuple[UUID, int]]:
    """(session, scale) by what was told of it, for those that are known."""
    told = {one.told_session: session_uuid(one.told_session) for one in said if one.told_session}
    wanted = {uuid for uuid in told.values() if uuid is not None}
    if not wanted:
        return {}
    found = dict(WorkSession.objects.filter(pk__in=wanted).values_list("pk", "scale_id"))
    return {text: (uuid, found[uuid]) for text, uuid in told.items() if uuid in found}


def _session_at(sessions: Mapping[str, tuple[UUID, int]], told: str, scale_id: int) -> UUID | None:
    session, at = sessions.get(told, (None, 0))
    return session if at == scale_id else None


def session_uuid(told: str) -> UUID | None:
    """The session's id, if what was told can be one."""
    try:
        return UUID(told) if len(told) == 36 else None  # as a uuid is printed
    except ValueError:
        return None


def _add(
    rows: Sequence[tuple[Said, UUID | None]],
    scales: Mapping[str, Scale],
    batches: Collection[UUID],
    now: datetime,
) -> None:
    if not rows:
        return
    moment = connection.ops.adapt_datetimefield_value
    received_at = moment(now)
    values = [
        (
            _uuid(one.uuid), scales[one.device_id].pk, _uuid(session), one.told_session,
            _uuid(one.batch_id if one.batch_id in batches else None), one.offline, one.plu_code, one.product_name,
            one.barcode, one.net_grams, one.gross_grams, one.tare_grams, one.operator, _json(one.extras),
            moment(one.item.measured_at), moment(one.edge_received_at) if one.edge_received_at else None, received_at,
            one.revision,
        )
        for one, session in rows
    ]  # fmt: skip
    with connection.cursor() as cursor:
        cursor.executemany(_ADD, values)


def _count(rows: Sequence[tuple[Said, UUID | None]], scales: Mapping[str, Scale], now: datetime) -> None:
    fresh: dict[Scale, tuple[int, datetime]] = {}
    for one, _ in rows:
        scale, at = scales[one.device_id], one.item.measured_at
        count, last_at = fresh.get(scale, (0, at))
        fresh[scale] = count + 1, max(last_at, at)
    edges.note_events(fresh, now)


def _move(
    moving: Mapping[UUID, tuple[Said, Standing, UUID | None]], scales: Mapping[str, Scale], now: datetime
) -> set[UUID]:
    """Later words of the edge. What a person decided before stands; it is only noted that the edge says otherwise."""
    if not moving:
        return set()
    decided = set(CutChange.objects.filter(cut__in=moving, user__isnull=False).values_list("cut_id", flat=True))
    changes, values = [], []
    for uuid, (one, held, told) in moving.items():
        session = held.session_id if uuid in decided else told
        scale_id = held.scale_id if uuid in decided else scales[one.device_id].pk
        reason = one.reason or "a later word of the edge"
        if scale_id != held.scale_id:
            reason += f" (at {one.device_id})"
        if session != told:
            reason += f" (says {one.told_session or 'none'}; what a person decided stays)"
        changes.append(Change(uuid, held.session_id, session, reason))
        values.append((scale_id, _uuid(session), one.told_session, _json(one.extras), one.revision, _uuid(uuid)))
    with connection.cursor() as cursor:
        cursor.executemany(_MOVE, values)
    return _note(changes, None, now)


def _note(changes: Iterable[Change], user: Any, now: datetime) -> set[UUID]:
    """Keep who moved what; returns the sessions that are another than before."""
    listed = list(changes)
    CutChange.objects.bulk_create(
        CutChange(
            cut_id=change.uuid,
            session_before=str(change.before or ""),
            session_after=str(change.after or ""),
            reason=change.reason[:200],
            user=user,
            at=now,
        )
        for change in listed
    )
    return {session for change in listed for session in (change.before, change.after) if session is not None}


def _uuid(value: UUID | None) -> Any:
    if value is None:
        return None
    return value if connection.features.has_native_uuid_field else value.hex


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def link_told(session: WorkSession, now: datetime) -> int:
    """A session appeared: cuts of its scale that were told to belong to it do so now. Returns how many."""
    with transaction.atomic():
        waiting = Cut.objects.select_for_update().filter(
            told_session=str(session.pk), session__isnull=True, scale_id=session.scale_id
        )
        return _assign(
            list(waiting.values_list("record_uuid", flat=True)), session, "its session became known", None, now
        )


@transaction.atomic
def assign(cuts: Collection[UUID], session: WorkSession, reason: str, user: Any, now: datetime) -> int:
    """A person says that these cuts, which belong to no session, belong to this one. Returns how many did not before.

    All are of the session's scale, or none is assigned. Raises Refusal `cut_unknown` (404), `cut_elsewhere` (409).
    """
    if len(cuts) > ASSIGNED_MAX:
        raise Refusal(422, "invalid", f"Choose at most {ASSIGNED_MAX} cuts at a time.")
    _alone(session.scale.edge_id)
    found = Cut.objects.select_for_update().filter(record_uuid__in=cuts)
    rows = list(found.values_list("record_uuid", "scale_id", "session_id"))
    if len(rows) < len(set(cuts)):
        raise Refusal(404, "cut_unknown", "Some of these cuts are not held here. Look at the list again.")
    if any(scale_id != session.scale_id for _, scale_id, _ in rows):
        raise Refusal(409, "cut_elsewhere", "Some of these cuts were made on another scale than the session's.")
    if any(session_id not in (None, session.pk) for *_, session_id in rows):
        raise Refusal(409, "cut_elsewhere", "Somebody assigned some of these cuts meanwhile. Look at the list again.")
    moved = _assign([uuid for uuid, _, session_id in rows if session_id is None], session, reason, user, now)
    offline_batches.note_resolved(cuts, user, now)
    return moved


def _assign(uuids: Sequence[UUID], session: WorkSession, reason: str, user: Any, now: datetime) -> int:
    if not uuids:
        return 0
    Cut.objects.filter(record_uuid__in=uuids).update(session=session)
    _note([Change(uuid, None, session.pk, reason) for uuid in uuids], user, now)
    notices.tell_cuts([str(session.pk)])
    return len(uuids)


class Total(NamedTuple):
    """How many cuts, and their net weight in whole grams."""

    cuts: int
    grams: int


def totals(sessions: Collection[UUID]) -> dict[UUID, Total]:
    """What was cut in each of these sessions, exact; one statement. Voids by a person are not taken off: see the records."""
    found = Cut.objects.filter(session__in=sessions).order_by().values("session_id")
    rows = found.annotate(cuts=Count("pk"), grams=Sum("net_grams"))
    counted = {row["session_id"]: Total(row["cuts"], int(row["grams"])) for row in rows}
    return {session: counted.get(session, Total(0, 0)) for session in sessions}
