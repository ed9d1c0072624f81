"""Print jobs between the cloud and the spool: fetched when there are some, told until the cloud has taken it."""

import asyncio
import random
from collections.abc import Awaitable, Callable

from scaleledger.app.backoff import Backoff
from scaleledger.app.plant_ports import Cloud
from scaleledger.app.print_ports import JobShelf
from scaleledger.app.printers import Printers
from scaleledger.app.spool import Spool
from scaleledger.domain.cloud import CloudSaid, PrintJobsWaiting, PrintOrder, PrintOutcome
from scaleledger.domain.errors import LinkError, NotOffered, PrintRefused, StoreError
from scaleledger.domain.printing import JobSource, PrintJob, PrintRequest
from scaleledger.observe.log import get_logger

log = get_logger()
UNTOLD_AT_ONCE = 200


class CloudPrinting:
    """Run it as one task. `poll_s` is between two looks for jobs that the cloud did not announce."""

    def __init__(
        self,
        cloud: Cloud,
        spool: Spool,
        printers: Printers,
        shelf: JobShelf,
        rng: random.Random,
        *,
        poll_s: float = 5.0,
    ) -> None:
        self._cloud, self._spool, self._printers, self._shelf = cloud, spool, printers, shelf
        self._rng, self._poll_s = rng, poll_s
        self._fetch, self._tell, self._offer = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._unknown_there: set[tuple[str, str]] = set()
        self._offered: object = None
        self._told = ""
        spool.on_change.append(self._tell.set)
        printers.on_change.append(self._offer.set)

    def heard(self, said: CloudSaid) -> None:
        """What the cloud said; all but print jobs is somebody else's."""
        if isinstance(said, PrintJobsWaiting):
            self._fetch.set()

    def link_changed(self, up: bool) -> None:  # noqa: FBT001 - a callback's only argument
        """The cloud came or went."""
        if up:
            self._unknown_there.clear()
            self._offered = None
            for event in (self._fetch, self._tell, self._offer):
                event.set()

    async def run(self) -> None:
        """Fetch, tell and offer until cancelled."""
        if self._cloud.up:
            self.link_changed(True)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_on(self._fetch, self._fetch_all, self._poll_s))
            group.create_task(self._keep_on(self._tell, self._tell_all, None))
            group.create_task(self._keep_on(self._offer, self._offer_all, None))

    async def _keep_on(self, asked: asyncio.Event, work: Callable[[], Awaitable[None]], every_s: float | None) -> None:
        """Work whenever asked, and every `every_s`; what fails is tried again, ever more slowly, while the cloud is there."""
        backoff = Backoff(self._rng)
        wait_s = every_s
        while True:
            try:
                async with asyncio.timeout(wait_s):
                    await asked.wait()
            except TimeoutError:
                pass
            asked.clear()
            if not self._cloud.up:
                continue
            try:
                await work()
            except NotOffered as error:
                self._say(error)
                wait_s = None  # until the cloud says that there are some
            except (LinkError, StoreError) as error:
                self._say(error)
                wished_s = getattr(error, "retry_after_s", None)
                await asyncio.sleep(max(backoff.next_s(), wished_s or 0.0))
                asked.set()
            else:
                self._told = ""
                wait_s = every_s
                backoff.reset()

    async def _fetch_all(self) -> None:
        for order in await self._cloud.fetch_print_jobs():
            request = _request_of(order)
            try:
                await self._spool.accept(request)
            except PrintRefused as why:
                log.warning("net.print_job_refused", job=order.global_job_id, why=str(why))
                await self._spool.refuse(request, str(why))

    async def _tell_all(self) -> None:
        for job in await self._shelf.untold(UNTOLD_AT_ONCE + len(self._unknown_there)):
            owed = job.owes
            if (job.job_id, owed) in self._unknown_there:
                continue
            try:
                await self._cloud.tell_print_job(self._outcome_of(job, owed))
            except NotOffered:
                self._unknown_there.add(
                    (job.job_id, owed)
                )  # until the cloud is there anew: it says nothing of the others
                continue
            self._spool.note_acked(job.job_id, owed)
            await self._shelf.note_acked(job.job_id, owed)

    async def _offer_all(self) -> None:
        offers = self._printers.offers()
        told = [(o.printer_id, o.role, o.host, o.port, o.model, o.status, o.warnings) for o in offers]
        if told != self._offered:
            await self._printers.name_globally(await self._cloud.offer_printers(offers))
            self._offered = told

    def _outcome_of(self, job: PrintJob, status: str) -> PrintOutcome:
        view = self._printers.view(job.printer_id)
        printer = (view.card.global_id if view else "") or job.printer_id
        error = job.error if status == "failed" else ""
        if status == "failed" and not error:
            error = "cancelled at the gateway"
        printed_at = job.printed_at if status == "completed" else None
        return PrintOutcome(job.global_job_id, status, printed_at, printer, job.attempts, error)

    def _say(self, error: Exception) -> None:
        if str(error) != self._told:
            self._told = str(error)
            log.warning("net.fetch_failed", what="print jobs", reason=self._told)


def _request_of(order: PrintOrder) -> PrintRequest:
    return PrintRequest(
        order.content,
        target_printer=order.target_printer,
        target_role=order.target_role,
        label_count=order.label_count,
        global_job_id=order.global_job_id,
        source=JobSource.CLOUD,
    )
