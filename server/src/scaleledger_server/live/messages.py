"""What arrives on the sockets, read and bounded: `channel_from_gateway`, `provisioning_from_client` and what pages say. Pure."""

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from scaleledger_server.bodies import parse, read_count, read_fields, read_instant, read_match, read_text
from scaleledger_server.errors import Invalid
from scaleledger_server.live.leases import ALL, STATIONS_MAX

WEIGHT = re.compile(r"-?[0-9]{1,14}(?:\.[0-9]{1,6})?", re.ASCII)
LINKS = frozenset({"up", "down", "opening"})
PORTS_MAX = 256
WATCHED_MAX = 512
PLAIN_STATION = ""
PLAIN_MIN, PLAIN_MAX = Decimal("1e-9"), Decimal("1e14")
PORT_FACTS = frozenset({
    "device", "name", "description", "hwid", "vid", "pid", "serial_number", "location", "manufacturer", "product",
    "interface",
})  # fmt: skip

Station = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Update:
    """Values of stations as a gateway just read them: `weight` is the printed text or None, never a number."""

    stations: tuple[Station, ...]


@dataclass(frozen=True, slots=True)
class Scan:
    """The serial ports that a gateway found, as it said them."""

    ports: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Watch:
    """What a page wants to see: stations by (gateway, name), or with `everything` all of all gateways."""

    everything: bool
    stations: frozenset[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a plain client says it is."""

    mac_address: str
    hostname: str
    ip_address: str


def read_message(text: str) -> dict[str, Any]:
    """A JSON object with a `type`. Raises Invalid."""
    try:
        value = parse(text)
    except ValueError as error:
        raise Invalid("This is no JSON.") from error
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        raise Invalid("A message is a JSON object with a type.", "type")
    return value


def read_from_gateway(text: str, now: datetime) -> Update | Scan | None:
    """What a gateway says on its socket; None for a type that is not known here. Raises Invalid."""
    message = read_message(text)
    if message["type"] == "weight_update":
        return _update(message, now)
    if message["type"] == "peripherals.scanned":
        return Scan(_ports(message.get("payload")))
    return None


def _update(message: dict[str, Any], now: datetime) -> Update:
    if "value" in message:
        fields = read_fields(message, ("type", "value"))
        return Update((_plain(fields["value"]),))
    payload = read_fields(read_fields(message, ("type", "payload"))["payload"], ("at", "stations"), field="payload")
    read_instant(payload["at"], "at", now)
    stations = payload["stations"]
    if not isinstance(stations, list) or not 1 <= len(stations) <= STATIONS_MAX:
        raise Invalid(f"stations must be a list of 1 to {STATIONS_MAX}.", "stations")
    return Update(tuple(_station(value) for value in stations))


def _plain(value: Any) -> Station:
    """The first description's form: one number, of a client that has one scale."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not Decimal(value).is_finite():
        raise Invalid("value must be a number.", "value")
    number = Decimal(value)
    if not PLAIN_MIN <= number.copy_abs() < PLAIN_MAX and number:
        raise Invalid("value is no weight.", "value")
    weight = f"{number:f}"
    return _fields(PLAIN_STATION, weight if WEIGHT.fullmatch(weight) else f"{number:.6f}", "", None, "", "up", "")


def _fields(*values: Any) -> Station:
    return dict(zip(("station", "weight", "unit", "stable", "state", "link", "card"), values, strict=True))


def _station(value: Any) -> Station:
    fields = read_fields(value, ("station", "weight", "unit", "stable", "state", "link", "card"), field="stations")
    weight, stable = fields["weight"], fields["stable"]
    if weight is not None:
        read_match(weight, "weight", WEIGHT, "a number in digits")
    if stable is not None and not isinstance(stable, bool):
        raise Invalid("stable must be true, false or null.", "stable")
    if fields["link"] not in LINKS:
        raise Invalid("link must be up, down or opening.", "link")
    return _fields(
        read_text(fields["station"], "station", 100, 1),
        weight,
        read_text(fields["unit"], "unit", 8),
        stable,
        read_text(fields["state"], "state", 40),
        fields["link"],
        read_text(fields["card"], "card", 50),
    )


def _ports(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list) or len(value) > PORTS_MAX:
        raise Invalid(f"payload must be a list of at most {PORTS_MAX} ports.", "payload")
    for port in value:
        if not isinstance(port, dict) or "device" not in port:
            raise Invalid("A port must have a device.", "device")
        for name, fact in port.items():
            if name in PORT_FACTS and (isinstance(fact, bool) or not isinstance(fact, str | int | None)):
                raise Invalid(f"{name} must be text, a whole number or null.", name)
    return value


def read_from_page(text: str) -> Watch | None:
    """`watch` with `all` true, or with `stations`: gateway id and name, or only the id for all of its stations.

    None for another type. Raises Invalid.
    """
    message = read_message(text)
    if message["type"] != "watch":
        return None
    fields = read_fields(message, ("type",), ("all", "stations"))
    if fields.get("all") is True:
        return Watch(everything=True, stations=frozenset())
    stations = fields.get("stations")
    if not isinstance(stations, list) or len(stations) > WATCHED_MAX:
        raise Invalid(f"stations must be a list of at most {WATCHED_MAX}.", "stations")
    return Watch(everything=False, stations=frozenset(_watched(value) for value in stations))


def _watched(value: Any) -> tuple[int, str]:
    fields = read_fields(value, ("gateway",), ("station",), field="stations")
    return read_count(fields["gateway"], "gateway", 1), read_text(fields.get("station", ALL), "station", 100)


def read_identity(text: str) -> Identity | None:
    """What a plain client says of itself; None for another type. Raises Invalid."""
    message = read_message(text)
    if message["type"] != "identity":
        return None
    payload = message.get("payload")
    if not isinstance(payload, dict):
        raise Invalid("payload must be an object.", "payload")
    return Identity(
        read_text(payload.get("mac_address"), "mac_address", 17),
        read_text(payload.get("hostname"), "hostname", 255),
        read_text(payload.get("ip_address"), "ip_address", 39),
    )
