"""A client that sends no whole request, or takes no answer, is cut; one that is only slow is served."""

import asyncio
import contextlib

import pytest
import uvicorn
from uvicorn.server import ServerState

from scaleledger_server.connections import HEAD_BYTES_MAX, BoundedConnection

BIG = b"x" * 4_000_000
PATIENCE_S = 20


class Quick(BoundedConnection):
    look_s = 0.2


class Answering:
    """An application that answers with much, and knows how many requests are at work."""

    def __init__(self):
        self.at_work = 0
        self.idle = asyncio.Event()

    async def __call__(self, _scope, _receive, send):
        self.at_work += 1
        try:
            headers = [(b"content-length", str(len(BIG)).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            for start in range(0, len(BIG), 100_000):
                await send({"type": "http.response.body", "body": BIG[start : start + 100_000], "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            self.at_work -= 1
            self.idle.set()


@contextlib.asynccontextmanager
async def serving(application):
    config = uvicorn.Config(application, lifespan="off", log_config=None, log_level="critical")
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(lambda: Quick(config, state, {}), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n"])
async def test_a_request_that_never_comes_is_not_waited_for(sent):
    application = Answering()
    async with serving(application) as port, asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()
    assert not application.idle.is_set()


@pytest.mark.parametrize("piece", [b"x" * 1000, b"a: b\r\n" * 200])
async def test_a_head_that_does_not_end_is_refused(piece):
    application = Answering()
    async with serving(application) as port, asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nX: ")
        sent = 0
        while not reader.at_eof() and sent < 2 * HEAD_BYTES_MAX:
            writer.write(piece)
            sent += len(piece)
            await writer.drain()
        assert (await reader.readline()).startswith(b"HTTP/1.1 400")
        writer.close()
    assert not application.idle.is_set()


async def test_an_answer_that_nobody_takes_holds_no_place():
    application = Answering()
    async with serving(application) as port, asyncio.timeout(PATIENCE_S):
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
        await application.idle.wait()
        while application.at_work:
            application.idle.clear()
            await application.idle.wait()
        writer.close()


async def test_who_takes_an_answer_slowly_gets_all_of_it():
    application = Answering()
    async with serving(application) as port, asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        got = 0
        began = asyncio.get_running_loop().time()
        while got < len(BIG):
            part = await reader.read(200_000)
            assert part, "it was cut"
            got += len(part)
            await asyncio.sleep(0.03)  # the slow reader that this is about
        assert asyncio.get_running_loop().time() - began > 3 * Quick.look_s
        writer.close()
