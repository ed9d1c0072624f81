"""A way to a real server that can be away, silent, or broken: named by what is wrong with it."""

import asyncio

from scaleledger.simulators.way import Way


class FaultyWay(Way):
    """`become` one of AWAY, SILENT, BROKEN, CLEAR."""

    AWAY, SILENT, BROKEN, CLEAR = "away", "silent", "broken", "clear"

    def __init__(self, target_port):
        super().__init__(target_port)
        self.kind = self.AWAY
        self.seen = {self.SILENT: 0, self.BROKEN: 0, self.CLEAR: 0}
        self.changed = asyncio.Condition()

    async def become(self, kind):
        self.kind = kind
        self.end_connections()
        await (self.cut() if kind == self.AWAY else self.mend())

    async def requests(self, kind, number):
        """Wait until so many requests met this kind of way."""
        async with self.changed:
            await self.changed.wait_for(lambda: self.seen[kind] >= number)

    async def serve(self, reader, writer):
        kind = self.kind
        if kind == self.CLEAR:
            await self._note(kind)
            await super().serve(reader, writer)
            return
        while await reader.readuntil(b"\r\n\r\n"):
            await self._note(kind)
            if kind == self.BROKEN:
                body = b'{"code": "invalid", "detail": "out of order"}'
                head = b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nConnection: close\r\n"
                writer.write(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
                await writer.drain()
                writer.close()
                await writer.wait_closed()
                return

    async def _note(self, kind):
        async with self.changed:
            self.seen[kind] += 1
            self.changed.notify_all()


class Overheard(FaultyWay):
    """A clear way on which somebody listens: `spoken` is how many bytes the gateways have said on their sockets."""

    def __init__(self, target_port):
        super().__init__(target_port)
        self.spoken = 0

    async def __aenter__(self):
        await super().__aenter__()
        await self.become(self.CLEAR)
        return self

    async def silence(self, quiet_s, within_s=30.0):
        """Return when nothing was said for so long."""
        async with asyncio.timeout(within_s):
            while True:
                before = self.spoken
                await asyncio.sleep(quiet_s)
                if before == self.spoken:
                    return

    async def serve(self, reader, writer):
        await super().serve(_Ear(self, reader), writer)


class _Ear:
    """Reads like a stream, and counts what comes on one that became a socket."""

    def __init__(self, way, reader):
        self._way, self._reader, self._is_socket = way, reader, None

    async def read(self, most):
        data = await self._reader.read(most)
        if self._is_socket is None:
            self._is_socket = data.startswith(b"GET /ws/")
        elif self._is_socket:
            self._way.spoken += len(data)
        return data
