"""How many streams of cuts there is room for, counted before anything is waited for."""

import asyncio

from scaleledger_server.live import cut_stream
from scaleledger_server.live.cut_stream import CutStreams

PATH = "/shifts/stream/00000000-0000-4000-8000-000000000000/"


class DoorThatTakesItsTime(CutStreams):
    def __init__(self):
        super().__init__(None)
        self.opens, self.asked = asyncio.Event(), 0

    async def _status(self, scope):
        self.asked += 1
        await self.opens.wait()
        return 403


async def test_of_many_streams_that_come_at_once_only_so_many_are_looked_at(monkeypatch):
    monkeypatch.setattr(cut_stream, "STREAMS_MAX", 3)
    streams, statuses = DoorThatTakesItsTime(), []

    async def send(message):
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    async def come(count):
        scope = {"type": "http", "path": PATH, "method": "GET"}
        await asyncio.gather(*(streams(dict(scope), None, send) for _ in range(count)))

    coming = asyncio.ensure_future(come(10))
    async with asyncio.timeout(5):
        while len(statuses) < 7:
            await asyncio.sleep(0)
    streams.opens.set()
    await coming
    assert (sorted(statuses), streams.asked) == ([403] * 3 + [503] * 7, 3)
    await come(3)
    assert streams.asked == 6, "places are free again"
