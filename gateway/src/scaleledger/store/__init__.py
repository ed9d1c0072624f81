"""The store: one private folder with the ledger in it.

    store = await Store.open(path, clock=clock, mac_address=mac, hostname=name)
    record = await store.ledger.append(draft)      # durable when it returns
    await store.close()                            # everything accepted is committed

One thread writes (`writer`), one reads for delivery (`reader`); Tortoise keeps the small tables (`identity`, `assignment`).
"""

from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from sqlite3 import Connection
from typing import Protocol

from scaleledger import __version__
from scaleledger.domain.errors import ChainBroken
from scaleledger.domain.ledger import GENESIS, head_message, verify
from scaleledger.domain.weighing import Head
from scaleledger.observe.log import get_logger
from scaleledger.store.assignment import Assigned
from scaleledger.store.attributions import Attributions
from scaleledger.store.batches import Batches
from scaleledger.store.cards import Cards, read_cards
from scaleledger.store.claim import leave_claim
from scaleledger.store.connection import checkpoints, entries
from scaleledger.store.devices import Devices
from scaleledger.store.edge_identity import EdgeIdentity
from scaleledger.store.folder import Folder
from scaleledger.store.history import History
from scaleledger.store.identity import Identity, ensure_row
from scaleledger.store.logins import Logins
from scaleledger.store.offline import verify_file
from scaleledger.store.opening import Opening, prepare
from scaleledger.store.orm import Orm
from scaleledger.store.outbox import Outbox, read_books
from scaleledger.store.plu import PluShelf
from scaleledger.store.print_jobs import PrintShelf
from scaleledger.store.rejected import RejectedShelf
from scaleledger.store.signing import SigningKey, signed_by
from scaleledger.store.weighings import Weighings
from scaleledger.store.work_sessions import WorkSessions
from scaleledger.store.writer import Added, Writer

__all__ = ["Opening", "Store", "leave_claim", "verify_file"]

PROVED_AT_START = 5_000
RESERVE_MB = 64

log = get_logger()


class Clock(Protocol):
    """Where time comes from."""

    def now(self) -> datetime:
        """The wall clock, aware, UTC."""
        ...


class Store:
    """An open data folder. Made by `open`; its parts are `ledger`, `outbox`, `identity`, `cards` and `assignment`."""

    def __init__(self, key: SigningKey, opening: Opening, folder: Path) -> None:
        self.folder = folder
        self._key = key
        self._parts = AsyncExitStack()
        self._writer: Writer
        self.report = opening
        self.ledger: Weighings
        self.outbox: Outbox
        self.identity: Identity
        self.cards: Cards
        self.assignment: Assigned
        self.logins: Logins
        self.edge_identity: EdgeIdentity
        self.sessions: WorkSessions
        self.batches: Batches
        self.attributions: Attributions
        self.plu: PluShelf
        self.printing: PrintShelf
        self.devices: Devices
        self.rejected: RejectedShelf
        self.history: History

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        clock: Clock,
        mac_address: str,
        hostname: str,
        ip_address: str = "",
        reserve_mb: int = RESERVE_MB,
        software: str = __version__,
    ) -> "Store":
        """Open the data folder at `path`, made if need be; `report` says what was found.

        `mac_address` counts at the first start only: later the stored one is the gateway's name (`identity.mac_address`).
        Raises StoreLocked when another gateway has the folder, StoreUnusable when it cannot be used as the promise needs.
        """
        async with AsyncExitStack() as parts:
            folder = Folder(path)
            parts.callback(folder.release)
            key, opening, reader = await prepare(folder, mac_address=mac_address, at=clock.now(), reserve_mb=reserve_mb)
            parts.callback(reader.close)
            orm = Orm()
            parts.push_async_callback(orm.close)
            await orm.open(folder.database)
            row = await orm.run(
                ensure_row(key, clock, mac_address=mac_address, hostname=hostname, ip_address=ip_address)
            )
            broken = await reader.run(newest_broken)
            books = await reader.run(read_books)
            store = cls(key, replace(opening, broken=broken), path)
            store.cards = Cards(folder.database, await reader.run(read_cards))
            parts.callback(store.cards.close)
            store.assignment = Assigned(orm)
            store.logins = Logins(orm, clock)
            store.sessions = WorkSessions(orm)
            store.batches = Batches(orm, reader)
            store.attributions = Attributions(reader)
            store.edge_identity = EdgeIdentity(orm, key)
            store.plu = PluShelf(orm)
            store.printing = PrintShelf(orm)
            store.devices = Devices(orm)
            store.rejected = RejectedShelf(orm)
            store.history = History(reader)
            store.identity = Identity(orm, key, clock, row, path)
            store._writer = Writer(folder.database, key, gateway=row.mac_address, software=software, note=store._note)
            store.ledger = Weighings(store._writer, reader)
            store.outbox = Outbox(store._writer, reader, clock, books, store.identity)
            store._parts = parts.pop_all()
        if broken is not None:
            log.error("sys.ledger_broken", seq=broken[0], why=broken[1])
        log.info("sys.store_opened", folder=str(path), records=books.held, head=store.head().seq)
        return store

    @property
    def public_key(self) -> str:
        """The gateway's public key, 64 hex digits."""
        return self._key.public_hex

    def sign(self, message: bytes) -> str:
        """The gateway's signature over a message, 128 hex digits."""
        return self._key.sign(message).hex()

    def head(self) -> Head:
        """The newest number and hash, signed; number 0 and no signature while the ledger is empty."""
        return self.outbox.head

    async def go_on_above(self, head: Head) -> None:
        """The centre has seen this head. If it is ours and beyond our ledger, which was restored or salvaged, go on above it.

        So no number is given twice towards a centre. A head that our own key has not signed changes nothing.
        """
        ours = self.head()
        message = head_message(self.identity.mac_address, head.seq, head.hash)
        if head.seq <= ours.seq or not signed_by(self._key.public_hex)(message, bytes.fromhex(head.signature)):
            return
        gap = await self._writer.go_on_above(head)
        if gap is not None:
            self.outbox.note_gap(*gap, head)
            log.error("sys.ledger_behind", ours=ours.seq, centre=head.seq)

    async def wait_failed(self) -> None:
        """Raises StoreDamaged when nothing can be written any more; returns when the store was closed."""
        await self._writer.wait_failed()

    async def close(self) -> None:
        """Commit everything accepted and what the uplinks learned, then let the folder go. Safe to call twice."""
        await self._writer.close()
        await self._parts.aclose()

    def _note(self, added: Added, head: Head) -> None:
        self.ledger.note(added)
        self.outbox.note(added, head)


def newest_broken(connection: Connection) -> tuple[int, str] | None:
    """Number and reason of the first of the newest records that cannot be proved, or None."""
    (newest,) = connection.execute("SELECT COALESCE(max(seq), 0) FROM weighing_records").fetchone()
    start = max(0, newest - PROVED_AT_START)
    declared = checkpoints(connection)
    row = connection.execute("SELECT hash FROM weighing_records WHERE seq = ?", (start,)).fetchone()
    known = {c.seq: c.hash for c in declared}
    try:
        verify(
            entries(connection, start),
            checkpoints=[c for c in declared if c.seq >= start],
            after=(start, row[0] if row else known.get(start, GENESIS)),
        )
    except ChainBroken as error:
        return error.seq, error.why
    return None
