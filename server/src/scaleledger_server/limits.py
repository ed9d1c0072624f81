"""Every bound of the server's door, and the ASGI layer that holds them before Django sees a request.

Django under ASGI takes in a whole body, however long, before it asks whether that is allowed, and starts a thread per
request. So bodies are counted here while they arrive, and only so many requests are at work at once; the others wait.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

HEALTH_PATH = "/healthz"  # for a proxy in front, whatever host name it asks by; says that this worker answers, no more
BODY_BYTES_MAX = 1_048_576
UNPACKED_BYTES_MAX, UNPACKED_TIMES_MAX = 8 * BODY_BYTES_MAX, 10
BATCH_RECORDS_MAX = 500
PAYLOAD_CHARS_MAX = 16_384
PENDING_GATEWAYS_MAX, PENDING_PER_NETWORK_MAX = 5_000, 1_000
CONFLICTS_PER_GATEWAY_MAX = 50
REFUSED_TOKENS_PER_MINUTE = 300  # per address: guessing is hopeless, and should not be a load either
ALARM_ROWS_MAX = 10_000
REQUESTS_AT_WORK_MAX = 32
API_THREADS = 16  # no more than there are connections to the database
CONNECTIONS_MAX = 4_096
SOCKETS_MAX = 3_072
SOCKETS_PER_ADDRESS_MAX = 1_024  # a site's gateways and screens may all stand behind one address
SOCKET_MESSAGE_BYTES_MAX = 65_536
EDGE_MESSAGE_BYTES_MAX = BODY_BYTES_MAX  # 500 events, as in a body
STREAMS_MAX = 512
SOCKET_PING_S = 20.0
BODY_TIMEOUT_S = 30.0
DRAINED_BYTES_MAX = 8 * BODY_BYTES_MAX

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Any, Any, Any], Awaitable[None]]


class BodyTooLarge(Exception):
    """More bytes came than a body may have."""


class ClientGone(Exception):
    """The client left before its body was complete."""


class BoundedRequests:
    """An ASGI application that hands complete, bounded bodies to another, a bounded number at a time."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._at_work = asyncio.Semaphore(REQUESTS_AT_WORK_MAX)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        if scope["path"] == HEALTH_PATH:
            await _answer(send, 200, b'{"status":"ok"}')
            return
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                body = await _whole_body(receive)
        except BodyTooLarge:
            await _refuse(send, 413, "body_too_large", f"The body is larger than {BODY_BYTES_MAX} bytes.")
            return
        except TimeoutError:
            await _refuse(send, 400, "invalid", f"The body did not arrive within {BODY_TIMEOUT_S:.0f} s.")
            return
        except ClientGone:
            return
        except asyncio.CancelledError:  # only a stop cancels, and nothing has begun for this request yet
            await _refuse(send, 503, "rate_limited", "The server is stopping. Try again.")
            return
        async with self._at_work:
            await self._application(scope, _replay(body, receive), send)


async def _whole_body(receive: Receive) -> bytes:
    """The body. One that is too large is read on for a while, so that its sender gets to read the answer."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part = message.get("body", b"")
        size += len(part)
        if size <= BODY_BYTES_MAX:
            parts.append(part)
        more = message.get("more_body", False)
        if size > BODY_BYTES_MAX and (not more or size > DRAINED_BYTES_MAX):
            raise BodyTooLarge
        if not more:
            return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body once and then what the connection really says."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


async def _refuse(send: Send, status: int, code: str, detail: str) -> None:
    await _answer(send, status, json.dumps({"code": code, "detail": detail}).encode())


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
