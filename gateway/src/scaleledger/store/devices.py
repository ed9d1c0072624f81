"""Devices that dialled in, as last kept: what people call them, when they were seen, what they counted."""

from collections.abc import Sequence
from dataclasses import asdict

from scaleledger.domain.device import DeviceCard
from scaleledger.store.orm import Orm
from scaleledger.store.plant_tables import Device

_COLUMNS = tuple(name for name in DeviceCard.__dataclass_fields__ if name != "device_id")


class Devices:
    """Loads and keeps device cards, all of a call in one transaction."""

    def __init__(self, orm: Orm) -> None:
        self._orm = orm

    async def load(self) -> list[DeviceCard]:
        """All cards, by device id."""
        return await self._orm.run(_load())

    async def keep(self, cards: Sequence[DeviceCard]) -> None:
        """Insert or replace. A card without `first_seen_at` is refused by the table."""
        if cards:
            await self._orm.run(_keep(cards))


async def _load() -> list[DeviceCard]:
    rows = await Device.all().order_by("device_id")
    return [DeviceCard(row.device_id, *(getattr(row, name) for name in _COLUMNS)) for row in rows]


async def _keep(cards: Sequence[DeviceCard]) -> None:
    await Device.bulk_create(
        [Device(**asdict(card)) for card in cards], on_conflict=["device_id"], update_fields=_COLUMNS
    )
