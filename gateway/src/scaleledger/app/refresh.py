"""Keeps one thing of the centre's up to date: fetched when asked for, and the last good one stays whatever happens."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from scaleledger.app.backoff import Backoff
from scaleledger.domain.errors import CentreRefusal, LinkError, NotOffered, StoreError
from scaleledger.observe.log import get_logger

log = get_logger()
T = TypeVar("T")


class Ready(Protocol):
    """The way to the centre, as far as a fetch waits for it."""

    async def wait_ready(self) -> None:
        """Return when there is a token to ask with."""
        ...


@dataclass(frozen=True, slots=True)
class Subject(Generic[T]):
    """What is fetched. `version` is of what is held now; `fetch` gives None while that is the centre's too."""

    name: str
    version: Callable[[], str]
    fetch: Callable[[str], Awaitable[T | None]]
    take: Callable[[T], Awaitable[None]]


class Refresh(Generic[T]):
    """Fetches its subject anew whenever asked; run it as one task. Asked while it fetches, it fetches once more."""

    def __init__(self, subject: Subject[T], way: Ready, rng: random.Random) -> None:
        self._subject, self._way = subject, way
        self._backoff = Backoff(rng)
        self._asked = asyncio.Event()
        self._told = ""

    def ask(self) -> None:
        """It may have changed: fetch it. Ends a wait after a failure."""
        self._asked.set()

    def compare(self, version: str) -> None:
        """The centre holds this version now; "" if it does not say."""
        if version and version != self._subject.version():
            self.ask()

    async def run(self) -> None:
        """Fetch at the start, and whenever asked, until cancelled. What fails is tried again, ever more slowly."""
        self._asked.set()
        while True:
            await self._asked.wait()
            await self._way.wait_ready()
            self._asked.clear()
            try:
                found = await self._subject.fetch(self._subject.version())
                if found is not None:
                    await self._subject.take(found)
            except NotOffered as error:
                self._tell(error)  # asked again at the next occasion
            except (LinkError, CentreRefusal, StoreError) as error:
                self._tell(error)
                wished_s = error.retry_after_s if isinstance(error, LinkError) else None
                await self._rest(max(self._backoff.next_s(), wished_s or 0.0))
            else:
                self._told = ""
                self._backoff.reset()

    def _tell(self, error: Exception) -> None:
        if str(error) != self._told:
            self._told = str(error)
            log.warning("net.fetch_failed", what=self._subject.name, reason=self._told)

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._asked.wait()
        except TimeoutError:
            self.ask()
