"""What a gateway and a CarniTrack cloud say to each other, carrier and spelling left out.

The cloud's side of a plant: who works on what (sessions), which products the scales know (PLU), which labels to print. A
gateway tells events, devices, offline batches, printers. Contract: contracts/carnitrack.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scaleledger.domain.session import SessionStatus, WorkSession


@dataclass(frozen=True, slots=True)
class SessionStarted:
    """A session begins, or is told again (after a connect, with the changes it went through)."""

    session: WorkSession


@dataclass(frozen=True, slots=True)
class SessionMoved:
    """A session was paused, resumed or ended at `at`. `device_id` may be empty where the cloud leaves it out."""

    session_id: str
    device_id: str
    at: datetime
    status: SessionStatus
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SessionList:
    """All sessions that are not over, and, where the cloud tells them, those that ended lately. What is in neither is over.

    `devices`: of which devices (a cloud that is asked by device says nothing of the others); None: of all.
    """

    sessions: tuple[WorkSession, ...]
    ended: tuple[SessionMoved, ...] = ()
    devices: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class SessionsUnchanged:
    """The cloud answered, and the last list still holds; of these devices, or of all."""

    devices: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class PluChanged:
    """There is a newer product list."""

    version: str = ""


@dataclass(frozen=True, slots=True)
class PrintJobsWaiting:
    """There are print jobs to fetch."""


@dataclass(frozen=True, slots=True)
class ConfigChanged:
    """Values of the cloud's runtime configuration, as they came."""

    values: Mapping[str, Any]


CloudSaid = (
    SessionStarted | SessionMoved | SessionList | SessionsUnchanged | PluChanged | PrintJobsWaiting | ConfigChanged
)
"""What the cloud may say, pushed or found by polling."""


@dataclass(frozen=True, slots=True)
class DeviceConnected:
    """A scale dialled in and named itself."""

    device_id: str
    source_ip: str
    device_type: str


@dataclass(frozen=True, slots=True)
class DeviceAlive:
    """A scale's heartbeat."""

    device_id: str
    status: str
    heartbeat_count: int
    event_count: int
    at: datetime


@dataclass(frozen=True, slots=True)
class DeviceDisconnected:
    """A scale's link ended."""

    device_id: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class BatchBegins:
    """Events of one device that were weighed while the cloud was away follow."""

    batch_id: str
    device_id: str
    started_at: datetime


@dataclass(frozen=True, slots=True)
class BatchEnds:
    """All events of an offline batch were acknowledged. Counts are those of the ledger."""

    batch_id: str
    device_id: str
    started_at: datetime
    ended_at: datetime
    event_count: int
    total_grams: int
    event_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """What a cloud says to the end of an offline batch: whether it holds it whole, and which of its events it misses."""

    complete: bool
    missing: frozenset[str] = frozenset()


CloudTold = DeviceConnected | DeviceAlive | DeviceDisconnected | BatchBegins | BatchEnds
"""What the gateway may say beside its events."""


@dataclass(frozen=True, slots=True)
class PrintOrder:
    """A print job of the cloud. `content` is the printer's own language, in its own bytes."""

    global_job_id: str
    content: bytes
    target_role: str = ""
    target_printer: str = ""
    label_count: int = 1


@dataclass(frozen=True, slots=True)
class PrintOutcome:
    """What became of a print job: dispatched, completed or failed."""

    global_job_id: str
    status: str
    printed_at: datetime | None
    printer: str
    attempts: int
    error: str = ""


@dataclass(frozen=True, slots=True)
class PrinterOffer:
    """A printer as the cloud is told of it. `status` is online, warning, error or unknown."""

    printer_id: str
    role: str
    host: str
    port: int
    model: str
    status: str
    last_seen_at: datetime | None = None
    last_error: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PluItem:
    """One product of the scales' list. `price` is in the smallest coin; `unit` is kg or piece; `tare_grams` is whole grams."""

    number: str
    name: str
    barcode: str
    price: int = 0
    unit: str = "kg"
    tare_grams: int = 0
    department: str = ""
    label_type: str = ""
    shelf_life_days: int = 0


@dataclass(frozen=True, slots=True)
class PluList:
    """The product list as the cloud has it, under a version of the cloud's own wording."""

    version: str
    items: tuple[PluItem, ...]
