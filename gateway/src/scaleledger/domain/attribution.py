"""A later word on whose event it was: a new record beside the first one, which stays as it is.

The newest word counts. It restates the first one and says why it was said; made twice of the same newest word, it is the
same record, so that an interrupted work is simply begun again.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from scaleledger.domain.ledger import time_text
from scaleledger.domain.session import DETAIL_KEYS, WorkSession, session_details
from scaleledger.domain.weighing import Draft, Kind

LATE_SESSION, SESSION_CHANGED = "late-session", "session-changed"
FIRST_SEQ = "first_seq"
"""In a correction's details: the number of the record that it refers to, where it is known."""

_OF_A_WORD = {*DETAIL_KEYS, "reason", "corrected_at"}


@dataclass(frozen=True, slots=True)
class EventWord:
    """The newest word on an event. `uuid` names the event: it is the first record's, whose number is `first_seq` (0: unknown).

    `payload` is what the newest record says.
    """

    uuid: str
    first_seq: int
    seq: int
    payload: Mapping[str, Any]

    @property
    def measured_at(self) -> datetime:
        """The time the event counts for; aware."""
        return datetime.fromisoformat(self.payload["measured_at"])

    @property
    def details(self) -> dict[str, str]:
        """What the newest word says beside the weight."""
        return dict(self.payload["details"])


@dataclass(frozen=True, slots=True)
class Speaker:
    """Where and when a correction is made: `at` aware, `monotonic_s` and `boot_id` as of every record."""

    at: datetime
    monotonic_s: float
    boot_id: str


def correction(event: EventWord, session: WorkSession | None, speaker: Speaker) -> Draft | None:
    """The record that gives an event to this session, or to none; None when its newest word says so already."""
    details = event.details
    said = {key: details[key] for key in DETAIL_KEYS if details.get(key)}
    wanted = session_details(session)
    if said == wanted:
        return None
    stated = {key: text for key, text in details.items() if key not in _OF_A_WORD} | wanted
    stated["reason"] = SESSION_CHANGED if said.get("session") else LATE_SESSION
    stated["corrected_at"] = time_text(speaker.at)
    if event.first_seq:
        stated[FIRST_SEQ] = str(event.first_seq)
    newest = event.payload
    return Draft(
        uuid=_next_uuid(event.uuid, newest["uuid"], wanted),
        station=newest["station"],
        driver=newest["driver"],
        mode=newest["mode"],
        weight=Decimal(newest["weight"]),
        unit=newest["unit"],
        measured_at=event.measured_at,
        card=newest["card"],
        monotonic_s=speaker.monotonic_s,
        boot_id=speaker.boot_id,
        utc_offset_min=newest["utc_offset_min"],
        details=tuple(stated.items()),
        kind=Kind.CORRECTION,
        refers_to=event.uuid,
    )


def _next_uuid(first: str, newest: str, wanted: Mapping[str, str]) -> str:
    """Version 8: the event's own time, then SHA-256 over the word that is corrected and what is said instead."""
    seed = "\0".join([newest, *(f"{key}={text}" for key, text in sorted(wanted.items()))])
    digest = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:10], "big")
    high = UUID(first).int >> 80 << 16 | 0x8000 | digest >> 62 & 0xFFF
    return str(UUID(int=high << 64 | 0b10 << 62 | digest & (1 << 62) - 1))
