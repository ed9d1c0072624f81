"""The cached card list: answers come from memory, so that a card never waits for a disk or a network.

A received list replaces the one of before in one transaction, and in memory in one assignment: nobody ever sees half of
each. Only what differs is written, in a thread and through a connection of its own, so that a list of 100,000 cards keeps
neither the loop nor a weighing waiting for long.
"""

import asyncio
import sqlite3
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from scaleledger.domain.catalogue import Card, Catalogue
from scaleledger.domain.errors import StoreError
from scaleledger.domain.gateway import CardStanding
from scaleledger.store.connection import connect

VERSION_KEY = "catalogue_version"

_REMOVE = "DELETE FROM cards WHERE uid = ?"
_PUT = (
    "INSERT INTO cards (uid, standing, label, producer, species) VALUES (?, ?, '', ?, ?) ON CONFLICT (uid) DO UPDATE "
    "SET standing = excluded.standing, producer = excluded.producer, species = excluded.species"
)
_NOTE = "INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"


class Cards:
    """The list as last received; while it is empty, every card is known. A configured list decides in its place."""

    def __init__(self, database: Path, kept: Catalogue) -> None:
        self._database = database
        self._kept = kept
        self._written: Catalogue | None = kept
        self._configured: frozenset[str] | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._turn = asyncio.Lock()

    @property
    def empty(self) -> bool:
        """There is no list at all."""
        return self._configured is None and not self._kept.cards

    @property
    def version(self) -> str:
        """What the centre calls the list that is kept; empty when none was received."""
        return self._kept.version

    def standing(self, uid: str) -> CardStanding:
        """What the list says of a card."""
        if self._configured is not None:
            return CardStanding.KNOWN if uid in self._configured else CardStanding.UNKNOWN
        cards = self._kept.cards
        if not cards:
            return CardStanding.KNOWN
        card = cards.get(uid)
        return CardStanding.UNKNOWN if card is None else card.standing

    def about(self, uid: str) -> Card | None:
        """What the centre says that the card stands for; None if it says nothing of it."""
        return self._kept.cards.get(uid)

    def replace(self, known: Iterable[str] | None) -> None:
        """Let a configured list decide, whatever the centre sends; None lets the centre's list decide."""
        self._configured = None if known is None else frozenset(known)

    async def keep(self, catalogue: Catalogue) -> None:
        """Put a received list in the old one's place, wholly or not at all. Raises StoreError: then the old one stays.

        The caller leaves `catalogue` unchanged from then on.
        """
        async with self._turn:
            if self._thread is None:
                self._thread = ThreadPoolExecutor(1, thread_name_prefix="store-cards")
            try:
                await asyncio.get_running_loop().run_in_executor(self._thread, self._write, catalogue)
            except sqlite3.Error as error:
                raise StoreError(f"the card list was not kept, the one of before stays: {error}") from error
            self._kept = catalogue

    def close(self) -> None:
        """End the thread; what it is writing is finished."""
        if self._thread is not None:
            self._thread.shutdown()

    def _write(self, catalogue: Catalogue) -> None:
        """In the thread. Where it is not sure what the disk holds, all is written."""
        before, self._written = self._written, None
        fresh, old = catalogue.cards, before.cards if before is not None else {}
        gone = [(uid,) for uid in old if uid not in fresh]
        rows = [
            (uid, card.standing.value, card.producer, card.species)
            for uid, card in fresh.items()
            if old.get(uid) != card
        ]
        with closing(connect(self._database)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            if before is None:
                connection.execute("DELETE FROM cards")
            connection.executemany(_REMOVE, gone)
            connection.executemany(_PUT, rows)
            connection.execute(_NOTE, (VERSION_KEY, catalogue.version))
            connection.execute("COMMIT")
        self._written = catalogue


def read_cards(connection: sqlite3.Connection) -> Catalogue:
    """The stored list. Equal cards are one object, as a list has few kinds of them."""
    row = connection.execute("SELECT value FROM settings WHERE key = ?", (VERSION_KEY,)).fetchone()
    kinds: dict[Card, Card] = {}
    cards: dict[str, Card] = {}
    for uid, standing, producer, species in connection.execute("SELECT uid, standing, producer, species FROM cards"):
        card = Card(CardStanding(standing), producer, species)
        cards[uid] = kinds.setdefault(card, card)
    return Catalogue(row[0] if row else "", cards)
