"""Stations that the centre assigns. What stands in `config` is not believed before the configuration's own rules took it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class PortIdentity:
    """By what a serial port is known again after its path changed: the USB serial number and place; either may be ""."""

    device: str = ""
    serial_number: str = ""
    location: str = ""


@dataclass(frozen=True, slots=True)
class AssignedStation:
    """One assigned station. `config` holds the keys of a `[[station]]` section without its name; None: nothing to run yet."""

    name: str
    port: PortIdentity = PortIdentity()
    config: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Assignment:
    """All stations that the centre assigns to this gateway, at one moment. `version` names the set at the centre."""

    version: str
    stations: tuple[AssignedStation, ...] = field(default=())
