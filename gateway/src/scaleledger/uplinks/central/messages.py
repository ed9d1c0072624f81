"""What is said on the gateway's socket, sans-I/O: JSON texts with a `type` and perhaps a `payload`.

What is not the contract's is None here, and is ignored: the socket carries hints and views, never a record.

Source: contracts/channel_to_gateway.schema.json, contracts/channel_from_gateway.schema.json; the names with a point in
front of two words are those of earlier servers.
"""

import json
from typing import Any

from scaleledger.domain.channel import (
    PORT_FIELDS,
    Asked,
    LiveWeight,
    LiveWeights,
    PortsScanned,
    Said,
    ScanPorts,
    StartStream,
    StopStream,
    SyncMarket,
    SyncStations,
)
from scaleledger.domain.ledger import weight_text
from scaleledger.uplinks.exchange import json_text, time_text

MESSAGE_MAX_BYTES = 65_536
STATIONS_MAX = 256
PORTS_MAX = 256
NAME_MAX = 100
_PLAIN: dict[str, Asked] = {
    "scan.peripherals": ScanPorts(),
    "command.scan.peripherals": ScanPorts(),
    "sync.weighing_stations": SyncStations(),
    "weighing_station.sync": SyncStations(),
    "sync.market": SyncMarket(),
}


def read_message(text: str | bytes) -> Asked | None:
    """What the centre asks for; None for what is unknown or not the contract's."""
    if isinstance(text, bytes) or len(text) > MESSAGE_MAX_BYTES:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    kind = found.get("type") if isinstance(found, dict) else None
    if not isinstance(kind, str):
        return None
    if kind not in {"START_STREAM", "STOP_STREAM"}:
        return _PLAIN.get(kind)
    asked = StartStream if kind == "START_STREAM" else StopStream
    if found.get("payload") is None:
        return asked()
    stations = _stations(found["payload"])
    return None if stations is None else asked(stations)


def _stations(payload: Any) -> tuple[str, ...] | None:
    names = payload.get("stations") if isinstance(payload, dict) else None
    if not isinstance(names, list) or len(names) > STATIONS_MAX:
        return None
    good = all(isinstance(name, str) and 1 <= len(name) <= NAME_MAX for name in names)
    return tuple(names) if good else None


def write_message(message: Said) -> str:
    """The text of what the gateway says."""
    if isinstance(message, PortsScanned):
        ports = [{key: port.get(key) for key in PORT_FIELDS} for port in message.ports[:PORTS_MAX]]
        return json_text({"type": "peripherals.scanned", "payload": ports})
    assert isinstance(message, LiveWeights), "there are two kinds"
    assert message.stations, "an update has something new"
    stations = [_station(station) for station in message.stations[:STATIONS_MAX]]
    return json_text({"type": "weight_update", "payload": {"at": time_text(message.at), "stations": stations}})


def _station(live: LiveWeight) -> dict[str, Any]:
    return {
        "station": live.station[:NAME_MAX],
        "weight": None if live.weight is None else weight_text(live.weight),
        "unit": live.unit[:8],
        "stable": live.stable,
        "state": live.state[:40],
        "link": live.link,
        "card": live.card[:50],
    }
