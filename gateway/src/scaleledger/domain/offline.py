"""Offline batches: what a device weighed while its cloud was away, as one run of the ledger's own numbers.

    the cloud is lost          it is back            the cloud was told     the cloud has confirmed
         open ──────────────────▶ closed ──────────────▶ announced ──────────▶ reconciled

A batch counts nothing while it grows. It is a pair of numbers, and what it holds is what the ledger holds of that device in
between; so no failed commit, no crash and no second device can make its count wrong. An outage is kept as such a pair too,
and only a device with events in it gets a batch: links that come and go leave nothing behind.
"""

import hashlib
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from uuid import UUID

from scaleledger.domain.weighing import Record

OUTAGES_MAX = 100
_FIRST_SEQ = re.compile(r'"first_seq":"([0-9]{1,16})"')
_CORRECTION = '"kind":"correction"'  # cannot stand inside a JSON string, where a quote is escaped


@dataclass(frozen=True, slots=True)
class EventContext:
    """How an event stands to the cloud: weighed while it was away (`offline`), and in which batch ("" for none)."""

    offline: bool = False
    batch_id: str = ""


ContextOf = Callable[[Record], EventContext]
"""Which batch a record belongs to; answers from memory."""

ONLINE = EventContext()


class BatchStatus(StrEnum):
    """OPEN: the cloud is away. CLOSED: it is back. ANNOUNCED: it was told. RECONCILED: it has confirmed all events."""

    OPEN = "open"
    CLOSED = "closed"
    ANNOUNCED = "announced"
    RECONCILED = "reconciled"


@dataclass(frozen=True, slots=True)
class Outage:
    """The cloud was away while the records after `after_seq`, up to `upto_seq`, were made; None: it still is."""

    after_seq: int
    started_at: datetime
    upto_seq: int | None = None
    ended_at: datetime | None = None

    def holds(self, seq: int) -> bool:
        """Whether this record was made in it."""
        return self.after_seq < seq and (self.upto_seq is None or seq <= self.upto_seq)


@dataclass(frozen=True, slots=True)
class OfflineBatch:
    """One device's part of an outage. Counts are set when it is closed; `total_grams` is net."""

    batch_id: str
    device_id: str
    after_seq: int
    started_at: datetime
    upto_seq: int | None = None
    ended_at: datetime | None = None
    event_count: int | None = None
    total_grams: int | None = None
    status: BatchStatus = BatchStatus.OPEN
    reconciled_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class BatchEvent:
    """One event of a batch."""

    seq: int
    uuid: str
    grams: int


@dataclass(frozen=True, slots=True)
class Tally:
    """How many events, and their net sum."""

    count: int = 0
    grams: int = 0


def whole_grams(weight: Decimal, unit: str) -> int:
    """A weight in g or kg as whole grams, half to even."""
    grams = weight * 1000 if unit == "kg" else weight
    return int(grams.to_integral_value(ROUND_HALF_EVEN))


class BatchBook:
    """Outages that are not wound up yet, and the batches; pure. `gateway` makes the batches' names this gateway's own."""

    def __init__(self, gateway: str, outages: Iterable[Outage] = (), batches: Iterable[OfflineBatch] = ()) -> None:
        self._gateway = gateway
        self.outages: tuple[Outage, ...] = tuple(outages)
        self._batches = {batch.batch_id: batch for batch in batches}
        self._lines: dict[str, tuple[list[int], list[OfflineBatch]]] = {}

    @property
    def away(self) -> Outage | None:
        """The outage that goes on."""
        return self.outages[-1] if self.outages and self.outages[-1].upto_seq is None else None

    @property
    def batches(self) -> tuple[OfflineBatch, ...]:
        """All, oldest first."""
        return tuple(sorted(self._batches.values(), key=lambda b: (b.after_seq, b.device_id)))

    def unreconciled(self) -> list[OfflineBatch]:
        """The ones that are closed, and that the cloud has not confirmed."""
        return [b for b in self.batches if b.status in {BatchStatus.CLOSED, BatchStatus.ANNOUNCED}]

    def context(self, record: Record) -> EventContext:
        """How a record stands to the cloud. A correction stands as the event does that it speaks of."""
        seq = record.seq
        if _CORRECTION in record.payload and (first := _FIRST_SEQ.search(record.payload)):
            seq = int(first[1])
        for outage in reversed(self.outages):
            if outage.holds(seq):
                return EventContext(offline=True, batch_id=self._name(record.station, outage))
        uptos, batches = self._line(record.station)
        index = bisect_left(uptos, seq)
        if index < len(batches) and batches[index].after_seq < seq:
            return EventContext(offline=True, batch_id=batches[index].batch_id)
        return ONLINE

    def lost(self, head_seq: int, now: datetime) -> bool:
        """The cloud is away from now on; whether that is news."""
        if self.away is not None:
            return False
        self.outages = (*self.outages[-(OUTAGES_MAX - 1) :], Outage(head_seq, now))
        return True

    def back(self, head_seq: int, now: datetime) -> bool:
        """The cloud is back; whether that is news."""
        away = self.away
        if away is None:
            return False
        ended = () if head_seq <= away.after_seq else (replace(away, upto_seq=head_seq, ended_at=now),)
        self.outages = (*self.outages[:-1], *ended)
        return True

    def ended(self) -> Outage | None:
        """The oldest outage that is over and not wound up."""
        return self.outages[0] if self.outages and self.outages[0].upto_seq is not None else None

    def met(self, devices: Iterable[str]) -> list[OfflineBatch]:
        """These devices have events in the outage that goes on: the batches that begin thereby."""
        away = self.away
        if away is None:
            return []
        new = [
            OfflineBatch(name, device, away.after_seq, away.started_at)
            for device in devices
            if (name := self._name(device, away)) not in self._batches
        ]
        self.put(new)
        return new

    def wound_up(self, outage: Outage, tallies: Mapping[str, Tally]) -> list[OfflineBatch]:
        """The batches of an outage that is over, with what the ledger counts in it; the outage is done with."""
        closed = [
            OfflineBatch(
                self._name(device, outage),
                device,
                outage.after_seq,
                outage.started_at,
                outage.upto_seq,
                outage.ended_at,
                tally.count,
                tally.grams,
                BatchStatus.CLOSED,
            )
            for device, tally in tallies.items()
            if tally.count
        ]
        self.put(closed)
        self.outages = tuple(one for one in self.outages if one != outage)
        return closed

    def put(self, batches: Iterable[OfflineBatch]) -> None:
        """Insert or replace."""
        for batch in batches:
            self._batches[batch.batch_id] = batch
            self._lines.pop(batch.device_id, None)

    def forget(self, reconciled_before: datetime) -> None:
        """Drop batches that were confirmed before this time."""
        for batch in self.batches:
            if batch.reconciled_at is not None and batch.reconciled_at < reconciled_before:
                del self._batches[batch.batch_id]
                self._lines.pop(batch.device_id, None)

    def _line(self, device_id: str) -> tuple[list[int], list[OfflineBatch]]:
        line = self._lines.get(device_id)
        if line is None:
            mine = [b for b in self.batches if b.device_id == device_id and b.upto_seq is not None]
            line = self._lines[device_id] = ([b.upto_seq for b in mine if b.upto_seq is not None], mine)
        return line

    def _name(self, device_id: str, outage: Outage) -> str:
        """A batch's uuid (version 8): it follows from what the batch is, so it is the same before and after a crash."""
        seed = f"{self._gateway}\0{device_id}\0{outage.after_seq}\0{outage.started_at.isoformat()}".encode()
        digest = int.from_bytes(hashlib.sha256(seed).digest()[:16], "big")
        return str(UUID(int=digest & ~(0xF << 76 | 0b11 << 62) | 0x8 << 76 | 0b10 << 62))
