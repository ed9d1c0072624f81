"""Print jobs: durable before they are accepted, printed once, one queue per printer.

Each printer has a task of its own, so none waits for another. A job waits for its printer as long as it takes; what it waits
for can be seen. From the moment at which bytes may have gone out it is never sent again by itself: it was printed, or it
is doubtful until a person says so, also over a crash. A label too few is seen at once; one too many may be on the wrong box.
"""

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import tzinfo

from scaleledger.app.ports import Clock
from scaleledger.app.press import Doubtful, NotYet, press
from scaleledger.app.print_ports import Connect, JobShelf, Pace
from scaleledger.app.print_requests import content_of
from scaleledger.app.printers import Printers
from scaleledger.domain.errors import LinkError, PrintRefused, StoreError
from scaleledger.domain.printing import JobSource, JobStatus, PrinterCard, PrintJob, PrintRequest
from scaleledger.domain.weighing import Record
from scaleledger.observe.log import get_logger
from scaleledger.printing.document import Document
from scaleledger.printing.languages import language_of
from scaleledger.printing.slip import copy_word, slip, trial

log = get_logger()
WAITING_MAX = 2_000
KEPT, FORGET_EVERY = 2_000, 200
SLIP = "slip"
_SLIPS = uuid.UUID("5b1c9f0e-57ab-4b0b-9a51-3f0f6e1a7c02")


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as people are shown it: `words` says what it waits for, or what became of it."""

    job: PrintJob
    words: str = ""


class Spool:
    """Accepts jobs, prints them, and keeps what became of them. `load` first, then `run` as one task."""

    def __init__(
        self,
        shelf: JobShelf,
        printers: Printers,
        connect: Connect,
        *,
        clock: Clock,
        new_uuid: Callable[[], str],
        zone: tzinfo,
        gateway: str = "",
        pace: Pace | None = None,
    ) -> None:
        self._shelf, self._printers, self._connect = shelf, printers, connect
        self._clock, self._new_uuid, self._zone, self._gateway = clock, new_uuid, zone, gateway
        self._pace = pace or Pace()
        self._jobs: dict[str, PrintJob] = {}
        self._waits: dict[str, str] = {}
        self._unkept: set[str] = set()
        self._ended = 0
        self._news = asyncio.Event()
        self._wakes: dict[str, asyncio.Event] = {}
        self.on_change: list[Callable[[], None]] = []
        printers.on_change.append(self._wake)

    async def load(self) -> None:
        """Take up what was left; a job that was being printed is doubtful. Raises StoreError."""
        await self._shelf.forget(KEPT)
        self._jobs = {job.job_id: job for job in await self._shelf.open_jobs()}
        await self._doubt_interrupted()

    # -- what is asked for

    async def accept(self, request: PrintRequest) -> str:
        """Take a job; returns its id when it is durable. The same `global_job_id` or `job_id` again is the same job.

        Raises PrintRefused, in words, for what cannot be printed, StoreError when the disk refuses.
        """
        content = content_of(request, self._printers)
        job = PrintJob(
            job_id=request.job_id or self._new_uuid(),
            source=request.source,
            created_at=self._clock.now(),
            global_job_id=request.global_job_id,
            target_printer=request.target_printer,
            target_role=request.target_role,
            label_count=request.label_count,
            is_copy=request.is_copy,
        )
        return await self._take(job, content)

    async def refuse(self, request: PrintRequest, why: str) -> None:
        """Keep a job of the cloud that cannot be printed, so that the cloud is told for sure."""
        job = PrintJob(
            job_id=self._new_uuid(),
            source=request.source,
            created_at=self._clock.now(),
            global_job_id=request.global_job_id,
            target_printer=request.target_printer[:64],
            target_role=request.target_role[:20],
            status=JobStatus.FAILED,
            error=why[:500],
        )
        await self._shelf.add(job, b"")
        self._changed()

    async def print_slip(self, record: Record, *, copy: bool = False) -> str | None:
        """Print a record's slip on the printer for slips; None if there is none. Asked twice, one that is no copy is printed once."""
        found = self._printers.choose(role=SLIP)
        if found is None:
            return None
        card = found.card
        document = slip(record, texts=card.texts, zone=self._zone, gateway=self._gateway)
        job_id = self._new_uuid() if copy else str(uuid.uuid5(_SLIPS, record.uuid))
        return await self._accept_ours(document, card, JobSource.SLIP, job_id, copy=copy)

    async def print_trial(self, printer_id: str) -> str:
        """A test label or slip. Raises PrintRefused, StoreError."""
        found = self._printers.view(printer_id)
        if found is None:
            raise PrintRefused(f"there is no printer {printer_id!r}")
        at = self._clock.now().astimezone(self._zone).strftime("%Y-%m-%d %H:%M:%S")
        name = found.card.name or printer_id
        document = trial(texts=found.card.texts, printer=name, at=at, gateway=self._gateway)
        return await self._accept_ours(document, found.card, JobSource.TEST, self._new_uuid())

    async def again(self, job_id: str) -> str:
        """Print a job again, as a new one that is a copy; returns its id. A doubtful one then ends as its copy does.

        Only what was rendered here can be marked on the paper. Raises PrintRefused, StoreError.
        """
        job = await self._find(job_id)
        if job.status not in {JobStatus.DOUBTFUL, JobStatus.PRINTED, JobStatus.CANCELLED}:
            raise PrintRefused(f"this job is {job.status}: printed again is what was printed, cancelled or is doubtful")
        content = await self._shelf.content(job_id)
        if not content:
            raise PrintRefused("what this job printed is not kept any more")
        copy = replace(
            job,
            job_id=self._new_uuid(),
            created_at=self._clock.now(),
            global_job_id="",
            is_copy=True,
            copy_of=job_id,
            printer_id="",
            status=JobStatus.WAITING,
            acked="",
            attempts=0,
            error="",
            printed_at=None,
        )
        if job.status is not JobStatus.DOUBTFUL:
            return await self._take(copy, content)
        if self._jobs[job_id].status is not JobStatus.DOUBTFUL:
            raise PrintRefused("somebody else has decided on this job just now")
        self._jobs[job_id] = replace(job, status=JobStatus.REPLACED)
        try:
            copy_id = await self._take(copy, content)
        except (PrintRefused, StoreError):
            self._jobs[job_id] = job
            raise
        await self._store(self._jobs[job_id])
        return copy_id

    async def came_out(self, job_id: str) -> None:
        """A person saw that a doubtful job was printed. Raises PrintRefused, StoreError."""
        job = await self._find(job_id)
        if job.status is not JobStatus.DOUBTFUL:
            raise PrintRefused(f"this job is {job.status}, there is no doubt about it")
        await self._change(job, replace(job, status=JobStatus.PRINTED, printed_at=self._clock.now(), error=""))

    async def cancel(self, job_id: str) -> None:
        """Give a job up that waits, or that is doubtful. Raises PrintRefused, StoreError."""
        job = await self._find(job_id)
        if job.status not in {JobStatus.WAITING, JobStatus.DOUBTFUL}:
            raise PrintRefused(f"this job is {job.status}: it cannot be cancelled")
        await self._change(job, replace(job, status=JobStatus.CANCELLED))

    async def jobs(self, limit: int = 100) -> list[JobView]:
        """The newest jobs, newest first. Raises StoreError."""
        stored = await self._shelf.newest(min(limit, KEPT))
        return [self._view(self._jobs.get(job.job_id, job)) for job in stored]

    def open_jobs(self) -> list[JobView]:
        """All jobs that are not over, oldest first, as they stand now."""
        return [self._view(job) for job in self._jobs.values()]

    def note_acked(self, job_id: str, status: str) -> None:
        """The cloud has taken this status of a job."""
        if (job := self._jobs.get(job_id)) is not None:
            self._jobs[job_id] = replace(job, acked=status)

    # -- the queues

    async def run(self) -> None:
        """Print until cancelled."""
        await self._doubt_interrupted()
        async with asyncio.TaskGroup() as group:
            queues: dict[str, asyncio.Task[None]] = {}
            while True:
                self._news.clear()
                for gone in queues.keys() - self._printers.ids:
                    if not any(j.printer_id == gone and j.status is JobStatus.PRINTING for j in self._jobs.values()):
                        queues.pop(gone).cancel()
                        self._wakes.pop(gone, None)
                for new in self._printers.ids - queues.keys():
                    self._wakes[new] = asyncio.Event()
                    queues[new] = group.create_task(self._serve(new))
                await self._news.wait()

    async def _serve(self, printer_id: str) -> None:
        """One printer's queue, and its health while there is nothing to print."""
        wake = self._wakes[printer_id]
        look_at = not_before = self._clock.monotonic()
        while (view := self._printers.view(printer_id)) is not None:
            wake.clear()
            await self._keep_unkept()
            now = self._clock.monotonic()
            job = self._next(printer_id) if now >= not_before else None
            if job is not None:
                if not await self._attempt(job, view.card):
                    not_before = self._clock.monotonic() + self._pace.retry_s
                look_at = self._clock.monotonic() + self._pace.health_s
                continue
            if now >= look_at:
                await self._printers.look(printer_id)
                look_at = self._clock.monotonic() + self._pace.health_s
                continue
            until = min(look_at, not_before) if not_before > now else look_at
            try:
                async with asyncio.timeout(max(until - now, 0)):
                    await wake.wait()
            except TimeoutError:
                continue

    def _next(self, printer_id: str) -> PrintJob | None:
        """The oldest waiting job that is this printer's to print now."""
        for job in self._jobs.values():
            if job.status is JobStatus.WAITING:
                chosen = self._printers.choose(printer=job.target_printer, role=job.target_role)
                if chosen is not None and chosen.card.printer_id == printer_id:
                    return job
        return None

    async def _attempt(self, job: PrintJob, card: PrinterCard) -> bool:
        """Try to print; False if nothing was sent, and it is to be tried again."""
        language = language_of(card)
        job_id, printer_id = job.job_id, card.printer_id
        try:
            content = await self._shelf.content(job_id)
            if not content:
                lost = "what it was to print is lost: the disk was damaged"
                await self._settle(replace(job, status=JobStatus.FAILED, error=lost))
                return True
            if job.is_copy and job.source.is_ours:
                content = language.mark(content, copy_word(card.texts), card)
            content *= language.repeats(content, job.label_count)
            async with self._connect(card.host, card.port) as line:
                await press(
                    line,
                    language.status,
                    content,
                    begin=lambda: self._begin(job_id, printer_id),
                    hear=lambda state: self._printers.hear(printer_id, state),
                    pace=self._pace,
                )
        except (NotYet, StoreError) as wait:
            self._wait(job_id, f"{printer_id}: {wait}")
            return False
        except LinkError as fault:
            self._printers.lose(printer_id, str(fault))
            self._wait(job_id, f"{printer_id}: {fault}")
            return False
        except Doubtful as doubt:
            log.error("biz.print_doubtful", job=job_id, printer=printer_id, why=str(doubt))
            self._printers.lose(printer_id, str(doubt.__cause__))
            await self._settle(self._jobs[job_id].doubted(str(doubt)))
            return True
        log.info("biz.printed", job=job_id, printer=printer_id)
        await self._settle(
            replace(self._jobs[job_id], status=JobStatus.PRINTED, printed_at=self._clock.now(), error="")
        )
        return True

    async def _begin(self, job_id: str, printer_id: str) -> None:
        """From here on bytes may go out."""
        job = self._jobs.get(job_id)
        if job is None or job.status is not JobStatus.WAITING:
            raise NotYet("it was taken back")
        begun = replace(job, status=JobStatus.PRINTING, printer_id=printer_id, attempts=job.attempts + 1, error="")
        self._jobs[job_id] = begun
        self._waits.pop(job_id, None)
        try:
            await self._shelf.keep(begun)
        except StoreError:
            self._jobs[job_id] = job
            raise
        self._changed()

    # -- keeping

    async def _settle(self, job: PrintJob) -> None:
        """What became of a job that was sent. It holds also when the disk refuses it now; it is kept as soon as it can be."""
        try:
            await self._store(job)
        except StoreError as failure:
            log.error("sys.print_job_not_kept", job=job.job_id, error=str(failure))
            self._unkept.add(job.job_id)

    async def _keep_unkept(self) -> None:
        for job_id in list(self._unkept):
            job = self._jobs.get(job_id)
            self._unkept.discard(job_id)
            if job is not None:
                await self._settle(job)

    async def _change(self, before: PrintJob, after: PrintJob) -> None:
        """A person's decision. Raises StoreError, and then nothing changed."""
        try:
            await self._store(after)
        except StoreError:
            self._jobs[before.job_id] = before
            raise

    async def _store(self, job: PrintJob) -> None:
        self._jobs[job.job_id] = job
        await self._shelf.keep(job)
        if job.status.is_over:
            self._jobs.pop(job.job_id, None)
            self._waits.pop(job.job_id, None)
            await self._end_original(job)
            self._ended += 1
            if self._ended % FORGET_EVERY == 0:
                await self._shelf.forget(KEPT)
        self._changed()

    async def _end_original(self, copy: PrintJob) -> None:
        original = self._jobs.get(copy.copy_of)
        if original is not None and original.status is JobStatus.REPLACED:
            words = f"printed again as {copy.job_id}" if copy.status is JobStatus.PRINTED else copy.error
            await self._store(replace(original, status=copy.status, printed_at=copy.printed_at, error=words))

    async def _take(self, job: PrintJob, content: bytes) -> str:
        if sum(j.status is JobStatus.WAITING for j in self._jobs.values()) >= WAITING_MAX:
            raise PrintRefused(f"{WAITING_MAX} print jobs wait already. Look at the printers first.")
        stored = await self._shelf.add(job, content)
        if stored is job:
            self._jobs[job.job_id] = job
            self._changed()
        return stored.job_id

    async def _doubt_interrupted(self) -> None:
        for job in [job for job in self._jobs.values() if job.status is JobStatus.PRINTING]:
            log.error("biz.print_doubtful", job=job.job_id, printer=job.printer_id, why="the gateway ended meanwhile")
            await self._store(
                job.doubted("The gateway ended while this was being printed. It may have come out, or a part of it.")
            )

    async def _find(self, job_id: str) -> PrintJob:
        job = self._jobs.get(job_id) or await self._shelf.job(job_id)
        if job is None:
            raise PrintRefused("there is no such print job (any more)")
        return job

    async def _accept_ours(
        self, document: Document, card: PrinterCard, source: JobSource, job_id: str, *, copy: bool = False
    ) -> str:
        content = language_of(card).render(document, card)
        return await self.accept(
            PrintRequest(content, target_printer=card.printer_id, source=source, job_id=job_id, is_copy=copy)
        )

    # -- saying

    def _view(self, job: PrintJob) -> JobView:
        if job.status is not JobStatus.WAITING:
            return JobView(job, job.error)
        if (words := self._waits.get(job.job_id)) is not None:
            return JobView(job, words)
        found = self._printers.choose(printer=job.target_printer, role=job.target_role)
        target = job.target_printer or f"the role {job.target_role!r}"
        return JobView(job, "its turn comes" if found else f"there is no printer for {target}, or it is switched off")

    def _wait(self, job_id: str, words: str) -> None:
        if self._waits.get(job_id) != words and job_id in self._jobs:
            self._waits[job_id] = words
            self._changed()

    def _changed(self) -> None:
        self._wake()
        for call in self.on_change:
            call()

    def _wake(self) -> None:
        self._news.set()
        for wake in self._wakes.values():
            wake.set()
