"""Getting something of a link onto the disk, however often the disk refuses it, for as long as the link lasts.

The ledger's numbers are the order in which a scale's events are told on. So once one was refused, those behind it wait until
it is kept, and are offered in their order.
"""

import asyncio
from bisect import bisect_left, insort
from datetime import datetime

from scaleledger.app.registry import DialledIn, Registry
from scaleledger.domain.errors import LedgerError, StoreError, StoreFull
from scaleledger.domain.weighing import Draft, Record
from scaleledger.observe.log import get_logger

log = get_logger()

FIRST_RETRY_S, LAST_RETRY_S = 0.5, 5.0
NOT_A_RECORD = "not-a-record"


class Keeping:
    """What one link wants kept. `over` is set when the link ends: then nothing is tried again, as the scale will repeat it."""

    def __init__(self, registry: Registry, seen: DialledIn) -> None:
        self.over = asyncio.Event()
        self._registry = registry
        self._seen = seen
        self._offered = 0
        self._refused: list[int] = []  # turns, in order
        self._settled: dict[int, asyncio.Event] = {}

    async def append(self, draft: Draft) -> Record | None:
        """The record once it is durable; None when the link ended before, or the draft can be no record at all."""
        self._offered += 1
        turn = self._offered
        try:
            return await self._append(draft, turn)
        finally:
            if (settled := self._settled.pop(turn, None)) is not None:
                self._refused.remove(turn)
                settled.set()

    async def _append(self, draft: Draft, turn: int) -> Record | None:
        wait_s = FIRST_RETRY_S
        while await self._has_its_turn(turn):
            try:
                return await self._registry.ledger.append(draft)
            except StoreError as failure:
                if turn not in self._settled:
                    insort(self._refused, turn)
                    self._settled[turn] = asyncio.Event()
                event = "sys.store_full" if isinstance(failure, StoreFull) else "sys.store_failed"
                log.error(event, station=draft.station, uuid=draft.uuid, error=str(failure))
            except LedgerError as failure:
                log.error("biz.refused", station=draft.station, uuid=draft.uuid, error=str(failure))
                await self.reject(NOT_A_RECORD, draft.raw, self._registry.clock.now())
                return None
            if await self._ends_within(wait_s):
                return None
            wait_s = min(2 * wait_s, LAST_RETRY_S)
        return None

    async def _has_its_turn(self, turn: int) -> bool:
        """Wait until nothing that was offered before this is refused; whether the link is still there, if there was such."""
        while place := bisect_left(self._refused, turn):
            await self._settled[self._refused[place - 1]].wait()
            if self.over.is_set():
                return False
        return True

    async def reject(self, reason: str, line: bytes, at: datetime) -> bool:
        """Keep a line among the rejected ones; whether it is durable."""
        device, seen, wait_s = self._seen.device, self._seen, FIRST_RETRY_S
        device_id = device.card.device_id if device is not None else ""
        while True:
            try:
                await self._registry.rejected.keep(
                    listener=seen.rules.name,
                    device_id=device_id,
                    peer=seen.link.peer,
                    reason=reason,
                    line=line,
                    at=at,
                )
            except StoreError as failure:
                log.error("sys.store_failed", peer=seen.link.peer, what=reason, error=str(failure))
            else:
                return True
            if await self._ends_within(wait_s):
                return False
            wait_s = min(2 * wait_s, LAST_RETRY_S)

    async def _ends_within(self, wait_s: float) -> bool:
        try:
            async with asyncio.timeout(wait_s):
                await self.over.wait()
        except TimeoutError:
            return False
        return True
