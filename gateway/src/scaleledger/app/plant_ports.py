"""What the parts of a plant need of each other and of the world; `bootstrap` puts the concrete parts in their place."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from scaleledger.domain.attribution import EventWord
from scaleledger.domain.cloud import BatchAnswer, CloudSaid, CloudTold, PluList, PrinterOffer, PrintOrder, PrintOutcome
from scaleledger.domain.device import DeviceCard
from scaleledger.domain.offline import BatchEvent, OfflineBatch, Outage, Tally
from scaleledger.domain.session import Span, WorkSession
from scaleledger.domain.session_book import Kept
from scaleledger.domain.weighing import Head, Record


class Sessions(Protocol):
    """The cached work sessions; answers from memory."""

    def at(self, device_id: str, at: datetime) -> WorkSession | None:
        """The session that was active on this device at that time (aware); None if there was none."""
        ...


class SessionShelf(Protocol):
    """Where sessions are kept over restarts."""

    async def load(self) -> list[Kept]:
        """All kept ones, each with the time at which the cloud last confirmed it."""
        ...

    async def keep(self, kept: Sequence[Kept]) -> None:
        """Insert or replace."""
        ...

    async def forget(self, session_ids: Sequence[str]) -> None: ...


class Attributions(Protocol):
    """What the ledger says of whose events a device's are."""

    async def events(self, station: str, span: Span, limit: int) -> tuple[list[EventWord], bool]:
        """The newest word on each of the first `limit` events of a station in a span, and whether there are more."""
        ...


class BatchShelf(Protocol):
    """Where offline batches are kept over restarts, and how the ledger is counted for them. All raise StoreError."""

    async def load(self) -> tuple[tuple[Outage, ...], list[OfflineBatch]]: ...

    async def keep(self, outages: Sequence[Outage], batches: Sequence[OfflineBatch]) -> None:
        """Put these outages in the place of those of before, and insert or replace these batches; all or nothing."""
        ...

    async def forget(self, reconciled_before: datetime) -> None: ...

    async def tally(self, after_seq: int, upto_seq: int) -> dict[str, Tally]:
        """Events (no corrections) of scales that dial in with after_seq < seq <= upto_seq, by device."""
        ...

    async def events(self, device_id: str, after_seq: int, upto_seq: int) -> list[BatchEvent]:
        """Those of one device, in order."""
        ...

    async def words_on(self, uuids: Collection[str], after_seq: int, upto_seq: int) -> list[int]:
        """The numbers of all records that speak of these events: the first ones, and their corrections."""
        ...


class Deliveries(Protocol):
    """How far an uplink's deliveries have come."""

    @property
    def head(self) -> Head:
        """The newest record's number and hash."""
        ...

    def position(self, uplink: str) -> int:
        """All records up to this number are settled."""
        ...

    def refused(self, uplink: str) -> frozenset[int]:
        """The numbers of the records that are set aside."""
        ...

    def owe_again(self, uplink: str, numbers: Collection[int]) -> None:
        """Offer these records once more, those that are set aside left out."""
        ...


class DeviceShelf(Protocol):
    """Where devices are kept over restarts."""

    async def load(self) -> list[DeviceCard]: ...

    async def keep(self, cards: Sequence[DeviceCard]) -> None:
        """Insert or replace."""
        ...


class RejectedLines(Protocol):
    """Where lines go that could not be taken as weighings: visible, exportable, bounded, never lost silently."""

    async def keep(self, *, listener: str, device_id: str, peer: str, reason: str, line: bytes, at: datetime) -> None:
        """Durable when it returns. The same line from the same device again only counts."""
        ...


class EventHistory(Protocol):
    """What the ledger holds of one device."""

    async def newest(self, station: str) -> Record | None:
        """The newest weighing (no correction) of a station; None if there is none, or it cannot be read."""
        ...

    async def between(self, station: str, since: datetime, until: datetime, limit: int) -> list[Record]:
        """Weighings of a station with since <= measured_at < until, oldest first, at most `limit`."""
        ...

    async def total(self, stations: Sequence[str], after_seq: int, upto_seq: int) -> list[Record]:
        """Weighings of these stations with after_seq < seq <= upto_seq, oldest first."""
        ...


class EdgeIdentity(Protocol):
    """Where the name that a cloud gave this gateway is kept over restarts: small texts by key, sealed at rest."""

    async def load(self, key: str) -> str:
        """The text kept under this key; "" if there is none."""
        ...

    async def keep(self, key: str, text: str) -> None:
        """Durable when it returns."""
        ...


class Cloud(Protocol):
    """The side of a CarniTrack uplink that is not the delivery of events. Every call raises LinkError when nothing came of it."""

    @property
    def up(self) -> bool:
        """Whether the cloud answered lately (REST), or the line is open (WebSocket)."""
        ...

    async def run(self, receive: Callable[[CloudSaid], None], changed: Callable[[bool], None]) -> None:
        """Register, keep the line open or poll, hand on what the cloud says, until the link ends; then raise LinkError.

        `changed` is called with the new value whenever `up` changes. What to poll for depends on `watch`.
        """
        ...

    def watch(self, devices: Mapping[str, bool]) -> None:
        """The connected devices, each with whether it has a session now: what a polling carrier asks for, and how often."""
        ...

    def tell(self, told: CloudTold) -> None:
        """Say it soon, in order; never waits. Without a link it is dropped, and said anew in another form after a connect."""
        ...

    async def settle_batch(self, told: CloudTold) -> BatchAnswer:
        """Tell that an offline batch is complete (BatchEnds), and hear whether the cloud holds it."""
        ...

    async def fetch_plu(self, version: str) -> PluList | None:
        """The product list; None while it is still that of `version`. Raises NotOffered."""
        ...

    async def fetch_print_jobs(self) -> list[PrintOrder]:
        """The waiting print jobs. Raises NotOffered."""
        ...

    async def tell_print_job(self, outcome: PrintOutcome) -> None: ...

    async def offer_printers(self, printers: Sequence[PrinterOffer]) -> Mapping[str, str]:
        """Tell which printers there are; returns the cloud's id for each of ours."""
        ...

    async def heartbeat(
        self, health: str, uptime_s: float, devices: Sequence[Mapping[str, object]], printers: Sequence[PrinterOffer]
    ) -> None: ...
