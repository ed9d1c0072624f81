"""The HTTP server, inside the gateway's own loop: it takes no signals, and strangers cannot hold its connections.

The address is bound before the gateway says that it is ready. Where that fails, the line runs all the same, the log says what is
in the way, and the address is tried again.
"""

import asyncio
import contextlib
import logging
import random
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from scaleledger.observe.log import get_logger

log = get_logger()

RETRY_S = (1.0, 30.0)
CONNECTIONS_MAX = 200
PER_ADDRESS_MAX = 32
HEADERS_S = 10.0
ACCEPT_AGAIN_S = 0.5
DRAIN_S = 1
BACKLOG = 64

Application = Callable[[Any, Any, Any], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. `certificate` and `key` are both there, or TLS is not spoken."""

    host: str
    port: int
    certificate: Path | None = None
    key: Path | None = None


class WebServer:
    """Serves `app` at `address`. Call `bind` once, then `run` as one task."""

    def __init__(self, app: Application, address: Address, rng: random.Random) -> None:
        self._app, self._address, self._rng = app, address, rng
        self._socket: socket.socket | None = None

    @property
    def port(self) -> int:
        """The port bound, 0 while there is none."""
        return int(self._socket.getsockname()[1]) if self._socket is not None else 0

    def bind(self) -> bool:
        """Take the address. False, with words in the log, when it cannot be had now; `run` tries again."""
        try:
            self._socket = _listening(self._address)
        except OSError as error:
            where = f"{self._address.host}:{self._address.port}"
            log.warning(
                "sys.dashboard_blocked",
                address=where,
                reason=f"{error.strerror or error}. Stop what uses {where}, or change [dashboard] address.",
            )
            return False
        return True

    def close(self) -> None:
        """Let the address go. Safe to call twice."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def run(self) -> None:
        """Serve until cancelled."""
        delay_s = RETRY_S[0]
        while self._socket is None and not self.bind():
            await asyncio.sleep(delay_s * self._rng.uniform(0.5, 1.0))
            delay_s = min(delay_s * 2, RETRY_S[1])
        assert self._socket is not None
        scheme = "https" if self._address.certificate else "http"
        log.info("sys.dashboard_up", url=f"{scheme}://{self._address.host}:{self.port}/")
        server = _Server(_config(self._app, self._address))
        serving = asyncio.ensure_future(server.serve([self._socket]))
        try:
            await asyncio.shield(serving)
        finally:
            server.leave()
            await asyncio.wait({serving})
            self.close()


class _Server(uvicorn.Server):
    """Uvicorn without its signals, with one tick a second instead of ten, and with a place to be had before TLS is spoken.

    A stranger that connects and says nothing would else hold a file of this process for a minute, as often as it likes, until
    none were left for the scales.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._leaving = asyncio.Event()
        self._work: set[asyncio.Task[None]] = set()
        self._unmet: set[socket.socket] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take connections at these sockets."""
        self.servers = []
        for sock in sockets or ():
            self._begin(self._take(sock))
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more, then end what is under way."""
        if self._work:
            for task in self._work:
                task.cancel()
            await asyncio.wait(self._work)
        for connection in self._unmet:  # its task was cancelled before it began
            connection.close()
        await super().shutdown(sockets)

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _take(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, peer = await loop.sock_accept(sock)
            except OSError:  # the peer left already, or the process has no file left
                await asyncio.sleep(ACCEPT_AGAIN_S)
                continue
            if _Patience.enter(peer[0]):
                self._unmet.add(connection)
                self._begin(self._greet(connection, peer[0]))
            else:
                connection.close()

    async def _greet(self, connection: socket.socket, peer: str) -> None:
        self._unmet.discard(connection)
        config = self.config
        protocol = _Patience(config, self.server_state, self.lifespan.state)
        protocol.peer = peer
        limit_s = HEADERS_S if config.ssl else None
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: protocol, connection, ssl=config.ssl, ssl_handshake_timeout=limit_s
            )
        except OSError:  # it spoke no TLS, or not in time
            connection.close()
        finally:
            if not protocol.is_met:
                _Patience.give_back(peer)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take none: they are the gateway's."""
        yield

    def leave(self) -> None:
        """End soon, in good order."""
        self.should_exit = True
        self._leaving.set()

    async def main_loop(self) -> None:
        """Until `leave`."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._leaving.wait()


class _Patience(H11Protocol):
    """A connection that must say its request in time; one address has only so many, and all together have."""

    _counts: ClassVar[Counter[str]] = Counter()
    _deadline: asyncio.TimerHandle | None = None
    peer = ""
    is_met = False

    @classmethod
    def enter(cls, peer: str) -> bool:
        """Whether there is a place for one more connection of this address; it is taken then."""
        if cls._counts[peer] >= PER_ADDRESS_MAX or cls._counts.total() >= CONNECTIONS_MAX:
            return False
        cls._counts[peer] += 1
        return True

    @classmethod
    def give_back(cls, peer: str) -> None:
        """A place is free again."""
        cls._counts[peer] -= 1
        if cls._counts[peer] <= 0:
            del cls._counts[peer]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.is_met = True
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        self.give_back(self.peer)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._disarm()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport is not None and not self.transport.is_closing():
            self._arm()

    def _arm(self) -> None:
        self._disarm()
        self._deadline = self.loop.call_later(HEADERS_S, self._late)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.abort()


def _config(app: Application, address: Address) -> uvicorn.Config:
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    return uvicorn.Config(
        app,
        http=_Patience,
        ws="none",
        loop="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=CONNECTIONS_MAX,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=DRAIN_S,
        h11_max_incomplete_event_size=16_384,
        ssl_certfile=address.certificate,
        ssl_keyfile=address.key,
    )


def _listening(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((address.host, address.port))
        found.listen(BACKLOG)
        found.setblocking(False)
    except OSError:
        found.close()
        raise
    return found
