"""Under which name a cloud knows this gateway: small texts by key, sealed at rest like every credential.

Only the gateway's own key file opens them, so a copied database names nobody. What cannot be unsealed reads as nothing:
the cloud is then asked for a name again.
"""

from pathlib import Path

from scaleledger.domain.errors import StoreUnusable
from scaleledger.store.connection import UNREADABLE
from scaleledger.store.folder import DATABASE, KEY
from scaleledger.store.offline import opened
from scaleledger.store.orm import Orm
from scaleledger.store.signing import SigningKey, load_key
from scaleledger.store.tables import Setting

KEY_CHARS_MAX = 50
TEXT_CHARS_MAX = 4_000


class EdgeIdentity:
    """Loads and keeps texts in the table of settings."""

    def __init__(self, orm: Orm, key: SigningKey) -> None:
        self._orm, self._key = orm, key

    async def load(self, key: str) -> str:
        """The text kept under this key; "" if there is none. Raises StoreError."""
        row = await self._orm.run(_find(key))
        return "" if row is None else self._key.unseal(row.value)

    async def keep(self, key: str, text: str) -> None:
        """Put a text in the place of the old one; durable when it returns. Raises StoreError."""
        assert len(key) <= KEY_CHARS_MAX, "a key is one of our own short names"
        assert len(text) <= TEXT_CHARS_MAX, "texts are bounded where they are read"
        await self._orm.run(_keep(key, self._key.seal(text)))


async def _find(key: str) -> Setting | None:
    return await Setting.get_or_none(key=key)


async def _keep(key: str, value: str) -> None:
    await Setting.update_or_create(defaults={"value": value}, key=key)


def read_kept(folder: Path, key: str) -> str:
    """The text kept in a data folder, whether a gateway runs on it or not; "" if there is none that can be read."""
    try:
        with opened(folder / DATABASE) as connection:
            row = connection.execute("SELECT value FROM settings WHERE key = ?", (key,)).fetchone()
        return "" if row is None else load_key(folder / KEY).unseal(str(row[0]))
    except (StoreUnusable, *UNREADABLE):
        return ""
