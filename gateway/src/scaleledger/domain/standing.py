"""What a gateway and its centre say of each other: who it is, how it stands there, and a sign of life.

Two texts are read by people on both sides: the key's fingerprint, which an administrator compares, and the claim code,
which somebody types; its alphabet leaves out what is mistaken for something else.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from scaleledger.domain.errors import ClaimMistyped
from scaleledger.domain.weighing import Head

CLAIM_CHARACTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CLAIM_LENGTH = 20
CLOCK_EXCHANGE_MAX_S = 2.0  # a slower exchange says too little of when the other side read its clock
_MISTAKEN = str.maketrans("OIL", "011")


class Standing(StrEnum):
    """How the centre regards a gateway. PENDING also covers one that was put out of use there."""

    NOT_REGISTERED = "not-registered"
    PENDING = "pending"
    ACTIVE = "active"


@dataclass(frozen=True, slots=True)
class Status:
    """The centre's answer about a gateway; an ACTIVE one's `token` is empty when the centre hands it out only once.

    `token_expires_at` is None for a token without an end; `server_key` (hex) is what receipts are signed with, "" for a
    centre that gives none.
    """

    standing: Standing
    token: str = ""
    token_expires_at: datetime | None = None
    server_key: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim code taken apart: its public first group, and the secret rest (without dashes)."""

    id: str
    secret: str


def claim_of(code: str) -> Claim:
    """The claim in a code as somebody typed it: any case, with or without dashes, O for 0, I and L for 1.

    Raises ClaimMistyped with the first thing that is wrong.
    """
    typed = re.sub(r"[-\s]", "", code).upper().translate(_MISTAKEN)
    for place, character in enumerate(typed, start=1):
        if character not in CLAIM_CHARACTERS:
            raise ClaimMistyped(
                f"character {place} of the claim code is {character!a}, which is in no claim code. Type it as it is shown "
                "at the centre, like K7Q2-ABCD-EFGH-JKMN-PQRS."
            )
    if len(typed) != CLAIM_LENGTH:
        raise ClaimMistyped(
            f"a claim code has {CLAIM_LENGTH} characters in five groups, and this one has {len(typed)}. Type it as it is "
            "shown at the centre, like K7Q2-ABCD-EFGH-JKMN-PQRS."
        )
    return Claim(typed[:4], typed[4:])


def fingerprint(public_key: str) -> str:
    """What both screens show of a public key (64 hex digits): the first 16 hex digits of its SHA-256, in groups of four.

    Empty for no key. Source: contracts/README.md, "Proving a key".
    """
    if not public_key:
        return ""
    digest = hashlib.sha256(bytes.fromhex(public_key)).hexdigest()
    return " ".join(digest[at : at + 4] for at in range(0, 16, 4))


@dataclass(frozen=True, slots=True)
class Introduction:
    """What a gateway registers with. `public_key` is hex, empty for a centre that knows no keys."""

    mac_address: str
    hostname: str
    ip_address: str
    name: str
    public_key: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The centre holds every record from 1 to `upto_seq`, and that one has `hash` (hex); with 0 and zeros, none.

    `at` is the centre's time as it wrote it, since `signature` (hex) covers that text.
    """

    upto_seq: int
    hash: str
    at: str
    signature: str


@dataclass(frozen=True, slots=True)
class HostReport:
    """The machine under the gateway."""

    python: str
    platform: str
    uptime_s: int
    disk_free_bytes: int
    disk_total_bytes: int


@dataclass(frozen=True, slots=True)
class StationReport:
    """One station as the centre should see it. `source` is "file" or "centre", `link` "up", "down" or "opening"."""

    name: str
    source: str
    driver: str
    port: str
    link: str
    state: str
    detail: str = ""
    saved: int = 0
    problems: int = 0


@dataclass(frozen=True, slots=True)
class StationRefused:
    """A station that the centre assigned and that cannot be run here, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Alive:
    """The centre's answer to a sign of life; empty for a centre that says nothing more than yes.

    `server_time` is aware. `stations_version` and `market_version` name what the centre holds now, "" if it does not say.
    """

    anchor: Head | None = None
    receipt: Receipt | None = None
    server_time: datetime | None = None
    stations_version: str = ""
    market_version: str = ""


@dataclass(frozen=True, slots=True)
class SignOfLife:
    """The books as they stand, sent with a heartbeat. Times are aware.

    `clock_offset_ms` is how far the centre's clock is ahead of ours, None while unknown; `receipt_seq` the last number that
    a receipt covers.
    """

    version: str
    sent_at: datetime
    queued: int = 0
    quarantined: int = 0
    oldest_queued_at: datetime | None = None
    head: Head | None = None
    host: HostReport | None = None
    clock_offset_ms: int | None = None
    receipt_seq: int = 0
    stations: tuple[StationReport, ...] = ()
    stations_refused: tuple[StationRefused, ...] = ()


@dataclass(frozen=True, slots=True)
class TokenLife:
    """Until when a token is good by the centre's clock, and since when (monotonic seconds) this gateway has it."""

    expires_at: datetime | None = None
    since_s: float = 0.0

    def is_ending(self, centre_now: datetime, now_s: float) -> bool:
        """Whether less than a third of its life is left. A token without an end never ends."""
        if self.expires_at is None:
            return False
        return (self.expires_at - centre_now).total_seconds() < (now_s - self.since_s) / 2


def clock_offset_ms(server_time: datetime, sent_at: datetime, took_s: float) -> int | None:
    """How far the centre's clock is ahead of ours, by an exchange begun at `sent_at`; None when it took too long to tell."""
    if took_s > CLOCK_EXCHANGE_MAX_S:
        return None
    return round(((server_time - sent_at).total_seconds() - took_s / 2) * 1000)
