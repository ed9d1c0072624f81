"""What people see of a running gateway and may do to it: snapshots, and actions, without the parts behind them.

A page asks here and nowhere else. A part that is not there (no printers, no cloud) leaves its field at None, and the page
says so.
"""

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Protocol

from scaleledger.app.live import Shown
from scaleledger.app.printers import PrinterView
from scaleledger.app.spool import JobView
from scaleledger.domain.device import DeviceCard, DeviceStatus
from scaleledger.domain.errors import ScaleLedgerError
from scaleledger.domain.printing import PrinterCard, PrintRequest
from scaleledger.domain.standing import HostReport, StationReport
from scaleledger.domain.viewing import Event, EventFilter, EventPage, Row
from scaleledger.domain.weighing import Counts, Head


class ActionRefused(ScaleLedgerError):
    """What a person asked for was not done; the words say why."""


@dataclass(frozen=True, slots=True)
class GatewayView:
    """The gateway itself. `fingerprint` is what the centre shows of its key; `started_at` is aware."""

    name: str
    version: str
    mac_address: str
    fingerprint: str
    started_at: datetime
    uptime_s: float
    head: Head
    host: HostReport | None


@dataclass(frozen=True, slots=True)
class UplinkView:
    """One way to a centre and its books. `words` says how it stands; `receipt_seq` is the last number a receipt covers."""

    name: str
    up: bool
    words: str
    counts: Counts
    receipt_seq: int = 0


@dataclass(frozen=True, slots=True)
class DeviceView:
    """A scale that dials in. `clock_offset_s`: how far its clock is ahead of ours, None while unknown."""

    card: DeviceCard
    status: DeviceStatus
    peer: str = ""
    clock_offset_s: float | None = None
    note: str = ""
    counters: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FoundPrinter:
    """Something on the network that may be a printer."""

    host: str
    port: int
    words: str


class Devices(Protocol):
    """The scales that dial in."""

    def views(self) -> Sequence[DeviceView]: ...

    async def describe(self, device_id: str, *, name: str, location: str, kind: str) -> None:
        """Give a device a person's words. Raises ActionRefused."""
        ...


class PrintDesk(Protocol):
    """Printers and their jobs. Each action raises ActionRefused."""

    def printers(self) -> Sequence[PrinterView]: ...

    async def jobs(self, limit: int) -> Sequence[JobView]:
        """Newest first."""
        ...

    async def job(self, job_id: str) -> JobView | None: ...

    async def submit(self, request: PrintRequest) -> str:
        """Take a job; durable when it returns the job's id. A repeated `global_job_id` is the same job."""
        ...

    async def test(self, printer_id: str) -> str:
        """Print a test label; the job's id."""
        ...

    async def settle(self, job_id: str, action: str) -> None:
        """A person decides about a job: "printed" (it came out), "copy" (print it again as a copy), "cancel"."""
        ...

    async def add(self, card: PrinterCard) -> None:
        """Insert or replace a printer that a person added."""
        ...

    async def remove(self, printer_id: str) -> None: ...

    async def discover(self, network: str) -> Sequence[FoundPrinter]:
        """Look for printers in a network as 192.168.1.0/24, at most 256 addresses."""
        ...


class Files(Protocol):
    """The product files."""

    async def content(self, file_id: int) -> tuple[str, bytes] | None:
        """File name and bytes; None if it is not kept."""
        ...

    async def note_download(self, file_id: int) -> None: ...


class Records(Protocol):
    """The tables as pages show them. Every call raises StoreError when the disk does not answer."""

    async def events(self, wanted: EventFilter) -> EventPage: ...
    async def event(self, seq: int) -> Event | None: ...
    async def corrections(self, event: Event) -> tuple[Event, ...]: ...
    async def seq_of(self, uuid: str) -> int | None: ...
    async def rejected(self, before: int, limit: int) -> list[Row]: ...
    async def rows(self, kind: str) -> list[Row]: ...


class Gathered(Collection[Shown]):
    """What is to be seen live, from several places that change by themselves."""

    def __init__(self) -> None:
        self._places: list[Callable[[], Collection[Shown]]] = []

    def add(self, place: Callable[[], Collection[Shown]]) -> None:
        """Look there too."""
        self._places.append(place)

    def __iter__(self) -> Iterator[Shown]:
        for place in self._places:
            yield from place()

    def __len__(self) -> int:
        return sum(len(place()) for place in self._places)

    def __contains__(self, shown: object) -> bool:
        return any(shown in place() for place in self._places)


@dataclass(slots=True)
class Overview:
    """Filled while the parts are put together, read by the pages. `zone` is the site's; `session_age_s` makes a session old."""

    gateway: Callable[[], GatewayView]
    records: Records
    now: Callable[[], datetime]
    zone: tzinfo
    shown: Gathered = field(default_factory=Gathered)
    uplinks: list[Callable[[], Awaitable[UplinkView]]] = field(default_factory=list)
    stations: Callable[[], Sequence[StationReport]] = tuple
    problems: list[Callable[[], Sequence[str]]] = field(default_factory=list)
    devices: Devices | None = None
    printing: PrintDesk | None = None
    files: Files | None = None
    has_cloud: bool = False
    session_age_s: float = 86_400.0
