"""A work session: whose animal lies on which scale, and from when to when.

The cloud owns sessions; the gateway only remembers what it was told. An event belongs to the session that was active at
the event's own time, so a session is kept as the changes it went through, never as a bare present state.

Rules. Only an active session owns events: a pending one has not begun, a paused one rests. A change counts from its own
instant on (`at` belongs to what follows). Where two sessions of one device are active at one time, which no cloud should
say, the one that began later owns the event. After an end nothing follows but a new beginning.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class SessionStatus(StrEnum):
    """How a session stands after a change."""

    PENDING = "pending"
    ACTIVE = "active"
    PAUSED = "paused"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class SessionChange:
    """From `at` (aware, UTC) on the session stands so. `reason` is the cloud's word for an end."""

    at: datetime
    status: SessionStatus
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """Times from `since` on, before `until`; None: without end."""

    since: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class WorkSession:
    """One session on one device, with its changes in order of time (never empty).

    `dated` is False where the cloud said only how the session stands, and not since when: its one change then bears the
    time at which it was told, which is no news of a session that is known already.
    """

    session_id: str
    device_id: str
    changes: tuple[SessionChange, ...]
    animal_id: str = ""
    animal_tag: str = ""
    animal_species: str = ""
    operator_id: str = ""
    dated: bool = True

    @property
    def status(self) -> SessionStatus:
        """How it stands after the last change."""
        return self.changes[-1].status

    @property
    def started_at(self) -> datetime:
        """When it became active first; its first change, if it never did."""
        return next((c.at for c in self.changes if c.status is SessionStatus.ACTIVE), self.changes[0].at)

    @property
    def ended_at(self) -> datetime | None:
        """When it ended, if it has."""
        last = self.changes[-1]
        return last.at if last.status is SessionStatus.ENDED else None

    def status_at(self, at: datetime) -> SessionStatus | None:
        """How it stood at a time; None before its first change."""
        stood: SessionStatus | None = None
        for change in self.changes:
            if change.at > at:
                break
            stood = change.status
        return stood

    def spans(self) -> tuple[Span, ...]:
        """The times in which it was active, in order."""
        found: list[Span] = []
        since: datetime | None = None
        for change in self.changes:
            if change.status is SessionStatus.ACTIVE:
                since = since or change.at
            elif since is not None:
                if change.at > since:
                    found.append(Span(since, change.at))
                since = None
        return (*found, Span(since)) if since is not None else tuple(found)


DETAIL_KEYS = ("session", "animal_id", "animal_tag", "animal_species", "operator_id")
"""What a record's details say of the session that it belongs to."""


def session_details(session: WorkSession | None) -> dict[str, str]:
    """What a record says of its session; what is empty is left out."""
    if session is None:
        return {}
    texts = (session.session_id, session.animal_id, session.animal_tag, session.animal_species, session.operator_id)
    return {key: text for key, text in zip(DETAIL_KEYS, texts, strict=True) if text}
