"""A slip of every weighing, as soon as it is durable, where a printer for slips is known.

It follows the ledger, so nothing on the line waits for a printer. A slip's job has its id from the record's uuid: the newest
records are offered again after a start, and none is printed twice.
"""

import asyncio
from datetime import timedelta
from typing import Protocol

from scaleledger.app.ports import Clock, Outbox
from scaleledger.app.spool import Spool
from scaleledger.domain.errors import PrintRefused, StoreError
from scaleledger.domain.weighing import Record
from scaleledger.observe.log import get_logger

log = get_logger()
AT_ONCE, RETRY_S = 50, 5.0
LATE = timedelta(minutes=2)
"""After a start, a slip is printed of a weighing that is no older than this."""


class NewRecords(Protocol):
    """What the ledger holds, read forwards."""

    async def after(self, seq: int, limit: int) -> list[Record]:
        """Weighings among the next `limit` records with a greater number, oldest first. Raises StoreError."""
        ...


class Slips:
    """Run it as one task. `seq` is the ledger's newest number at the start."""

    def __init__(self, spool: Spool, records: NewRecords, outbox: Outbox, clock: Clock, seq: int) -> None:
        self._spool, self._records, self._outbox, self._clock = spool, records, outbox, clock
        self._start = seq
        self._seen = max(0, seq - AT_ONCE)

    async def run(self) -> None:
        """Print until cancelled."""
        while True:
            try:
                newest = await self._outbox.wait_for_append(self._seen)
                await self._print_upto(newest)
            except StoreError as failure:
                log.warning("biz.slip_refused", why=str(failure))
                await asyncio.sleep(RETRY_S)

    async def _print_upto(self, newest: int) -> None:
        while self._seen < newest:
            before = self._seen
            for record in await self._records.after(self._seen, AT_ONCE):
                if record.seq > self._start or record.measured_at >= self._clock.now() - LATE:
                    await self._print(record)
                self._seen = record.seq
            self._seen = max(self._seen, min(before + AT_ONCE, newest))

    async def _print(self, record: Record) -> None:
        try:
            await self._spool.print_slip(record)
        except PrintRefused as why:
            log.warning("biz.slip_refused", uuid=record.uuid, why=str(why))
