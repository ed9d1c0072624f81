"""Lines that could not be taken as weighings: the only trace of what a scale sent then, so their bytes are kept as they came.

The same line from the same device again only counts. When there are more than ROWS_MAX, the oldest go, and the log says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tortoise.expressions import F

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


class RejectedShelf:
    """Keeps and lists rejected lines."""

    def __init__(self, orm: Orm) -> None:
        self._orm = orm

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
        await self._orm.run(_keep(row))

    async def newest(self, limit: int, before: int = 0) -> Sequence[Rejected]:
        """The last lines, newest first; with `before`, those with a smaller id."""
        return await self._orm.run(_newest(limit, before))

    async def count(self) -> int:
        """How many different lines are kept."""
        return await self._orm.run(_count())


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
