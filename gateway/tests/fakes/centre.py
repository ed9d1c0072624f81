"""A central server for tests: what it holds (`Books`), a real little HTTP server before it, and faults by name."""

import asyncio
import json
from collections import Counter
from contextlib import asynccontextmanager, suppress

import httpx2

from scaleledger.uplinks.central import protocol

PHRASES = {
    200: "OK",
    304: "Not Modified",
    201: "Created",
    302: "Found",
    401: "Unauthorized",
    404: "Not Found",
    429: "Slow Down",
}


class Books:
    """The contract, kept. `plain` is a server of the first description: no status, no batch, no codes."""

    def __init__(self, *, batch=True, plain=False, approves=True, knows_mac=False):
        self.batch, self.plain, self.approves = batch and not plain, plain, approves
        self.gateways = {}  # MAC -> token, "" while pending
        self.held = {}  # uuid -> body
        self.created = Counter()
        self.arrivals = Counter()
        self.poison = set()
        self.heartbeats = []
        self.calls = []
        self.heads = []
        self.tokens = 0
        self.largest = 0
        self.without_token = 0
        if knows_mac:
            self.gateways["02:5a:1e:d6:e4:01"] = self.new_token()

    def new_token(self):
        self.tokens += 1
        return f"token-{self.tokens}"

    def revoke(self):
        """Forget every token; the next question for the status hands out a new one."""
        self.gateways = dict.fromkeys(self.gateways, "")

    def answer(self, method, path, headers, body):
        """(status, JSON or None, perhaps headers) for a request; `path` without the leading slash."""
        self.calls.append((method, path))
        stated = json.loads(body) if body else None
        if method == "POST" and path == protocol.GATEWAYS:
            self.gateways.setdefault(stated["mac_address"], "")
            return 201, self._status(stated["mac_address"])
        if method == "GET" and path.startswith(protocol.GATEWAYS):
            return self._ask(path.removeprefix(protocol.GATEWAYS).rstrip("/"))
        if path not in {protocol.HEARTBEAT, protocol.RECORDS, protocol.RECORDS + "batch/"}:
            return 404, self._error("not_found")
        token = headers.get("authorization", "").removeprefix("Bearer ")
        self.without_token += not token
        if not token or token not in self.gateways.values():
            return 401, self._error("token_unknown" if token else "token_missing")
        if path == protocol.HEARTBEAT:
            self.heartbeats.append(stated)
            return 200, {"status": "active"}
        if path == protocol.RECORDS:
            return self._take_one(stated)
        if not self.batch:
            return 404, self._error("not_found")
        self.heads.append(stated["head"])
        self.largest = max(self.largest, len(stated["records"]))
        return 200, {"results": [self._entry(r) for r in stated["records"]]}

    def _ask(self, mac):
        if mac not in self.gateways:
            return 404, self._error("gateway_unknown")
        if not self.gateways[mac] and self.approves:
            self.gateways[mac] = self.new_token()
        return 200, self._status(mac)

    def _status(self, mac):
        token = self.gateways[mac] or None
        plain = {"mac_address": mac, "hostname": "dock-pc", "access_token": token}
        if self.plain:
            return plain
        offer = {"path": protocol.RECORDS + "batch/", "max_records": 500} if self.batch else None
        return plain | {"status": "active" if token else "pending", "batch": offer}

    def _error(self, code):
        return {"detail": code} if self.plain else {"code": code, "detail": f"words for {code}"}

    def _take(self, record):
        """201, 200, 409 or 422 for one record."""
        uuid = record["uuid"]
        self.arrivals[uuid] += 1
        if uuid in self.poison:
            return 422
        if uuid in self.held:
            return 200 if self.held[uuid] == record else 409
        self.held[uuid] = record
        self.created[uuid] += 1
        return 201

    def _take_one(self, record):
        status = self._take(record)
        return status, record if status < 300 else self._error("uuid_conflict" if status == 409 else "invalid")

    def _entry(self, record):
        outcome = {201: "created", 200: "held", 409: "conflict", 422: "invalid"}[self._take(record)]
        return {"uuid": record["uuid"], "outcome": outcome, "detail": f"words for {outcome}"}


def is_delivery(path):
    return path.startswith(protocol.RECORDS)


class Answers:
    """No fault: the books' own answer."""

    async def serve(self, books, request, writer):
        status, body, *headers = books.answer(*request)
        extra = "".join(f"{name}: {value}\r\n" for more in headers for name, value in more.items())
        await self.send(writer, status, b"" if body is None else json.dumps(body).encode(), extra=extra)

    async def send(self, writer, status, body, kind="application/json", extra="", claimed=None):
        head = f"HTTP/1.1 {status} {PHRASES.get(status, 'So')}\r\nContent-Type: {kind}\r\n{extra}"
        writer.write(f"{head}Content-Length: {len(body) if claimed is None else claimed}\r\n\r\n".encode() + body)
        await writer.drain()


class Silent(Answers):
    """Accepts, and never says a word."""

    async def serve(self, books, request, writer):
        await asyncio.Event().wait()


class AnswersHtml(Answers):
    """A captive portal: a page for everything, with a status that sounds like something."""

    def __init__(self, status):
        self.status = status

    async def serve(self, books, request, writer):
        extra = "Location: http://portal.invalid/\r\n" if self.status == 302 else ""
        await self.send(writer, self.status, b"<html>Please log in</html>", "text/html", extra)


class Answers500(Answers):
    async def serve(self, books, request, writer):
        await self.send(writer, 500, b"oops", "text/plain")


class BareRefusal(Answers):
    """A proxy's own refusal: right status, no contract behind it."""

    def __init__(self, status):
        self.status = status

    async def serve(self, books, request, writer):
        await self.send(writer, self.status, b"", "text/plain")


class _Sometimes(Answers):
    """A fault that strikes the first deliveries only, and nothing else."""

    def __init__(self, times=1):
        self.left = times

    async def serve(self, books, request, writer):
        if self.left and is_delivery(request[1]):
            self.left -= 1
            await self.strike(books, request, writer)
        else:
            await super().serve(books, request, writer)


class LosesReply(_Sometimes):
    """Stores, then drops the connection."""

    async def strike(self, books, request, writer):
        books.answer(*request)
        writer.transport.abort()


class HalfBody(_Sometimes):
    """Stores, and sends half of the answer."""

    async def strike(self, books, request, writer):
        status, body = books.answer(*request)
        text = json.dumps(body).encode()
        await self.send(writer, status, text[: len(text) // 2], claimed=len(text))
        writer.close()


class HalfJson(_Sometimes):
    """Stores, and sends half of the answer as if it were whole."""

    async def strike(self, books, request, writer):
        _, body = books.answer(*request)
        text = json.dumps(body).encode()
        await self.send(writer, 200, text[: len(text) // 2])


class Refuses401(_Sometimes):
    """Knows the token no more."""

    async def strike(self, books, request, writer):
        books.revoke()
        await Answers.serve(self, books, request, writer)


class RateLimits429(_Sometimes):
    def __init__(self, times=1, retry_after="0"):
        super().__init__(times)
        self.retry_after = retry_after

    async def strike(self, books, request, writer):
        await self.send(writer, 429, b"{}", extra=f"Retry-After: {self.retry_after}\r\n")


class TakesNoBatchOver(Answers):
    """413 for a batch of more than so many records."""

    def __init__(self, most):
        self.most = most

    async def serve(self, books, request, writer):
        if request[1].endswith("batch/") and len(json.loads(request[3])["records"]) > self.most:
            await self.send(writer, 413, b'{"code":"body_too_large","detail":"too large"}')
        else:
            await super().serve(books, request, writer)


class ChokesOn(Answers):
    """500 for any request that carries this record."""

    def __init__(self, uuid):
        self.uuid = uuid.encode()

    async def serve(self, books, request, writer):
        if self.uuid in request[3]:
            await self.send(writer, 500, b"oops", "text/plain")
        else:
            await super().serve(books, request, writer)


class SlowTrickle(Answers):
    """One byte now and then, for ever."""

    async def serve(self, books, request, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nX: ")
        while True:
            writer.write(b"y")
            await writer.drain()
            await asyncio.sleep(0.02)


class Endless(Answers):
    """A body without end, as fast as it goes."""

    async def serve(self, books, request, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        while True:
            writer.write(b" " * 65_536)
            await writer.drain()


class Centre:
    """The HTTP server. `fault` may be changed at any time; `go_away` closes the port, `come_back` opens the same one."""

    def __init__(self, books=None, fault=None):
        self.books = books or Books()
        self.fault = fault or Answers()
        self.port = 0
        self._server = None
        self._tasks = set()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/"

    async def come_back(self):
        self._server = await asyncio.start_server(self._connection, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def go_away(self):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _connection(self, reader, writer):
        task = asyncio.current_task()
        self._tasks.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while not writer.is_closing():
                    request = await self._read(reader)
                    await self.fault.serve(self.books, request, writer)
        except asyncio.CancelledError:
            pass  # the server went away
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _read(self, reader):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii")
        first, *lines = head.rstrip("\r\n").split("\r\n")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines)}
        method, path, _ = first.split(" ")
        return method, path.removeprefix("/"), headers, await reader.readexactly(int(headers.get("content-length", 0)))


@asynccontextmanager
async def serving(books=None, fault=None):
    centre = Centre(books, fault)
    await centre.come_back()
    try:
        yield centre
    finally:
        await centre.go_away()


class _Body(httpx2.AsyncByteStream):
    def __init__(self, body):
        self._body = body

    async def __aiter__(self):
        yield self._body


class Weather(httpx2.AsyncBaseTransport):
    """The network between the real client and the books, without sockets: for a virtual clock.

    `state` is up, away, silent, 500 or html; `latency_s` is how long an exchange takes.
    """

    def __init__(self, books, latency_s=0.05):
        self.books, self.latency_s, self.state = books, latency_s, "up"
        self.attempts = Counter()

    async def handle_async_request(self, request):
        self.attempts[self.state] += 1
        await asyncio.sleep(self.latency_s)
        if self.state == "away":
            raise httpx2.ConnectError("connection refused", request=request)
        if self.state == "silent":
            await asyncio.sleep(request.extensions["timeout"]["read"])
            raise httpx2.ReadTimeout("silence", request=request)
        if self.state == "500":
            return httpx2.Response(500, stream=_Body(b"oops"))
        if self.state == "html":
            return httpx2.Response(200, stream=_Body(b"<html>Please log in</html>"))
        path = request.url.path.removeprefix("/")
        status, body, *headers = self.books.answer(request.method, path, request.headers, await request.aread())
        sent = {name: value for more in headers for name, value in more.items()}
        return httpx2.Response(status, headers=sent, stream=_Body(b"" if body is None else json.dumps(body).encode()))
