"""A work session: whose animal lies on which scale, and from when to when.

The cloud owns sessions; the gateway only remembers what it was told. An event belongs to the session that was active at
the event's own time, so a session is kept as the changes it went through, never as a bare present state.
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
class WorkSession:
    """One session on one device, with its changes in order of time (never empty)."""

    session_id: str
    device_id: str
    changes: tuple[SessionChange, ...]
    animal_id: str = ""
    animal_tag: str = ""
    animal_species: str = ""
    operator_id: str = ""

    @property
    def status(self) -> SessionStatus:
        """How it stands after the last change."""
        return self.changes[-1].status

    def status_at(self, at: datetime) -> SessionStatus | None:
        """How it stood at a time; None before its first change."""
        stood = [change.status for change in self.changes if change.at <= at]
        return stood[-1] if stood else None
