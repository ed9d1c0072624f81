"""A cloud in memory: what it was told and asked, and a link that the test ends."""

import asyncio

from scaleledger.domain.cloud import BatchAnswer


class MemoryCloud:
    """`settle(told)` says what becomes of a batch's end: True, False, a set of missing ids, or an exception."""

    name = "carnitrack"

    def __init__(self, settle=lambda told: True):
        self._settle = settle
        self.told, self.settled, self.watched, self.heartbeats = [], [], [], []
        self.runs = []
        self._end = None
        self.receive = self.changed = None
        self.up = False

    async def run(self, receive, changed):
        self.runs.append(asyncio.get_running_loop().time())
        self.receive, self.changed = receive, changed
        self._end = asyncio.get_running_loop().create_future()
        await self._end

    def answer(self, up):
        """The cloud came, or went without a word."""
        self.up = up
        self.changed(up)

    def end(self, error):
        """The link ends."""
        self.up = False
        self._end.set_exception(error)

    def watch(self, devices):
        self.watched.append(dict(devices))

    def tell(self, told):
        self.told.append(told)

    async def settle_batch(self, told):
        self.settled.append(told)
        answer = self._settle(told)
        if isinstance(answer, Exception):
            raise answer
        missing = frozenset() if isinstance(answer, bool) else frozenset(answer)
        return BatchAnswer(answer is True, missing)

    async def heartbeat(self, health, uptime_s, devices, printers):
        self.heartbeats.append((health, uptime_s, devices, printers))
