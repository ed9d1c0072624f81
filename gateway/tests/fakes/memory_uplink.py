"""An uplink whose centre is a set in memory."""

import asyncio

from scaleledger.domain.delivery import ItemOutcome, Outcome


class MemoryUplink:
    """A centre in memory. `behave(seq)` says what becomes of a record: an Outcome, "lost" (held, the answer is not), or an
    exception for the whole batch."""

    name = "memory"
    receipt = None

    def __init__(self, behave=lambda seq: Outcome.ACKED, *, batch_limit=10, in_flight_limit=4, latency_s=0.05):
        self.behave, self.latency_s = behave, latency_s
        self.batch_limit, self.in_flight_limit = batch_limit, in_flight_limit
        self.held, self.offered, self.most_in_flight, self._in_flight = set(), [], 0, 0
        self._ready = asyncio.Event()
        self._ready.set()

    @property
    def ready(self):
        return self._ready.is_set()

    @ready.setter
    def ready(self, ready):
        self._ready.set() if ready else self._ready.clear()

    async def wait_ready(self):
        await self._ready.wait()

    async def deliver(self, batch):
        self.offered.append((asyncio.get_running_loop().time(), [r.seq for r in batch.records]))
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        try:
            await asyncio.sleep(self.latency_s)
        finally:
            self._in_flight -= 1
        return [ItemOutcome(r.seq, self._judge(r.seq), "words") for r in batch.records]

    def _judge(self, seq):
        verdict = self.behave(seq)
        if isinstance(verdict, Exception):
            raise verdict
        if verdict in {Outcome.ACKED, "lost"}:
            self.held.add(seq)
        return Outcome.RETRY if verdict == "lost" else verdict
