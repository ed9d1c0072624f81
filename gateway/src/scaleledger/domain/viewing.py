"""What people look at: records with their state of delivery, and rows of small tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scaleledger.domain.ledger import Entry

Row = Mapping[str, Any]
"""A row by column name; times are texts as stored."""


@dataclass(frozen=True, slots=True)
class Event:
    """A record as it lies in the ledger. `payload` is its parsed content, empty when damaged; `state` is of its delivery."""

    entry: Entry
    payload: Mapping[str, Any]
    state: str

    @property
    def seq(self) -> int:
        return self.entry.seq

    @property
    def uuid(self) -> str:
        return self.entry.uuid

    @property
    def kind(self) -> str:
        """What it states: a weighing, a void or a correction; "damaged" when the content cannot be read."""
        return str(self.payload.get("kind", "damaged"))

    @property
    def refers_to(self) -> str:
        """The uuid of the record that this one states anew; "" for a weighing."""
        return str(self.payload.get("refers_to", ""))

    @property
    def details(self) -> Mapping[str, Any]:
        """What the way of capturing added."""
        found = self.payload.get("details")
        return found if isinstance(found, dict) else {}

    @property
    def raw(self) -> bytes:
        """The bytes as they came from the device."""
        try:
            return bytes.fromhex(str(self.payload.get("raw", "")))
        except ValueError:
            return b""


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which records are looked for; an empty text is no condition. `before` is the number to look below, 0 for the newest."""

    device: str = ""
    session: str = ""
    state: str = ""
    before: int = 0
    limit: int = 50


@dataclass(frozen=True, slots=True)
class EventPage:
    """Some records, newest first. `next_before`: go on below this number; None at the end of the ledger."""

    events: tuple[Event, ...]
    next_before: int | None
