"""A weighing: first a draft that a station decided on, then a record that the ledger holds.

The draft carries everything needed to rebuild the weighing later: the text as printed, the raw frame, how stability was
found, and the times (wall clock as UTC with the site's offset, monotonic, boot id). The record adds what only the ledger
can give: number, link and hash.
"""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from scaleledger.domain.reading import Role


class Kind(StrEnum):
    """What a record states. A void or a correction is a new record that names the old one; nothing is rewritten."""

    WEIGHING = "weighing"
    VOID = "void"
    CORRECTION = "correction"


@dataclass(frozen=True, slots=True)
class Draft:
    """A weighing that may be committed.

    `weight` with its `unit` is exact as printed; `evidence` holds how the weight became trustworthy (mode, frames,
    span); `details` holds what the way of capturing adds (cylinder number, product). `measured_at` is aware, UTC.
    """

    uuid: str
    station: str
    driver: str
    mode: str
    weight: Decimal
    unit: str
    measured_at: datetime
    card: str = ""
    role: Role | None = None
    raw: bytes = b""
    monotonic_s: float = 0.0
    boot_id: str = ""
    utc_offset_min: int = 0
    evidence: tuple[tuple[str, str], ...] = ()
    details: tuple[tuple[str, str], ...] = ()
    kind: Kind = Kind.WEIGHING
    refers_to: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """A committed weighing. `payload` is the canonical text the hash was taken over; `hash` is hex."""

    seq: int
    uuid: str
    card: str
    weight: Decimal
    unit: str
    station: str
    measured_at: datetime
    payload: str
    hash: str
    prev_hash: str


@dataclass(frozen=True, slots=True)
class Head:
    """The newest record's number and hash, signed with the gateway's key (`signature` is hex)."""

    seq: int
    hash: str
    signature: str


@dataclass(frozen=True, slots=True)
class LastCapture:
    """What a station captured last; enough to recognise the same load after a restart.

    `told` is False when the gateway may have died between the commit and telling the operator.
    """

    uuid: str
    weight: Decimal
    unit: str
    card: str
    measured_at: datetime
    told: bool = True


@dataclass(frozen=True, slots=True)
class Counts:
    """The store's books: held = sent + queued + quarantined."""

    held: int = 0
    sent: int = 0
    queued: int = 0
    quarantined: int = 0
    oldest_queued_at: datetime | None = None
    by_station: dict[str, int] = field(default_factory=dict)
