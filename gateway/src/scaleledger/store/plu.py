"""The product list as last fetched, and the files made of it. Files are few and small; old ones are dropped."""

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from scaleledger.domain.cloud import PluItem, PluList
from scaleledger.store.orm import Orm
from scaleledger.store.plant_tables import PluCatalogue, PluFile

_ROW = 1
FILES_KEPT = 10  # per family


@dataclass(frozen=True, slots=True)
class PluFileCard:
    """One file as the dashboard lists it; `downloaded_at` is None until somebody took it."""

    id: int
    family: str
    version: str
    sha256: str
    item_count: int
    generated_at: datetime
    downloaded_at: datetime | None


class PluShelf:
    """Where the list and its files are kept."""

    def __init__(self, orm: Orm) -> None:
        self._orm = orm

    async def load(self) -> PluList | None:
        """The list as last kept; None if there is none, or it cannot be read (the cloud is asked again)."""
        return await self._orm.run(_load())

    async def keep(self, products: PluList, at: datetime) -> None:
        """Put a list in the old one's place."""
        await self._orm.run(_keep(products, at))

    async def keep_file(self, family: str, version: str, content: bytes, item_count: int, at: datetime) -> str:
        """Keep a file; its SHA-256. One that is there already, by its bytes, only becomes the newest."""
        sha256 = hashlib.sha256(content).hexdigest()
        fields = {"version": version, "generated_at": at}
        await self._orm.run(_keep_file(family, sha256, content, item_count, fields))
        return sha256

    async def files(self) -> list[PluFileCard]:
        """All kept files, newest first."""
        return await self._orm.run(_files())

    async def content(self, file_id: int) -> tuple[PluFileCard, bytes] | None:
        """One file; None if it is not kept (any more)."""
        return await self._orm.run(_content(file_id))

    async def note_download(self, file_id: int, at: datetime) -> None:
        """Somebody took this file."""
        await self._orm.run(_note_download(file_id, at))


async def _load() -> PluList | None:
    row = await PluCatalogue.get_or_none(id=_ROW)
    if row is None:
        return None
    try:
        return PluList(row.version, tuple(PluItem(**found) for found in json.loads(row.items)))
    except (ValueError, TypeError):
        return None


async def _keep(products: PluList, at: datetime) -> None:
    text = json.dumps([asdict(item) for item in products.items], ensure_ascii=False)
    values = {"version": products.version, "items": text, "fetched_at": at}
    await PluCatalogue.update_or_create(defaults=values, id=_ROW)


def _card(row: PluFile) -> PluFileCard:
    return PluFileCard(row.id, row.family, row.version, row.sha256, row.item_count, row.generated_at, row.downloaded_at)


async def _keep_file(family: str, sha256: str, content: bytes, item_count: int, fields: dict[str, Any]) -> None:
    if not await PluFile.filter(family=family, sha256=sha256).update(**fields):
        await PluFile.create(family=family, sha256=sha256, item_count=item_count, content=content, **fields)
    kept = await PluFile.filter(family=family).order_by("-generated_at", "-id").limit(FILES_KEPT)
    await PluFile.filter(family=family).exclude(id__in=[row.id for row in kept]).delete()


async def _files() -> list[PluFileCard]:
    return [_card(row) for row in await PluFile.all().order_by("-generated_at", "-id")]


async def _content(file_id: int) -> tuple[PluFileCard, bytes] | None:
    row = await PluFile.get_or_none(id=file_id)
    return (_card(row), bytes(row.content)) if row is not None else None


async def _note_download(file_id: int, at: datetime) -> None:
    await PluFile.filter(id=file_id).update(downloaded_at=at)
