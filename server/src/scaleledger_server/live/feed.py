"""The database's part of what pages show: read once for all pages of this worker that ask at the same time."""

import asyncio
import logging
from collections.abc import Callable, Mapping

from django.db import DatabaseError

from scaleledger_server.live import centre, queries
from scaleledger_server.live.hub import Key, as_json

log = logging.getLogger(__name__)

TOGETHER_S = 0.2
RETRY_S = 2.0
NAMES_KEPT_MAX = 10_000
NAMES_KEPT_S = 30.0
NO_NAMES = ("", "")


class Feed:
    """Looks up snapshots, after news of weighings what the last ones are now, and what presented cards stand for."""

    def __init__(self) -> None:
        self._looking: dict[frozenset[int], asyncio.Task[list[queries.Shown]]] = {}
        self._due: set[int] = set()
        self._work = asyncio.Event()
        self._clock = asyncio.get_running_loop().time
        self._names: dict[str, tuple[float, tuple[str, str]]] = {}
        self._naming: set[asyncio.Task[None]] = set()

    async def shown(self, gateway_ids: frozenset[int]) -> list[queries.Shown]:
        """The stations of these gateways. Pages that ask while the first one's question is not yet put share its answer."""
        task = self._looking.get(gateway_ids)
        if task is None:
            task = asyncio.create_task(self._look(gateway_ids))
            self._looking[gateway_ids] = task
        return await asyncio.shield(task)

    async def _look(self, gateway_ids: frozenset[int]) -> list[queries.Shown]:
        await asyncio.sleep(0)  # let all that wake up in this turn of the loop join in
        del self._looking[gateway_ids]  # whoever asks from now on may know of something newer
        return await centre.ask(queries.shown, gateway_ids)

    def news(self, gateway_id: int) -> None:
        """Records of this gateway were taken in."""
        self._due.add(gateway_id)
        self._work.set()

    async def follow(self, tell: Callable[[Mapping[Key, str]], None]) -> None:
        """After news, `tell` the last weighing of each station (as JSON); without end."""
        while True:
            await self._work.wait()
            self._work.clear()
            due, self._due = self._due, set()
            try:
                lasts = await centre.ask(queries.last_weighings, due)
            except DatabaseError as error:
                log.warning("the last weighings cannot be read: %s", error)
                self._due |= due
                self._work.set()
                await asyncio.sleep(RETRY_S)
                continue
            tell({key: as_json(last) for key, last in lasts.items()})
            await asyncio.sleep(TOGETHER_S)

    def names(self, card: str) -> tuple[str, str]:
        """Producer and species of a card as far as they are known now; asked for meanwhile when they are not, or are old."""
        until, known = self._names.get(card, (0.0, NO_NAMES))
        if self._clock() >= until and card:
            if len(self._names) >= NAMES_KEPT_MAX:
                self._names.clear()
            self._names[card] = (self._clock() + NAMES_KEPT_S, known)
            task = asyncio.create_task(self._name(card))
            self._naming.add(task)
            task.add_done_callback(self._naming.discard)
        return known

    async def _name(self, card: str) -> None:
        try:
            self._names[card] = (self._clock() + NAMES_KEPT_S, await centre.ask(queries.card_names, card))
        except DatabaseError as error:
            log.warning("what a card stands for cannot be read: %s", error)
