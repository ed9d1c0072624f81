"""The store's side of delivery, in memory: an outbox, the gateway's row, and weighings to put in."""

import asyncio
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice

from scaleledger.app.ports import Credentials
from scaleledger.domain.delivery import Batch, Outcome
from scaleledger.domain.weighing import Counts, Head, Record

MAC = "02:5a:1e:d6:e4:01"
START = datetime(2026, 11, 21, 2, 10, tzinfo=UTC)


def weighing(seq, weight="152.50"):
    """Record `seq` of a ledger, the same each time it is asked for."""
    uuid = f"0192f0c1-7a00-7000-8000-{seq:012d}"
    at = START + timedelta(seconds=seq)
    stated = {"gateway": MAC, "seq": seq, "uuid": uuid, "weight": weight, "measured_at": at.isoformat()}
    payload = json.dumps(stated, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(payload.encode()).hexdigest()
    return Record(seq, uuid, "00345678", Decimal(weight), "kg", "dock-1", at, payload, digest, "0" * 64)


def batch_of(*records):
    return Batch(records, Head(records[-1].seq, records[-1].hash, "ab" * 64))


class MemoryOutbox:
    """Keeps the port's promises; remembers every outcome it was told."""

    def __init__(self, count=0):
        self.records = {}
        self._owed = {}
        self.acked = set()
        self.quarantined = {}
        self.receipts = []
        self._appended = asyncio.Event()
        for _ in range(count):
            self.append()

    def append(self, record=None):
        record = record or weighing(len(self.records) + 1)
        self.records[record.seq] = self._owed[record.seq] = record
        self._appended.set()
        self._appended = asyncio.Event()
        return record

    @property
    def owed(self):
        return list(self._owed)

    async def next_batch(self, uplink, limit, after=0):
        await asyncio.sleep(0)
        owed = tuple(islice((r for seq, r in self._owed.items() if seq > after), limit))
        return replace(batch_of(self.records[len(self.records)]), records=owed) if owed else None

    async def settle(self, uplink, outcomes):
        await asyncio.sleep(0)
        for outcome in outcomes:
            self._owed.pop(outcome.seq, None)
            if outcome.outcome is Outcome.ACKED:
                self.acked.add(outcome.seq)
            elif outcome.outcome is Outcome.QUARANTINE:
                self.quarantined[outcome.seq] = outcome.reason

    async def wait_for_append(self, seen):
        while len(self.records) <= seen:
            await self._appended.wait()
        return len(self.records)

    async def counts(self, uplink):
        return Counts(len(self.records), len(self.acked), len(self._owed), len(self.quarantined))

    async def keep_receipt(self, uplink, receipt):
        self.receipts.append(receipt)

    def receipt(self, uplink):
        return self.receipts[-1] if self.receipts else None

    async def settled(self):
        """Return when nothing is owed any more."""
        while self._owed:
            await asyncio.sleep(0.01)


class MemoryIdentity:
    """`claim` is what somebody left for the gateway."""

    def __init__(self, token="", public_key="d7" * 32, claim=None):
        self.credentials = Credentials(MAC, "dock-pc", "192.0.2.10", token, public_key=public_key)
        self.cleared = 0
        self.heartbeats = []
        self.claim = claim
        self.server_key = ""

    async def load(self):
        return self.credentials

    async def keep_token(self, token, status, expires_at=None):
        kept = {"token": token, "status": status, "token_expires_at": expires_at}
        self.credentials = replace(self.credentials, **kept, ever_approved=True)

    async def clear_token(self, status):
        self.cleared += 1
        self.credentials = replace(self.credentials, token="", status=status)

    async def note_heartbeat(self, at):
        self.heartbeats.append(at)

    async def pin_server_key(self, key):
        self.server_key = self.server_key or key
        return self.server_key == key

    async def take_claim(self):
        return self.claim

    async def drop_claim(self, claim):
        self.claim = None if self.claim == claim else self.claim
