"""The cached card list: answers come from memory, so that a card never waits for a disk or a network."""

from collections.abc import Mapping

from tortoise.transactions import in_transaction

from scaleledger.domain.gateway import CardStanding
from scaleledger.store.orm import Orm
from scaleledger.store.tables import Card


class Cards:
    """The list as last received. While it is empty no card is known, and none is refused for that: see `empty`."""

    def __init__(self, orm: Orm, cards: Mapping[str, CardStanding]) -> None:
        self._orm = orm
        self._cards = dict(cards)

    @property
    def empty(self) -> bool:
        """No list was ever received."""
        return not self._cards

    def standing(self, uid: str) -> CardStanding:
        """What the list says of a card."""
        return self._cards.get(uid, CardStanding.UNKNOWN)

    async def replace(self, cards: Mapping[str, tuple[CardStanding, str]]) -> None:
        """Put a new list (uid → standing, label) in the old one's place, wholly or not at all."""
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
