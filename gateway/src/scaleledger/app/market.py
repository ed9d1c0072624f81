"""Market data on the gateway: which cards are known and what they stand for, taken from the centre as a whole."""

import random
from typing import Protocol

from scaleledger.app.refresh import Ready, Refresh, Subject
from scaleledger.domain.catalogue import Catalogue
from scaleledger.observe.log import get_logger

log = get_logger()


class CardList(Protocol):
    """The cached card list."""

    @property
    def version(self) -> str:
        """What the centre calls the list that is held."""
        ...

    async def keep(self, catalogue: Catalogue) -> None:
        """Put a list in the old one's place, wholly or not at all. Raises StoreError."""
        ...


class Stall(Ready, Protocol):
    """The centre's side of the market."""

    async def fetch_catalogue(self, version: str) -> Catalogue | None:
        """The market data; None while it is still that of `version`."""
        ...


def market(centre: Stall, cards: CardList, rng: random.Random) -> Refresh[Catalogue]:
    """What keeps `cards` as the centre has them."""

    async def take(catalogue: Catalogue) -> None:
        await cards.keep(catalogue)
        log.info("net.market", version=catalogue.version, cards=len(catalogue.cards))

    return Refresh(Subject("market", lambda: cards.version, centre.fetch_catalogue, take), centre, rng)
