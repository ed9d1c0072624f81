"""Everything else a station reports beside readings. All facts are immutable; none carries a time, the caller knows it."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from scaleledger.domain.reading import Reading


@dataclass(frozen=True, slots=True)
class CardSeen:
    """A tag was presented. `uid` is text: leading zeros are kept."""

    uid: str
    raw: bytes = b""


@dataclass(frozen=True, slots=True)
class KeysEntered:
    """Digits typed at the station; `kind` is vehicle, customer, product or reprint."""

    kind: str
    digits: str


class Printer(StrEnum):
    """State of a printer behind an indicator."""

    READY = "ready"
    NO_PAPER = "no-paper"
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class DeviceState:
    """What the station says of itself: lamps as they are lit, the clip now playing (0 = idle), printer, °C inside."""

    green: bool = False
    red: bool = False
    fan: bool = False
    heater: bool = False
    voice: int = 0
    printer: Printer | None = None
    temperature_c: int | None = None
    inputs: str = ""


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """A clip was played to its end (`heard`), or the speaker never answered within its time."""

    clip: int
    heard: bool


@dataclass(frozen=True, slots=True)
class Registration:
    """A device named itself on the wire."""

    device: str


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A device said that it lives, and nothing else."""


@dataclass(frozen=True, slots=True)
class AckAsked:
    """A device asks whether what it sent before was kept. It comes behind the facts of what it asks about."""


@dataclass(frozen=True, slots=True)
class FinishedWeighing:
    """A weighing that the scale itself completed and sent (label scales). Decimals as printed; `fields` are its texts."""

    gross: Decimal | None
    tare: Decimal | None
    net: Decimal | None
    unit: str | None
    fields: tuple[tuple[str, str], ...] = ()
    raw: bytes = b""


@dataclass(frozen=True, slots=True)
class Problem:
    """Bytes that could not be taken as they are. `reason` is one of a driver's short fixed words, never free text."""

    reason: str
    raw: bytes = b""


Fact = (
    Reading
    | CardSeen
    | KeysEntered
    | DeviceState
    | SpeechEnded
    | Registration
    | Heartbeat
    | AckAsked
    | FinishedWeighing
    | Problem
)
