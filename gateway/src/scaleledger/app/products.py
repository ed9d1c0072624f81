"""Product files for the scales: the cloud's list, fetched when it is new, made into one file per family of scales.

A list that cannot be fetched or kept changes nothing: the files of the last one stay. Files are also written to a folder,
whole or not at all, for whoever carries them to the scales on a stick.
"""

import asyncio
import os
import random
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

from scaleledger.app.backoff import Backoff
from scaleledger.app.ports import Clock
from scaleledger.domain.cloud import PluList
from scaleledger.domain.errors import CentreRefusal, LinkError, NotOffered, StoreError
from scaleledger.observe.log import get_logger
from scaleledger.plu import Written, family

log = get_logger()

LOOK_AGAIN_S = 600.0  # without news, the fallback look


class ListSource(Protocol):
    """Where the list comes from."""

    async def fetch_plu(self, version: str) -> PluList | None:
        """The product list; None while it is still that of `version`. Raises NotOffered, LinkError."""
        ...


class Shelf(Protocol):
    """Where the list and its files are kept."""

    async def load(self) -> PluList | None: ...

    async def keep(self, products: PluList, at: datetime) -> None: ...

    async def keep_file(self, family: str, version: str, content: bytes, item_count: int, at: datetime) -> str:
        """Keep a file; its SHA-256."""
        ...


class Products:
    """Keeps the files at the cloud's newest list; `run` it as one task. Files go below `folder`, one folder per family.

    `version` is that of the files; `left_out` names, per family, the products that its file cannot hold, and why.
    """

    def __init__(
        self,
        source: ListSource,
        shelf: Shelf,
        *,
        families: Sequence[str],
        folder: Path,
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self._source, self._shelf = source, shelf
        self._families, self._folder, self._clock = families, folder, clock
        self._backoff = Backoff(rng)
        self._asked = asyncio.Event()
        self._told = ""
        self.version = ""
        self.left_out: dict[str, tuple[tuple[str, str], ...]] = {}

    def ask(self) -> None:
        """There may be a newer list: look soon."""
        self._asked.set()

    async def run(self) -> None:
        """Make the files of the stored list, then follow the cloud's until cancelled."""
        try:
            stored = await self._shelf.load()
            if stored is not None:
                await self._make(stored)
        except StoreError as error:
            log.warning("net.fetch_failed", what="products", reason=str(error))
        while True:
            self._asked.clear()
            wait_s = await self._look()
            try:
                async with asyncio.timeout(wait_s):
                    await self._asked.wait()
            except TimeoutError:
                continue

    async def _look(self) -> float:
        """Fetch if there is news; how long to wait before the next look without any."""
        try:
            found = await self._source.fetch_plu(self.version)
            if found is not None:
                await self._shelf.keep(found, self._clock.now())
                await self._make(found)
        except NotOffered:
            return LOOK_AGAIN_S
        except (LinkError, CentreRefusal, StoreError) as error:
            if str(error) != self._told:
                self._told = str(error)
                log.warning("net.fetch_failed", what="products", reason=str(error))
            return self._backoff.next_s()
        self._told = ""
        self._backoff.reset()
        return LOOK_AGAIN_S

    async def _make(self, products: PluList) -> None:
        for name in self._families:
            written = family(name).write(products.items)
            self.left_out[name] = written.left_out
            sha256 = await self._shelf.keep_file(
                name, products.version, written.content, written.item_count, self._clock.now()
            )
            await asyncio.to_thread(put, self._folder / name, written)
            for number, why in written.left_out[:10]:
                log.warning("biz.product_left_out", family=name, number=number, why=why)
            log.info("biz.products", family=name, version=products.version, items=written.item_count, sha256=sha256)
        self.version = products.version


def put(folder: Path, written: Written) -> None:
    """The file in its folder, whole or not at all. A folder that cannot be written is said, and costs the file in the store nothing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f"{written.name}.part"
        with part.open("wb") as file:
            file.write(written.content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(folder / written.name)
    except OSError as failure:
        log.warning("sys.file_not_written", file=str(folder / written.name), reason=str(failure))
