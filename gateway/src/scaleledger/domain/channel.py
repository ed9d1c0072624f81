"""What a gateway and its centre say on their open channel: what the centre asks for, and what the gateway shows."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

PORT_FIELDS = (
    "device", "name", "description", "hwid", "vid", "pid", "serial_number", "location", "manufacturer", "product",
    "interface",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ScanPorts:
    """Tell which serial ports there are."""


@dataclass(frozen=True, slots=True)
class SyncStations:
    """The assigned stations changed: fetch them anew."""


@dataclass(frozen=True, slots=True)
class SyncMarket:
    """The market data changed: fetch it anew."""


@dataclass(frozen=True, slots=True)
class StartStream:
    """Somebody watches these stations; None means all of them, those of the future too."""

    stations: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class StopStream:
    """Nobody watches these stations any more; None means none at all."""

    stations: tuple[str, ...] | None = None


Asked = ScanPorts | SyncStations | SyncMarket | StartStream | StopStream
"""What the centre may say."""


@dataclass(frozen=True, slots=True)
class PortsScanned:
    """The serial ports of this machine, each with the PORT_FIELDS of the contract; a value is a text, a number or None."""

    ports: tuple[Mapping[str, str | int | None], ...]


@dataclass(frozen=True, slots=True)
class LiveWeight:
    """One station as it is right now. `weight` is None while there is none to show, and then `unit` is "".

    `stable` is None when the indicator does not say. `link` is "up", "down" or "opening"; `card` the armed one or "".
    """

    station: str
    weight: Decimal | None
    unit: str
    stable: bool | None
    state: str
    link: str
    card: str = ""


@dataclass(frozen=True, slots=True)
class LiveWeights:
    """The watched stations whose value is new, at one moment (aware). Not empty."""

    at: datetime
    stations: tuple[LiveWeight, ...]


Said = PortsScanned | LiveWeights
"""What the gateway may say."""
