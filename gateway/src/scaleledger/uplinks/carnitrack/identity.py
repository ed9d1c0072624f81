"""Who this gateway is to its cloud: the edge's uuid, which the cloud gave it, and its site.

The name is kept before it is used: an edge that forgot the name it was given would register anew, and leave an orphan at
the cloud.
"""

from typing import Protocol

from scaleledger.domain.errors import LinkError, StoreError
from scaleledger.uplinks.carnitrack.answers import Registered

EDGE_ID, SITE_ID, SITE_NAME, API_KEY = (
    "carnitrack.edge_id",
    "carnitrack.site_id",
    "carnitrack.site_name",
    "carnitrack.api_key",
)


class EdgeShelf(Protocol):
    """Where the name is kept over restarts: small texts by key, sealed at rest."""

    async def load(self, key: str) -> str:
        """The text kept under this key; "" if there is none."""
        ...

    async def keep(self, key: str, text: str) -> None:
        """Durable when it returns."""
        ...


class EdgeName:
    """The name in use; `generation` counts the answers it was taken from. `site_id` is the cloud's word, else ours."""

    def __init__(self, shelf: EdgeShelf, *, site_id: str = "", site_name: str = "", api_key: str = "") -> None:
        self._shelf = shelf
        self._kept: dict[str, str] = {}
        self._loaded = False
        self.edge_id = ""
        self.site_id, self.site_name = site_id, site_name
        self.api_key = api_key
        self.generation = 0

    async def load(self) -> None:
        """Remember what was kept; once. Raises LinkError when the disk does not say it: better no link than a second name."""
        if self._loaded:
            return
        try:
            kept = {key: await self._shelf.load(key) for key in (EDGE_ID, SITE_ID, SITE_NAME, API_KEY)}
        except StoreError as error:
            raise LinkError(f"the name that the cloud knows this gateway by cannot be read: {error}") from error
        self._kept = kept
        self.edge_id = kept[EDGE_ID]
        self.site_id = kept[SITE_ID] or self.site_id
        self.site_name = kept[SITE_NAME] or self.site_name
        self.api_key = self.api_key or kept[API_KEY]
        self._loaded = True

    async def take(self, registered: Registered) -> None:
        """The cloud named us: keep it, then use it. Raises LinkError if it cannot be kept."""
        told = {
            EDGE_ID: registered.edge_id,
            SITE_ID: registered.site_id,
            SITE_NAME: registered.site_name,
            API_KEY: registered.api_key,
        }
        try:
            for key, text in told.items():
                if text and text != self._kept.get(key):
                    await self._shelf.keep(key, text)
                    self._kept[key] = text
        except StoreError as error:
            raise LinkError(f"the name that the cloud gave this gateway cannot be kept: {error}") from error
        self.edge_id = registered.edge_id
        self.site_id = registered.site_id or self.site_id
        self.site_name = registered.site_name or self.site_name
        self.api_key = registered.api_key or self.api_key
        self.generation += 1
