"""Work that nobody started on a phone: a session written down afterwards, over when it is made."""

from datetime import datetime
from typing import Any

from django.db import transaction

from scaleledger_server.errors import Invalid
from scaleledger_server.shifts.models import Scale, SessionChange, WorkSession


@transaction.atomic
def add_past_session(
    scale: Scale, animal_tag: str, species: str, span: tuple[datetime, datetime], user: Any
) -> WorkSession:
    """A completed session on this scale over `span`, both ends in it. It may overlap others: cuts name their session.

    Raises Invalid for a span that ends before it begins.
    """
    started_at, ended_at = span
    if ended_at < started_at:
        raise Invalid("The session ends before it begins.", "ended_at")
    session = WorkSession.objects.create(
        scale=scale,
        animal_tag=animal_tag,
        animal_species=species,
        operator=user,
        status=WorkSession.Status.ENDED,
        started_at=started_at,
        ended_at=ended_at,
        end_reason=WorkSession.Reason.COMPLETED,
    )
    for at, status in ((started_at, WorkSession.Status.ACTIVE), (ended_at, WorkSession.Status.ENDED)):
        reason = session.end_reason if status == WorkSession.Status.ENDED else ""
        SessionChange.objects.create(session=session, at=at, status=status, reason=reason, user=user)
    return session
