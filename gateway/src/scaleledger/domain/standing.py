"""What a gateway and its centre say of each other: who it is, how it stands there, and a sign of life."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from scaleledger.domain.weighing import Head


class Standing(StrEnum):
    """How the centre regards a gateway. PENDING also covers one that was put out of use there."""

    NOT_REGISTERED = "not-registered"
    PENDING = "pending"
    ACTIVE = "active"


@dataclass(frozen=True, slots=True)
class Status:
    """The centre's answer about a gateway; an ACTIVE one's `token` is empty when the centre hands it out only once."""

    standing: Standing
    token: str = ""


@dataclass(frozen=True, slots=True)
class Introduction:
    """What a gateway registers with. `public_key` is hex, empty for a centre that knows no keys."""

    mac_address: str
    hostname: str
    ip_address: str
    name: str
    public_key: str = ""


@dataclass(frozen=True, slots=True)
class SignOfLife:
    """The books as they stand, sent with a heartbeat. Times are aware."""

    version: str
    sent_at: datetime
    queued: int = 0
    quarantined: int = 0
    oldest_queued_at: datetime | None = None
    head: Head | None = None
