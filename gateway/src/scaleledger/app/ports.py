"""The abstractions that orchestration depends on; `bootstrap` puts the concrete parts in their place.

Time, randomness, disk and network reach the application only through these, so the whole gateway also runs on a virtual
clock with simulated neighbours.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from scaleledger.domain.assignment import Assignment
from scaleledger.domain.catalogue import Catalogue
from scaleledger.domain.channel import Asked, Said
from scaleledger.domain.delivery import Batch, ItemOutcome
from scaleledger.domain.errors import CredentialsRefused
from scaleledger.domain.gateway import CardStanding as CardStanding  # noqa: PLC0414 - part of a port
from scaleledger.domain.gateway import Credentials as Credentials  # noqa: PLC0414 - part of a port
from scaleledger.domain.standing import Alive, Claim, Introduction, Receipt, SignOfLife, Status
from scaleledger.domain.weighing import Counts, Draft, LastCapture, Record
from scaleledger.wire.link import Accept, Link, LinkReceiver, LinkState, Transport, TransportStatus

__all__ = [
    "Accept",
    "CardStanding",
    "Cards",
    "Centre",
    "Channel",
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

    async def keep_receipt(self, uplink: str, receipt: Receipt) -> None:
        """A receipt came. It counts only when signed with the pinned key and true of our own ledger; else nothing changes.

        One that ends below an older one says that the centre was restored: what it lost is owed again.
        """
        ...

    def receipt(self, uplink: str) -> Receipt | None:
        """The newest receipt that counted."""
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

    @property
    def receipt(self) -> Receipt | None:
        """The one that came last with a delivery. Only its shape was looked at."""
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

    @property
    def refusal(self) -> CredentialsRefused | None:
        """Why there is no token any more, when the centre refused the last one."""
        ...

    async def sync(self, introduction: Introduction, claim: Claim | None) -> Status:
        """Prove who we are and ask how we stand; an ACTIVE gateway gets a new token. Also learns what the centre offers.

        A centre that asks for no proof is asked by the MAC address alone: only there NOT_REGISTERED can be the answer.
        Raises ClaimRefused when the claim is not good (nothing else was looked at), RegistrationRefused when a person must
        decide.
        """
        ...

    async def register(self, introduction: Introduction) -> None:
        """Ask to be registered where no proof is asked for. Raises RegistrationRefused when a person must decide."""
        ...

    async def standing(self, mac_address: str) -> Status:
        """How we stand with the token in use, without asking for another; also learns what the centre offers.

        Raises CredentialsRefused, and then holds no token any more.
        """
        ...

    async def heartbeat(self, sign: SignOfLife) -> Alive:
        """Say that the gateway lives. Raises CredentialsRefused, and then holds no token any more."""
        ...

    async def fetch_stations(self, version: str) -> Assignment | None:
        """The stations that the centre assigns; None while they are still those of `version`.

        Raises NotOffered, CredentialsRefused, and Disbelieved with words when one of them is not as the contract says.
        """
        ...

    async def fetch_catalogue(self, version: str) -> Catalogue | None:
        """The market data; None while it is still that of `version`. Raises as `fetch_stations`."""
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


class Channel(Protocol):
    """The open line to the centre, for what cannot wait for the next heartbeat. Nothing durable depends on it."""

    @property
    def up(self) -> bool:
        """Whether the line is open right now."""
        ...

    async def run(self, receive: Callable[[Asked], None], opened: Callable[[], None] = lambda: None) -> None:
        """Wait for a token, open the line, hand on what the centre asks for, until the line ends; then raise LinkError.

        `opened` is called once, when pushes come from now on; what was pushed before is to be asked for. The error's `retry_after_s`, if there is one, is how long to wait at least before the next `run`.
        """
        ...

    def send(self, message: Said) -> None:
        """Say something soon; never waits. Of live weights only each station's newest goes out; without a line, none."""
        ...


class Cards(Protocol):
    """The cached card list; answers from memory. While there is none, every card is known."""

    def standing(self, uid: str) -> CardStanding: ...


class Identity(Protocol):
    """The gateway's row in the store."""

    async def load(self) -> Credentials: ...

    async def keep_token(self, token: str, status: str, expires_at: datetime | None = None) -> None:
        """Store what SYNC obtained (sealed at rest), and until when the token is good."""
        ...

    async def clear_token(self, status: str) -> None:
        """Forget credentials only; records stay."""
        ...

    async def note_heartbeat(self, at: datetime) -> None: ...

    async def pin_server_key(self, key: str) -> bool:
        """Believe receipts signed with this key (hex) from now on. False, and nothing changes, when another is believed."""
        ...

    async def take_claim(self) -> Claim | None:
        """The claim that somebody left for this gateway; it stays until dropped. One that is mistyped is none."""
        ...

    async def drop_claim(self, claim: Claim) -> None:
        """Forget this claim: it was used, or refused. Another one that was left meanwhile stays."""
        ...
