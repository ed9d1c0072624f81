"""The cached card list: answers come from memory, so that a card never waits for a disk or a network."""

from collections.abc import Iterable, Mapping

from tortoise.transactions import in_transaction

from scaleledger.domain.gateway import CardStanding
from scaleledger.store.orm import Orm
from scaleledger.store.tables import Card


class Cards:
    """The list as last received or configured. While there is none at all, every card is known."""

    def __init__(self, orm: Orm, cards: Mapping[str, CardStanding]) -> None:
        self._orm = orm
        self._cards: Mapping[str, CardStanding] | None = cards or None

    @property
    def empty(self) -> bool:
        """There is no list at all."""
        return self._cards is None

    def standing(self, uid: str) -> CardStanding:
        """What the list says of a card."""
        if self._cards is None:
            return CardStanding.KNOWN
        return self._cards.get(uid, CardStanding.UNKNOWN)

    def replace(self, known: Iterable[str] | None) -> None:
        """Put a configured list in the old one's place, in memory, in one step; None means that every card is known."""
        self._cards = None if known is None else dict.fromkeys(known, CardStanding.KNOWN)

    async def keep(self, cards: Mapping[str, tuple[CardStanding, str]]) -> None:
        """Put a received list (uid → standing, label) in the old one's place, on disk too, wholly or not at all."""
        await self._orm.run(_replace(cards))
        self._cards = {uid: standing for uid, (standing, _) in cards.items()}


async def load_cards() -> dict[str, CardStanding]:
    """The stored list."""
    rows = await Card.all().values_list("uid", "standing")
    return {uid: CardStanding(standing) for uid, standing in rows}


async def _replace(cards: Mapping[str, tuple[CardStanding, str]]) -> None:
    async with in_transaction():
        await Card.all().delete()
        await Card.bulk_create(
            [Card(uid=uid, standing=standing.value, label=label) for uid, (standing, label) in cards.items()],
            batch_size=500,
        )
