"""What a station can be asked to do. A driver carries out those it understands and ignores the others."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Show:
    """Texts for the station's display: the weight line, and the line below it (a card, a plate)."""

    weight: str
    line: str = ""


@dataclass(frozen=True, slots=True)
class Lamps:
    """Which lamps are lit from now on."""

    green: bool = False
    red: bool = False


@dataclass(frozen=True, slots=True)
class Speak:
    """Play a clip once, after those asked for before it; a full queue drops the oldest clip not yet begun."""

    clip: int


@dataclass(frozen=True, slots=True)
class PrintDocument:
    """Bytes for the printer behind the indicator; sent when the printer says it is ready."""

    content: bytes
    copies: int = 1


@dataclass(frozen=True, slots=True)
class SetTemperatures:
    """Fan and heater set points, °C."""

    fan_c: int
    heater_c: int


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Tell the scale that what it sent is durable."""


Command = Show | Lamps | Speak | PrintDocument | SetTemperatures | Acknowledge
