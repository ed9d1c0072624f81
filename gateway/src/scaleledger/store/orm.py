"""Tortoise beside the writer: the gateway's row, the cards and all reading, on a connection of its own.

Tortoise finds its connection through a context variable. Each store keeps a context and runs its queries inside it, so
several stores live in one process without seeing each other.
"""

import asyncio
import contextvars
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.context import TortoiseContext
from tortoise.exceptions import BaseORMException

from scaleledger.domain.errors import StoreError
from scaleledger.store.connection import BUSY_TIMEOUT_S, PRAGMAS, WAL_PAGES, require

T = TypeVar("T")
APP = "ledger"


def settings(path: Path, *, foreign_keys: str = "ON") -> dict[str, Any]:
    """Tortoise's configuration for one database file."""
    credentials = {
        "file_path": str(path),
        "journal_mode": "WAL",
        "synchronous": "FULL",
        "busy_timeout": int(BUSY_TIMEOUT_S * 1000),
        "foreign_keys": foreign_keys,
        "journal_size_limit": -1,
        "wal_autocheckpoint": WAL_PAGES,
    }
    return {
        "connections": {"default": {"engine": "tortoise.backends.sqlite", "credentials": credentials}},
        "apps": {
            APP: {
                "models": ["scaleledger.store.tables", "scaleledger.store.plant_tables"],
                "default_connection": "default",
                "migrations": "scaleledger.store.migrations",
            }
        },
        "use_tz": True,
        "timezone": "UTC",
    }


class Orm:
    """One Tortoise connection to one database."""

    def __init__(self) -> None:
        self._tortoise = TortoiseContext()
        self._context = contextvars.copy_context()
        self._context.run(self._tortoise.__enter__)

    async def open(self, path: Path, *, foreign_keys: str = "ON") -> None:
        """Connect, and read the pragmas back. Raises StoreUnusable."""
        await self.run(self._tortoise.init(config=settings(path, foreign_keys=foreign_keys)))
        for name, wanted in PRAGMAS.items():
            _, rows = await self.run(self.client.execute_query(f"PRAGMA {name}"))
            require(name, rows[0][0], wanted)

    @property
    def client(self) -> BaseDBAsyncClient:
        """The connection itself; use it within `run`."""
        return self._tortoise.db()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Await `work` where Tortoise finds this connection. Raises StoreError when the database refuses.

        Whoever is cancelled meanwhile waits until the work has ended: cut short between BEGIN and COMMIT, it would leave the
        one connection inside a transaction, for everybody. Each work has its own copy of the context, as Tortoise keeps there
        which transaction it is in: shared, what others write meanwhile would be undone with a transaction that fails.
        """
        task = asyncio.get_running_loop().create_task(work, context=self._context.copy())
        try:
            return await asyncio.shield(task)
        except BaseORMException as error:
            raise StoreError(f"the database refused: {error}") from error
        except asyncio.CancelledError:
            await asyncio.wait({task})
            if not task.cancelled():
                task.exception()  # nobody is left who wants to know
            raise

    async def close(self) -> None:
        """Close the connection."""
        await self.run(self._tortoise.close_connections())
