"""Reads about work sessions and scales: for the people who operate them, and in the words of contracts/carnitrack.md."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Prefetch, QuerySet

from scaleledger_server.devices.models import Gateway
from scaleledger_server.shifts.models import Edge, OfferedSpecies, Scale, SessionChange, WorkSession

SCALES_SHOWN_MAX = 500
TAGS_OFFERED = 12
SPECIES_OFFERED_MAX = 30
TAGS_LOOKED_AT = 200
ENDED_TOLD = timedelta(hours=24)
ENDED_TOLD_MAX = 1_000


def session(session_id: UUID) -> WorkSession | None:
    """A session with its scale, edge, operator."""
    return WorkSession.objects.select_related("scale__edge__site", "operator").filter(pk=session_id).first()


def scale(scale_id: int) -> Scale | None:
    """A scale of an edge that is in use."""
    return _scales().filter(pk=scale_id).first()


def _scales() -> QuerySet[Scale]:
    return Scale.objects.filter(edge__gateway__status=Gateway.Status.ACTIVE).select_related("edge__site")


def _going(sessions: QuerySet[WorkSession]) -> QuerySet[WorkSession]:
    """Those that are not over, said as the index of them says it: however many are over, none of them is looked at."""
    return sessions.exclude(status=WorkSession.Status.ENDED)


def under_way(scales: Iterable[Scale]) -> dict[int, WorkSession]:
    """The session that is not over, by scale."""
    found = _going(WorkSession.objects.filter(scale__in=list(scales))).select_related("operator")
    return {one.scale_id: one for one in found}


def standing(scale: Scale, now: datetime) -> str:
    """How a scale stands: what its edge said last, or "silent" when the edge has not been heard for LATE_S."""
    seen = scale.edge.last_seen_at
    if seen is None or (now - seen).total_seconds() > settings.LATE_S:
        return "silent"
    return scale.status


def scales_shown(now: datetime) -> list[dict[str, Any]]:
    """Every scale in use as the people's page shows it, by site and name; bounded."""
    listed = list(_scales().order_by("edge__site__site_id", "device_id", "pk")[:SCALES_SHOWN_MAX])
    working = under_way(listed)
    return [scale_shown(one, working.get(one.pk), now) for one in listed]


def scale_shown(scale: Scale, working: WorkSession | None, now: datetime) -> dict[str, Any]:
    """One scale and the work on it."""
    site = scale.edge.site
    return {
        "id": scale.pk,
        "device_id": scale.device_id,
        "name": str(scale),
        "site": str(site) if site is not None else "",
        "standing": standing(scale, now),
        "seen_at": _text(scale.seen_at),
        "session": session_shown(working) if working is not None else None,
    }


def session_shown(session: WorkSession) -> dict[str, Any]:
    """A session as the people's page shows it."""
    return {
        "id": str(session.pk),
        "scale": session.scale_id,
        "animal_tag": session.animal_tag,
        "animal_id": session.animal_id,
        "species": session.animal_species,
        "operator": str(session.operator) if session.operator else "",
        "status": session.status,
        "started_at": session.started_at.isoformat(),
        "ended_at": _text(session.ended_at),
        "end_reason": session.end_reason,
    }


def species() -> list[str]:
    """The kinds of animals that are offered; none when the plant has not said its own."""
    return list(OfferedSpecies.objects.values_list("name", flat=True)[:SPECIES_OFFERED_MAX])


def recent_animals() -> list[dict[str, str]]:
    """The ear tags of the newest sessions, each once, with the species said then."""
    newest = WorkSession.objects.order_by("-started_at").values_list("animal_tag", "animal_species")[:TAGS_LOOKED_AT]
    found: dict[str, str] = {}
    for tag, species in newest:
        found.setdefault(tag, species)
    return [{"tag": tag, "species": species} for tag, species in list(found.items())[:TAGS_OFFERED]]


def sessions_body(edge: Edge, device_ids: Collection[str] | None, now: datetime) -> dict[str, Any]:
    """`sessions` and `ended` as the contract tells them, of these devices (None: of all); four statements.

    One that ended is told whole: it may have begun and ended while the edge was away.
    """
    mine = WorkSession.objects.filter(scale__edge=edge)
    if device_ids is not None:
        mine = mine.filter(scale__device_id__in=list(device_ids))
    mine = mine.select_related("scale", "operator")
    changes = Prefetch("changes", SessionChange.objects.order_by("at", "pk"))
    going = _going(mine).order_by("started_at", "pk").prefetch_related(changes)
    over = mine.filter(ended_at__gt=now - ENDED_TOLD).order_by("-ended_at", "pk").prefetch_related(changes)
    ended = [{**session_body(one), **ended_body(one)} for one in over[:ENDED_TOLD_MAX]]
    return {"sessions": [session_body(one) for one in going], "ended": ended}


def session_body(session: WorkSession) -> dict[str, Any]:
    """The contract's session payload."""
    return {
        "cloudSessionId": str(session.pk),
        "deviceId": session.scale.device_id,
        "animalId": session.animal_id or None,
        "animalTag": session.animal_tag or None,
        "animalSpecies": session.animal_species or None,
        "operatorId": str(session.operator) if session.operator else None,
        "status": session.status,
        "startedAt": session.started_at.isoformat(),
        "changes": [_change(one) for one in session.changes.all()],
    }


def _change(change: SessionChange) -> dict[str, Any]:
    told = {"at": change.at.isoformat(), "status": change.status}
    return {**told, "reason": change.reason} if change.reason else told


def ended_body(session: WorkSession) -> dict[str, Any]:
    """What the contract says of an end."""
    return {"endedAt": _text(session.ended_at), "reason": session.end_reason}


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None
