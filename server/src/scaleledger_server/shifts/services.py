"""Starting, pausing, resuming and ending work sessions: one transaction each, at the server's own time.

Several phones stand around one scale, and each press may be repeated by a thumb or by a network. So a session bears an id
that the phone makes; a step that was taken already is no error; and of two that start at the same moment one wins, and the
other learns who did. Edges and pages are told after the commit.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from scaleledger_server import notices
from scaleledger_server.errors import Refusal
from scaleledger_server.shifts.models import Scale, SessionChange, WorkSession
from scaleledger_server.shifts.queries import ended_body, session_body

Status, Reason = WorkSession.Status, WorkSession.Reason


@dataclass(frozen=True, slots=True)
class Animal:
    """What is worked on: the ear tag, and what is known beside it ("" for what is not)."""

    tag: str
    animal_id: str = ""
    species: str = ""


def start(scale: Scale, animal: Animal, user: Any, now: datetime, session_id: UUID) -> WorkSession:
    """Begin work on an animal at a scale. The same `session_id` again is the same session, as it stands.

    Raises Refusal: `session_under_way` (409) with the words who works there, `session_conflict` (409) for an id that is in
    use for other work.
    """
    try:
        with transaction.atomic():
            return _start(scale, animal, user, now, session_id)
    except IntegrityError:  # somebody else was faster between our looking and our writing
        with transaction.atomic():
            return _start(scale, animal, user, now, session_id)


def _start(scale: Scale, animal: Animal, user: Any, now: datetime, session_id: UUID) -> WorkSession:
    locked = Scale.objects.select_for_update().get(pk=scale.pk)
    known = WorkSession.objects.filter(pk=session_id).select_related("scale__edge", "operator").first()
    if known is not None:
        return _same(known, locked, animal)
    under_way = WorkSession.objects.filter(scale=locked).exclude(status=Status.ENDED).select_related("operator").first()
    if under_way is not None:
        raise Refusal(409, "session_under_way", _who_works(locked, under_way))
    before = WorkSession.objects.filter(scale=locked, ended_at__gt=now).order_by("-ended_at").first()
    at = before.ended_at if before is not None and before.ended_at is not None else now
    session = WorkSession.objects.create(
        session_id=session_id, scale=locked, animal_id=animal.animal_id, animal_tag=animal.tag,
        animal_species=animal.species, operator=user, status=Status.ACTIVE, started_at=at,
    )  # fmt: skip
    _note(session, Status.ACTIVE, at, user)
    _tell(session, "session_started", session_body(session))
    return session


def _same(known: WorkSession, scale: Scale, animal: Animal) -> WorkSession:
    if (known.scale_id, known.animal_tag) == (scale.pk, animal.tag):
        return known
    words = _("This start was used already, for {tag} at {scale}. Open the scale's page again and start there.")
    raise Refusal(409, "session_conflict", words.format(tag=known.animal_tag, scale=known.scale))


def _who_works(scale: Scale, session: WorkSession) -> str:
    words = _("{scale} works on {tag} since {time}. End that session first.")
    if session.operator:
        words = _("{scale} works on {tag} since {time}, started by {name}. End that session first.")
    since = f"{timezone.localtime(session.started_at):%H:%M}"
    return words.format(scale=scale, tag=session.animal_tag, time=since, name=session.operator)


def pause(session_id: UUID, user: Any, now: datetime) -> WorkSession:
    """Cuts belong to no session until it goes on. Raises Refusal `session_unknown` (404), `session_over` (409)."""
    return _step(session_id, Status.PAUSED, "", user, now)


def resume(session_id: UUID, user: Any, now: datetime) -> WorkSession:
    """Go on. Raises what `pause` raises."""
    return _step(session_id, Status.ACTIVE, "", user, now)


def end(session_id: UUID, reason: str, user: Any, now: datetime) -> WorkSession:
    """It is over, `completed`, `cancelled` or by `timeout`; its cuts stay its own. One that is over stays as it ended.

    Raises Refusal `session_unknown` (404).
    """
    assert reason in Reason.values, f"{reason} is no reason to end"
    return _step(session_id, Status.ENDED, reason, user, now)


@transaction.atomic
def _step(session_id: UUID, status: WorkSession.Status, reason: str, user: Any, now: datetime) -> WorkSession:
    session = (
        WorkSession.objects.select_for_update(of=("self",)).select_related("scale__edge").filter(pk=session_id).first()
    )
    if session is None:
        raise Refusal(404, "session_unknown", _("There is no such session. Go back to the scales and look there."))
    if session.status == status:
        return session
    if session.status == Status.ENDED:
        ended = f"{timezone.localtime(session.ended_at):%H:%M}" if session.ended_at else "?"
        words = _("The session on {tag} was ended at {time}. Start a new one.")
        raise Refusal(409, "session_over", words.format(tag=session.animal_tag, time=ended))
    last = session.changes.order_by("at", "pk").last()
    at = max(now, last.at) if last is not None else now
    session.status = status
    if status == Status.ENDED:
        session.ended_at, session.end_reason = at, reason
    session.save(update_fields=["status", "ended_at", "end_reason"])
    _note(session, status, at, user, reason)
    place = {"cloudSessionId": str(session.pk), "deviceId": session.scale.device_id, "at": at.isoformat()}
    if status == Status.ENDED:
        _tell(session, "session_ended", {**place, **ended_body(session)})
    else:
        _tell(session, "session_paused" if status == Status.PAUSED else "session_resumed", place)
    return session


def _note(session: WorkSession, status: WorkSession.Status, at: datetime, user: Any, reason: str = "") -> None:
    SessionChange.objects.create(session=session, at=at, status=status, reason=reason, user=user)


def _tell(session: WorkSession, type_: str, payload: dict[str, Any]) -> None:
    notices.tell_edge(session.scale.edge.gateway_id, type_, payload)
    notices.tell_session(str(session.pk))
