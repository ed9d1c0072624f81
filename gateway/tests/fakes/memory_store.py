"""A store in memory that models durability honestly: a killed process takes along what it had not committed.

`Disk` is what survives. `MemoryStore` is one process on it, ledger and outbox at once. A record becomes durable in one step,
between the fault's `before_commit` and its `after_commit`; marks (told, acked) with the next commit, or a second later.
"""

import asyncio
from itertools import islice

from fakes.outbox import MAC
from scaleledger.domain.delivery import Batch, Outcome
from scaleledger.domain.errors import StoreError, StoreFull
from scaleledger.domain.ledger import GENESIS, Entry, link, payload_text, time_text, verify, weight_text
from scaleledger.domain.weighing import Counts, Head, LastCapture, Record

MARKS_S = 1.0


class Sound:
    """No fault: a commit takes a turn of the loop."""

    async def before_commit(self):
        await asyncio.sleep(0)

    async def after_commit(self):
        pass


class Slow(Sound):
    """A commit takes its time."""

    def __init__(self, seconds):
        self.seconds = seconds

    async def before_commit(self):
        await asyncio.sleep(self.seconds)


class Full(Sound):
    async def before_commit(self):
        raise StoreFull("no room for another weighing")


class FailsOnce(Sound):
    """The first commit fails with `error`, the others go through."""

    def __init__(self, error):
        self.error = error

    async def before_commit(self):
        error, self.error = self.error, None
        if error is not None:
            raise error


class Held(Sound):
    """A commit waits until it is released; `begun` is set as soon as one waits."""

    def __init__(self):
        self.begun, self._released = asyncio.Event(), asyncio.Event()

    def release(self):
        self._released.set()

    async def before_commit(self):
        self.begun.set()
        await self._released.wait()


class Unplugs(Sound):
    """The cable is pulled while a commit is under way."""

    def __init__(self, port, pause_s=1.0):
        self.port, self.pause_s = port, pause_s

    async def before_commit(self):
        self.port.unplug()
        await asyncio.sleep(self.pause_s)


class Disk:
    """What survives a kill."""

    def __init__(self):
        self.records = []
        self.told, self.acked, self.quarantined = set(), set(), {}
        self.captures = {}
        self.receipt = None

    def commit(self, draft):
        before = self.records[-1].hash if self.records else GENESIS.hex()
        seq = len(self.records) + 1
        payload = payload_text(draft, seq=seq, gateway=MAC, software="0.1.0")
        record = Record(
            seq,
            draft.uuid,
            draft.card,
            draft.weight,
            draft.unit,
            draft.station,
            draft.measured_at,
            payload,
            link(bytes.fromhex(before), payload).hex(),
            before,
        )
        self.records.append(record)
        self.captures[record.station] = record
        return record

    @property
    def weights(self):
        return [str(r.weight) for r in self.records]

    def prove(self):
        """The chain, by the product's own rule."""
        entries = (
            Entry(
                r.seq,
                r.uuid,
                r.card,
                weight_text(r.weight),
                r.unit,
                r.station,
                time_text(r.measured_at),
                r.payload,
                bytes.fromhex(r.hash),
            )
            for r in self.records
        )
        assert verify(entries).records == len(self.records)


class MemoryStore:
    """One process's store. `fault` may be changed at any time."""

    def __init__(self, disk=None, fault=None):
        self.disk = disk or Disk()
        self.fault = fault or Sound()
        self.asked = 0
        self._dead = False
        self._told, self._settled = set(), {}
        self._owed = {
            r.seq: r for r in self.disk.records if r.seq not in self.disk.acked and r.seq not in self.disk.quarantined
        }
        self._appended = asyncio.Event()
        self._marking = None

    def die(self):
        """The process is killed: from here on nothing becomes durable."""
        self._dead = True
        if self._marking is not None:
            self._marking.cancel()

    def close(self):
        """In good order: what was learned is kept."""
        self._keep_marks()

    async def append(self, draft):
        self.asked += 1
        await self.fault.before_commit()
        self._assert_alive()
        record = self.disk.commit(draft)
        self._owed[record.seq] = record
        self._keep_marks()
        await self.fault.after_commit()
        self._assert_alive()
        self._appended.set()
        self._appended = asyncio.Event()
        return record

    def _assert_alive(self):
        if self._dead:
            raise StoreError("this process is dead")

    @property
    def owed(self):
        return len(self._owed)

    def told(self, record):
        self._told.add(record.seq)
        self._mark_soon()

    async def last_capture(self, station):
        await asyncio.sleep(0)
        record = self.disk.captures.get(station)
        if record is None:
            return None
        told = record.seq in self.disk.told | self._told
        return LastCapture(record.uuid, record.weight, record.unit, record.card, record.measured_at, told=told)

    async def next_batch(self, uplink, limit, after=0):
        await asyncio.sleep(0)
        owed = tuple(islice((r for seq, r in self._owed.items() if seq > after), limit))
        return Batch(owed, await self.head()) if owed else None

    async def settle(self, uplink, outcomes):
        await asyncio.sleep(0)
        for outcome in outcomes:
            self._owed.pop(outcome.seq, None)
            self._settled[outcome.seq] = outcome
        self._mark_soon()

    async def keep_receipt(self, uplink, receipt):
        await asyncio.sleep(0)
        if not self._dead and (self.disk.receipt is None or receipt.upto_seq > self.disk.receipt.upto_seq):
            self.disk.receipt = receipt

    def receipt(self, uplink):
        return self.disk.receipt

    async def wait_for_append(self, seen):
        while len(self.disk.records) <= seen:
            await self._appended.wait()
        return len(self.disk.records)

    async def counts(self, uplink):
        disk = self.disk
        return Counts(len(disk.records), len(disk.acked), len(self._owed), len(disk.quarantined))

    async def head(self):
        if not self.disk.records:
            return None
        newest = self.disk.records[-1]
        return Head(newest.seq, newest.hash, "ab" * 64)

    def _mark_soon(self):
        if self._marking is None:
            self._marking = asyncio.get_running_loop().call_later(MARKS_S, self._keep_marks)

    def _keep_marks(self):
        if self._marking is not None:
            self._marking.cancel()
            self._marking = None
        if self._dead:
            return
        self.disk.told |= self._told
        for seq, outcome in self._settled.items():
            if outcome.outcome is Outcome.ACKED:
                self.disk.acked.add(seq)
            elif outcome.outcome is Outcome.QUARANTINE:
                self.disk.quarantined[seq] = outcome.reason
        self._told, self._settled = set(), {}
