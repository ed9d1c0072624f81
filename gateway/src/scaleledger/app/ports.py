"""The abstractions that orchestration depends on; `bootstrap` puts the concrete parts in their place.

Time, randomness, disk and network reach the application only through these, so the whole gateway also runs on a virtual
clock with simulated neighbours.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from scaleledger.domain.delivery import Batch, ItemOutcome
from scaleledger.domain.gateway import CardStanding as CardStanding  # noqa: PLC0414 - part of a port
from scaleledger.domain.gateway import Credentials as Credentials  # noqa: PLC0414 - part of a port
from scaleledger.domain.standing import Introduction, SignOfLife, Status
from scaleledger.domain.weighing import Counts, Draft, Head, LastCapture, Record
from scaleledger.wire.link import Accept, Link, LinkReceiver, LinkState, Transport, TransportStatus

__all__ = [
    "Accept",
    "CardStanding",
    "Cards",
    "Clock",
    "Credentials",
    "Identity",
    "Ledger",
    "Link",
    "LinkReceiver",
    "LinkState",
    "Outbox",
    "Transport",
    "TransportStatus",
    "Uplink",
]


class Clock(Protocol):
    """Where time comes from. `monotonic` agrees with the event loop's own time."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary start, never going back."""
        ...

    def now(self) -> datetime:
        """The wall clock, aware, UTC."""
        ...


class Ledger(Protocol):
    """Where weighings become durable."""

    async def append(self, draft: Draft) -> Record:
        """Commit one weighing; returns after the synced commit. A repeated uuid returns the stored record.

        Raises StoreFull or StoreError: then nothing was kept.
        """
        ...

    def told(self, record: Record) -> None:
        """The operator was told of this record. May become durable later than this returns."""
        ...

    async def last_capture(self, station: str) -> LastCapture | None:
        """The newest weighing of a station, or None."""
        ...


class Outbox(Protocol):
    """What is owed to an uplink."""

    async def next_batch(self, uplink: str, limit: int, after: int = 0) -> Batch | None:
        """The oldest undelivered records with seq > `after`, at most `limit`, quarantined ones left out; None if none."""
        ...

    async def settle(self, uplink: str, outcomes: Sequence[ItemOutcome]) -> None:
        """Keep the outcomes. Acks may become durable later than this returns: losing one only sends a record again."""
        ...

    async def wait_for_append(self, seen: int) -> int:
        """Wait until the newest seq is greater than `seen`; returns it."""
        ...

    async def counts(self, uplink: str) -> Counts:
        """The books, for heartbeat and people."""
        ...


class Uplink(Protocol):
    """A way to a centre. Knows nothing of the store."""

    @property
    def name(self) -> str: ...

    @property
    def ready(self) -> bool:
        """Whether it may deliver now (credentials are there)."""
        ...

    @property
    def batch_limit(self) -> int:
        """How many records one `deliver` takes; known after the first contact."""
        ...

    @property
    def in_flight_limit(self) -> int:
        """How many `deliver` calls may run at the same time."""
        ...

    async def wait_ready(self) -> None:
        """Return when `ready` is true."""
        ...

    async def deliver(self, batch: Batch) -> list[ItemOutcome]:
        """Offer a batch; one outcome per record. Raises LinkError when nothing is known about any of them."""
        ...


class Centre(Protocol):
    """The side of an uplink that the gateway's life needs. Every call raises LinkError when nothing came of it."""

    @property
    def name(self) -> str: ...

    @property
    def ready(self) -> bool:
        """Whether a token is in use; a refused one is not."""
        ...

    async def sync(self, mac_address: str) -> Status:
        """Ask how this gateway stands; also learns what the centre offers (batches)."""
        ...

    async def register(self, introduction: Introduction) -> None:
        """Ask to be registered. Raises RegistrationRefused when a person must decide."""
        ...

    async def heartbeat(self, sign: SignOfLife) -> Head | None:
        """Say that the gateway lives; the highest head that the centre has seen, if it tells. Raises CredentialsRefused, and then holds no token any more."""
        ...

    def use_token(self, token: str) -> None:
        """Speak with this token from now on."""
        ...

    def drop_token(self) -> None:
        """Speak without a token from now on."""
        ...

    async def wait_refused(self) -> None:
        """Return as soon as there is no token in use, because one was refused or none was given."""
        ...


class Cards(Protocol):
    """The cached card list; answers from memory. While there is none, every card is known."""

    def standing(self, uid: str) -> CardStanding: ...


class Identity(Protocol):
    """The gateway's row in the store."""

    async def load(self) -> Credentials: ...

    async def keep_token(self, token: str, status: str) -> None:
        """Store what SYNC obtained (sealed at rest)."""
        ...

    async def clear_token(self, status: str) -> None:
        """Forget credentials only; records stay."""
        ...

    async def note_heartbeat(self, at: datetime) -> None: ...
