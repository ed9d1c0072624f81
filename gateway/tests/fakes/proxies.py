"""A way to a real server that can be away, silent, or broken: named by what is wrong with it."""

import asyncio


class FaultyWay:
    """Listens on one port for its whole life as the address of `target`. `become` one of AWAY, SILENT, BROKEN, CLEAR."""

    AWAY, SILENT, BROKEN, CLEAR = "away", "silent", "broken", "clear"

    def __init__(self, target_port):
        self.target_port = target_port
        self.port = 0
        self.kind = self.AWAY
        self.seen = {self.SILENT: 0, self.BROKEN: 0, self.CLEAR: 0}
        self.changed = asyncio.Condition()
        self._server = None
        self._writers = set()
        self._tasks = set()

    async def __aenter__(self):
        await self._listen()
        await self.become(self.AWAY)
        return self

    async def __aexit__(self, *_):
        await self.become(self.AWAY)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def become(self, kind):
        self.kind = kind
        for writer in list(self._writers):
            writer.transport.abort()
        if kind == self.AWAY:
            if self._server is not None:
                self._server.close()
                await self._server.wait_closed()
                self._server = None
        elif self._server is None:
            await self._listen()

    async def requests(self, kind, number):
        """Wait until so many requests met this kind of way."""
        async with self.changed:
            await self.changed.wait_for(lambda: self.seen[kind] >= number)

    async def _listen(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        self._writers.add(writer)
        try:
            await self._answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writers.discard(writer)
            self._tasks.discard(asyncio.current_task())
            writer.transport.abort()

    async def _answer(self, reader, writer):
        kind = self.kind
        if kind == self.CLEAR:
            await self._note(kind)
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
            self._writers.add(far_writer)
            try:
                pumps = [asyncio.create_task(_pump(a, b)) for a, b in ((reader, far_writer), (far_reader, writer))]
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
            finally:
                self._writers.discard(far_writer)
                far_writer.transport.abort()
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


async def _pump(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


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

    async def _answer(self, reader, writer):
        await super()._answer(_Ear(self, reader), writer)


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
