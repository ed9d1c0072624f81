"""Lines that could not be taken as weighings: the only trace of what a scale sent then, so their bytes are kept as they came.

The same line from the same device again only counts. When there are more than ROWS_MAX, the oldest go, and the log says so.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tortoise.expressions import F
from tortoise.transactions import in_transaction

from scaleledger.domain.errors import StoreError
from scaleledger.observe.log import get_logger
from scaleledger.store.orm import Orm
from scaleledger.store.plant_tables import RejectedLine

ROWS_MAX = 10_000
TRIMMED_BY = 500
LINE_BYTES_MAX = 4_096

log = get_logger()


@dataclass(frozen=True, slots=True)
class Rejected:
    """One kept line. `times` it came, from `first_at` to `last_at` (aware, UTC)."""

    id: int
    listener: str
    device_id: str
    peer: str
    reason: str
    line: bytes
    first_at: datetime
    last_at: datetime
    times: int


@dataclass(eq=False, slots=True)
class _Due:
    """A line that is to be kept, and what became of it."""

    row: RejectedLine
    done: bool = False
    failure: StoreError | None = None


class RejectedShelf:
    """Keeps and lists rejected lines. Those that come while others are written are written together."""

    def __init__(self, orm: Orm) -> None:
        self._orm = orm
        self._due: list[_Due] = []
        self._writing = asyncio.Lock()

    async def keep(self, *, listener: str, device_id: str, peer: str, reason: str, line: bytes, at: datetime) -> None:
        """Durable when it returns; at most the first LINE_BYTES_MAX bytes. Raises StoreError."""
        row = RejectedLine(
            listener=listener,
            device_id=device_id,
            peer=peer[:100],
            reason=reason[:50],
            line=line[:LINE_BYTES_MAX],
            first_at=at,
            last_at=at,
        )
        self._due.append(due := _Due(row))
        async with self._writing:
            if not due.done:
                await self._write()
        if due.failure is not None:
            raise due.failure

    async def _write(self) -> None:
        together, self._due = self._due, []
        failure: StoreError | None = StoreError("it was not seen whether the line was kept")
        try:
            await self._orm.run(_keep_all([due.row for due in together]))
        except StoreError as error:
            failure = error
        else:
            failure = None
        finally:
            for due in together:
                due.done, due.failure = True, failure

    async def newest(self, limit: int, before: int = 0) -> Sequence[Rejected]:
        """The last lines, newest first; with `before`, those with a smaller id."""
        return await self._orm.run(_newest(limit, before))

    async def count(self) -> int:
        """How many different lines are kept."""
        return await self._orm.run(_count())


async def _keep_all(rows: Sequence[RejectedLine]) -> None:
    async with in_transaction():
        await RejectedLine.filter(id=0).update(
            times=0
        )  # a transaction that reads first is refused where another wrote since
        for row in rows:
            await _keep(row)


async def _keep(row: RejectedLine) -> None:
    same = RejectedLine.filter(listener=row.listener, device_id=row.device_id, reason=row.reason, line=row.line)
    found = await same.order_by("-id").first() if row.device_id else await same.filter(peer=row.peer).first()
    if found is not None:
        await RejectedLine.filter(id=found.id).update(times=F("times") + 1, last_at=row.last_at, peer=row.peer)
        return
    await row.save()
    if row.id % TRIMMED_BY == 0:
        await _trim()


async def _trim() -> None:
    kept = await RejectedLine.all().order_by("-id").offset(ROWS_MAX - 1).first()
    if kept is None:
        return
    dropped = await RejectedLine.filter(id__lt=kept.id).delete()
    if dropped:
        log.error("sys.rejected_dropped", lines=dropped, kept=ROWS_MAX)


async def _newest(limit: int, before: int) -> list[Rejected]:
    rows = RejectedLine.filter(id__lt=before) if before else RejectedLine.all()
    names = Rejected.__dataclass_fields__
    return [Rejected(*(getattr(row, name) for name in names)) for row in await rows.order_by("-id").limit(limit)]


async def _count() -> int:
    return await RejectedLine.all().count()
