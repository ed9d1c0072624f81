"""Getting something of a link onto the disk, however often the disk refuses it, for as long as the link lasts."""

import asyncio
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

    async def append(self, draft: Draft) -> Record | None:
        """The record once it is durable; None when the link ended before, or the draft can be no record at all."""
        wait_s = FIRST_RETRY_S
        while True:
            try:
                return await self._registry.ledger.append(draft)
            except StoreError as failure:
                event = "sys.store_full" if isinstance(failure, StoreFull) else "sys.store_failed"
                log.error(event, station=draft.station, uuid=draft.uuid, error=str(failure))
            except LedgerError as failure:
                log.error("biz.refused", station=draft.station, uuid=draft.uuid, error=str(failure))
                await self.reject(NOT_A_RECORD, draft.raw, self._registry.clock.now())
                return None
            if await self._ends_within(wait_s):
                return None
            wait_s = min(2 * wait_s, LAST_RETRY_S)

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
