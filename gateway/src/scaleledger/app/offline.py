"""Offline batches at work: begun when the cloud is lost, wound up when it is back, settled when it has confirmed them.

Nothing here is in an event's way. What an event belongs to follows from its number alone (`context`), whether or not
anything was written yet; only when the cloud is back, deliveries wait until the batches are closed and announced.
"""

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta

from scaleledger.app.backoff import Backoff
from scaleledger.app.plant_ports import BatchShelf, Cloud, Deliveries
from scaleledger.app.ports import Clock
from scaleledger.domain.cloud import BatchBegins, BatchEnds
from scaleledger.domain.errors import CentreRefusal, LinkError, NotOffered, StoreError
from scaleledger.domain.offline import BatchBook, BatchStatus, EventContext, OfflineBatch, Outage
from scaleledger.domain.weighing import Record
from scaleledger.observe.log import get_logger

log = get_logger()

TICK_S = 1.0
NOT_OFFERED_S = 600.0
KEPT_AFTER = timedelta(days=30)
IDS_MAX = 10_000
"""A batch of more events is told by its count alone: each of them was acknowledged by itself anyway."""


@dataclass(slots=True)
class _Trial:
    """When a batch's end is told next, and what became of it last."""

    backoff: Backoff
    due_s: float = 0.0
    told: str = ""


@dataclass(slots=True)
class _Kept:
    """What was last written, so that nothing is written twice."""

    outages: tuple[Outage, ...] = ()
    seen: int = 0
    announced: set[str] = field(default_factory=set)


class OfflineBatches:
    """One uplink's batches; `load` it before anything else, `run` it as one task. `gateway` is the gateway's own name.

    `prepared` is set while the cloud is there and all batches of the past are closed and announced: events may go to it.
    """

    def __init__(
        self,
        uplink: str,
        gateway: str,
        cloud: Cloud,
        shelf: BatchShelf,
        deliveries: Deliveries,
        *,
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self._uplink, self._gateway, self._cloud = uplink, gateway, cloud
        self._shelf, self._deliveries, self._clock, self._rng = shelf, deliveries, clock, rng
        self._book = BatchBook(gateway)
        self._kept = _Kept()
        self._up = False
        self._news = asyncio.Event()
        self.prepared = asyncio.Event()
        self._trials: dict[str, _Trial] = {}
        self._told = ""

    async def load(self) -> None:
        """Take up what was kept. The cloud counts as away until it answers. Raises StoreError."""
        outages, batches = await self._shelf.load()
        self._book = BatchBook(self._gateway, outages, batches)
        self._kept = _Kept(self._book.outages)
        self._lose()

    @property
    def batches(self) -> Sequence[OfflineBatch]:
        """All that are kept, oldest first."""
        return self._book.batches

    def context(self, record: Record) -> EventContext:
        """How a record stands to the cloud; answers from memory."""
        return self._book.context(record)

    def link(self, up: bool) -> None:  # noqa: FBT001 - a link is up or not
        """The cloud is there from now on, or it is lost."""
        if up is self._up:
            return
        self._up = up
        if up:
            self._book.back(self._deliveries.head.seq, self._clock.now())
            self._kept.announced.clear()
            self._trials.clear()
        else:
            self._lose()
        self._news.set()

    async def run(self) -> None:
        """Keep the books until cancelled."""
        while True:
            try:
                await self._work()
                self._told = ""
            except StoreError as error:
                if str(error) != self._told:
                    self._told = str(error)
                    log.warning("sys.store_failed", reason=self._told)
            busy = not self._up or bool(self._book.unreconciled()) or bool(self._book.outages)
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK_S if busy else None):
                    await self._news.wait()
            self._news.clear()

    async def _work(self) -> None:
        while self._up and (outage := self._book.ended()) is not None:
            await self._wind_up(outage)
        if self._kept.outages != self._book.outages:
            await self._keep(())
        if not self._up:
            await self._meet()
            return
        await self._announce()
        if self._is_prepared():
            self.prepared.set()
            await self._settle()

    def _is_prepared(self) -> bool:
        """Whether nothing is left to be said before events; the link may have come and gone while the disk was waited for."""
        unsaid = {batch.batch_id for batch in self._book.unreconciled()} - self._kept.announced
        return self._up and self._book.ended() is None and not unsaid

    def _lose(self) -> None:
        self.prepared.clear()
        self._book.lost(self._deliveries.head.seq, self._clock.now())

    async def _keep(self, batches: Sequence[OfflineBatch]) -> None:
        outages = self._book.outages
        await self._shelf.keep(outages, batches)
        self._kept.outages = outages

    async def _meet(self) -> None:
        """Begin the batches of devices that have events by now."""
        away, head = self._book.away, self._deliveries.head.seq
        if away is None or head <= max(away.after_seq, self._kept.seen):
            return
        devices = await self._shelf.tally(max(away.after_seq, self._kept.seen), head)
        new = self._book.met(devices)
        if new:
            await self._keep(new)
        self._kept.seen = head

    async def _wind_up(self, outage: Outage) -> None:
        """Close the batches of an outage that is over. Begun anew after a failure, it comes to the same."""
        assert outage.upto_seq is not None
        tallies = await self._shelf.tally(outage.after_seq, outage.upto_seq)
        closed = self._book.wound_up(outage, tallies)
        try:
            await self._keep(closed)
        except StoreError:
            self._book.outages = (outage, *self._book.outages)
            raise
        for batch in closed:
            log.info(
                "net.batch", batch=batch.batch_id, device=batch.device_id, events=batch.event_count, status="closed"
            )

    async def _announce(self) -> None:
        """Tell of each batch that is not confirmed that it begins: once per connection, before its events."""
        new = [batch for batch in self._book.unreconciled() if batch.batch_id not in self._kept.announced]
        for batch in new:
            self._cloud.tell(BatchBegins(batch.batch_id, batch.device_id, batch.started_at))
            self._kept.announced.add(batch.batch_id)
        closed = [replace(b, status=BatchStatus.ANNOUNCED) for b in new if b.status is BatchStatus.CLOSED]
        if closed:
            self._book.put(closed)
            await self._keep(closed)

    async def _settle(self) -> None:
        """Tell the end of each batch whose events are all settled, until the cloud confirms it."""
        position = self._deliveries.position(self._uplink)
        for batch in self._book.unreconciled():
            trial = self._trials.setdefault(batch.batch_id, _Trial(Backoff(self._rng, first_s=1.0)))
            due = batch.upto_seq is not None and batch.upto_seq <= position
            if not self._up or not due or trial.due_s > self._clock.monotonic():
                continue
            reason = await self._tell_end(batch, trial)
            if reason and reason != trial.told:
                trial.told = reason
                log.warning("net.batch_unsettled", batch=batch.batch_id, device=batch.device_id, reason=reason)
        await self._forget()

    async def _tell_end(self, batch: OfflineBatch, trial: _Trial) -> str:
        """Why the batch is not reconciled; "" when it is."""
        try:
            answer = await self._cloud.settle_batch(await self._ends(batch))
        except NotOffered as error:
            trial.due_s = self._clock.monotonic() + NOT_OFFERED_S
            return str(error)
        except (LinkError, CentreRefusal) as error:
            wished_s = error.retry_after_s if isinstance(error, LinkError) else None
            trial.due_s = self._clock.monotonic() + max(trial.backoff.next_s(), wished_s or 0.0)
            return str(error)
        if not answer.complete:
            trial.due_s = self._clock.monotonic() + trial.backoff.next_s()
            await self._tell_again(batch, answer.missing)
            return "the cloud does not hold all of its events"
        done = replace(batch, status=BatchStatus.RECONCILED, reconciled_at=self._clock.now())
        await self._shelf.keep(self._book.outages, [done])
        self._book.put([done])
        self._trials.pop(batch.batch_id, None)
        log.info(
            "net.batch", batch=batch.batch_id, device=batch.device_id, events=batch.event_count, status="reconciled"
        )
        return ""

    async def _tell_again(self, batch: OfflineBatch, missing: frozenset[str]) -> None:
        """What the cloud once acknowledged and lost since is owed again, with the later words on it."""
        assert batch.upto_seq is not None
        events = await self._shelf.events(batch.device_id, batch.after_seq, batch.upto_seq) if missing else []
        lost = {event.uuid for event in events if event.uuid.lower() in missing}
        if lost:
            numbers = await self._shelf.words_on(lost, batch.after_seq, self._deliveries.head.seq)
            self._deliveries.owe_again(self._uplink, numbers)

    async def _ends(self, batch: OfflineBatch) -> BatchEnds:
        """What the cloud is told: the events that it took. One that it refused is set aside, and told by no batch."""
        assert batch.upto_seq is not None
        refused = self._deliveries.refused(self._uplink)
        events = [
            event
            for event in await self._shelf.events(batch.device_id, batch.after_seq, batch.upto_seq)
            if event.seq not in refused
        ]
        return BatchEnds(
            batch.batch_id,
            batch.device_id,
            batch.started_at,
            batch.ended_at or batch.started_at,
            len(events),
            sum(event.grams for event in events),
            tuple(event.uuid for event in events) if len(events) <= IDS_MAX else (),
        )

    async def _forget(self) -> None:
        before = self._clock.now() - KEPT_AFTER
        if any(b.reconciled_at is not None and b.reconciled_at < before for b in self._book.batches):
            await self._shelf.forget(before)
            self._book.forget(before)
