"""Where print jobs and printers are kept: a job is durable before anybody is told that it was taken."""

from typing import Any

from tortoise.exceptions import IntegrityError

from scaleledger.domain.printing import JobSource, JobStatus, PrinterCard, PrintJob
from scaleledger.store import plant_tables as tables
from scaleledger.store.orm import Orm

FORGET_AT_ONCE = 5_000
_OPEN = (JobStatus.WAITING, JobStatus.PRINTING, JobStatus.DOUBTFUL, JobStatus.REPLACED)
_KEPT = (
    "job_id", "global_job_id", "source", "target_printer", "target_role", "printer_id", "label_count", "is_copy", "copy_of",
    "status", "acked", "attempts", "error", "created_at", "printed_at",
)  # fmt: skip
_CARD = {
    "host": "host", "port": "port", "language": "language", "role": "role", "name": "name", "priority": "priority",
    "enabled": "enabled", "source": "source", "global_printer_id": "global_id", "codepage": "codepage",
    "columns": "columns", "texts": "texts", "label_width_mm": "label_width_mm", "label_height_mm": "label_height_mm",
    "label_gap_mm": "label_gap_mm",
}  # fmt: skip


class PrintShelf:
    """Print jobs and printers on the disk; durable when a call returns. Every call raises StoreError when the disk refuses."""

    def __init__(self, orm: Orm) -> None:
        self._orm = orm

    async def add(self, job: PrintJob, content: bytes) -> PrintJob:
        """Keep a new job; the stored one if its id, or the cloud's id of it, is known already."""
        return await self._orm.run(_add(job, content))

    async def keep(self, job: PrintJob) -> None:
        """Replace all but the content and what the cloud has taken."""
        await self._orm.run(_keep(job))

    async def open_jobs(self) -> list[PrintJob]:
        """All that are not over, oldest first."""
        return await self._orm.run(_listed(_OPEN, None))

    async def newest(self, limit: int) -> list[PrintJob]:
        """The newest jobs of any status, newest first."""
        return await self._orm.run(_listed(None, limit))

    async def job(self, job_id: str) -> PrintJob | None:
        """One job; None if there is none of this id (any more)."""
        return await self._orm.run(_one(job_id))

    async def content(self, job_id: str) -> bytes | None:
        """What a job prints; None if there is none of this id."""
        return await self._orm.run(_content(job_id))

    async def untold(self, limit: int) -> list[PrintJob]:
        """The oldest jobs of the cloud of which it has not taken the present status."""
        return await self._orm.run(_untold(limit))

    async def note_acked(self, job_id: str, status: str) -> None:
        """The cloud has taken this status of a job."""
        await self._orm.run(_note_acked(job_id, status))

    async def forget(self, keep: int) -> None:
        """Drop jobs that are over and told, but for the newest `keep`."""
        await self._orm.run(_forget(keep))

    async def printers(self) -> list[PrinterCard]:
        """All printers, by id."""
        return await self._orm.run(_printers())

    async def keep_printer(self, card: PrinterCard) -> None:
        """Insert or replace."""
        await self._orm.run(_keep_printer(card))

    async def drop_printer(self, printer_id: str) -> None:
        """Forget a printer; its jobs stay."""
        await self._orm.run(_drop_printer(printer_id))


async def _add(job: PrintJob, content: bytes) -> PrintJob:
    stored = await _known(job)
    if stored is not None:
        return stored
    try:
        await tables.PrintJob.create(**_row(job), content=content)
    except IntegrityError:
        stored = await _known(job)
        if stored is None:
            raise
        return stored
    return job


async def _known(job: PrintJob) -> PrintJob | None:
    if job.global_job_id:
        found = await tables.PrintJob.filter(global_job_id=job.global_job_id).values(*_KEPT)
        if found:
            return _job(found[0])
    return await _one(job.job_id)


async def _keep(job: PrintJob) -> None:
    row = _row(job)
    del row["acked"]  # only the cloud's answers change it, and they may come meanwhile
    await tables.PrintJob.filter(job_id=row.pop("job_id")).update(**row)


async def _listed(statuses: tuple[JobStatus, ...] | None, limit: int | None) -> list[PrintJob]:
    query = (
        tables.PrintJob.all() if statuses is None else tables.PrintJob.filter(status__in=[s.value for s in statuses])
    )
    order = ("created_at", "job_id") if limit is None else ("-created_at", "-job_id")
    query = query.order_by(*order)
    return [_job(row) for row in await (query if limit is None else query.limit(limit)).values(*_KEPT)]


async def _one(job_id: str) -> PrintJob | None:
    found = await tables.PrintJob.filter(job_id=job_id).values(*_KEPT)
    return _job(found[0]) if found else None


async def _content(job_id: str) -> bytes | None:
    found = await tables.PrintJob.filter(job_id=job_id).values_list("content", flat=True)
    return bytes(found[0]) if found else None


async def _untold(limit: int) -> list[PrintJob]:
    rows = tables.PrintJob.filter(global_job_id__isnull=False).exclude(acked__in=["completed", "failed"])
    found = [_job(row) for row in await rows.order_by("created_at", "job_id").values(*_KEPT)]
    return [job for job in found if job.acked != job.owes][:limit]


async def _note_acked(job_id: str, status: str) -> None:
    await tables.PrintJob.filter(job_id=job_id).update(acked=status)


async def _forget(keep: int) -> None:
    over = [status.value for status in JobStatus if status.is_over]
    rows = tables.PrintJob.filter(status__in=over).order_by("-created_at", "-job_id").offset(keep).limit(FORGET_AT_ONCE)
    old = [_job(row) for row in await rows.values(*_KEPT)]
    gone = [job.job_id for job in old if job.acked == job.owes]
    for start in range(0, len(gone), 500):
        await tables.PrintJob.filter(job_id__in=gone[start : start + 500]).delete()


async def _printers() -> list[PrinterCard]:
    rows = await tables.Printer.all().order_by("printer_id").values("printer_id", *_CARD)
    return [PrinterCard(row["printer_id"], **{name: row[column] for column, name in _CARD.items()}) for row in rows]


async def _keep_printer(card: PrinterCard) -> None:
    values = {column: getattr(card, name) for column, name in _CARD.items()}
    await tables.Printer.update_or_create(defaults=values, printer_id=card.printer_id)


async def _drop_printer(printer_id: str) -> None:
    await tables.Printer.filter(printer_id=printer_id).delete()


def _row(job: PrintJob) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(job, name) for name in _KEPT}
    return row | {"global_job_id": job.global_job_id or None, "source": job.source.value, "status": job.status.value}


def _job(row: dict[str, Any]) -> PrintJob:
    told = {
        "global_job_id": row["global_job_id"] or "",
        "source": JobSource(row["source"]),
        "status": JobStatus(row["status"]),
    }
    return PrintJob(**(row | told))
