"""A scale that dials in: how it stands, and what is known of it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class DeviceStatus(StrEnum):
    """ONLINE: it lives and weighs. IDLE: it lives, and has not weighed for a while. STALE: no sign of life for longer than
    it promises. DISCONNECTED: no link.
    """

    ONLINE = "online"
    IDLE = "idle"
    STALE = "stale"
    DISCONNECTED = "disconnected"


@dataclass(frozen=True, slots=True)
class DeviceCard:
    """What is kept of a device over restarts; all times aware, UTC. `name`, `location` and `type` are a person's words."""

    device_id: str
    listener: str
    name: str = ""
    location: str = ""
    type: str = "disassembly"
    source_ip: str = ""
    first_seen_at: datetime | None = None
    connected_at: datetime | None = None
    last_heartbeat_at: datetime | None = None
    last_event_at: datetime | None = None
    heartbeat_count: int = 0
    event_count: int = 0
