"""Stands before every route and every WebSocket, and asks in this order: which name is the gateway called by, where does
the request come from, what kind of content is it, how much, whose, and is it meant.

The order keeps what strangers can cost small: a body is read only for somebody who may send one. A page in the operator's
browser that is not ours gets past none of this: a rebound name fails at the host, a cross-site form at its origin, and a
request without the token of the page fails at the end.
"""

import asyncio
import ipaddress
import json
from collections.abc import Awaitable, Callable, Collection, MutableMapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from starlette.routing import BaseRoute

from scaleledger.web.access import Access, declared, matching
from scaleledger.web.doorkeeper import Doorkeeper
from scaleledger.web.sessions import Visitor, same

BODY_BYTES_MAX = 256 * 1024
OPEN_BODY_BYTES_MAX = 4 * 1024
BODY_S = 10.0
DRAINED_BYTES_MAX, DRAIN_S = 1024 * 1024, 2.0
VISITOR = "scaleledger.visitor"
SAFE = ("GET", "HEAD", "OPTIONS")
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
HEADERS = (
    (b"content-security-policy", b"default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),  # with none at all, browsers send no origin with a form
    (b"cross-origin-opener-policy", b"same-origin"),
)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Turned(Exception):
    """A request that goes no further. `location`: the page to go to instead."""

    def __init__(self, status: int, words: str, location: str = "") -> None:
        super().__init__(words)
        self.status, self.location = status, location


class Guard:
    """An ASGI application before another one. `routes` are the other's, each with a declared access.

    `hosts` are names without a port; loopback names and the address that a request came in at are always good: no foreign
    name can be bound to them that shows an address in its Host header.
    """

    def __init__(
        self,
        app: Callable[[Any, Receive, Send], Awaitable[None]],
        routes: Sequence[BaseRoute],
        doorkeeper: Doorkeeper,
        hosts: Collection[str],
        cookie: str,
    ) -> None:
        self._app, self._routes, self._door, self._cookie = app, routes, doorkeeper, cookie
        self._hosts = {"localhost", "127.0.0.1", "::1", *(host.lower() for host in hosts)}

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            return
        told = _Told(scope)
        try:
            access = self._look(scope, told)
            if scope["type"] == "http" and scope["method"] not in SAFE:
                receive = await self._read(scope, told, receive, access)
        except Turned as turned:
            if told.is_write:
                await _drain(receive)
            await _answer(scope, told, send, turned)
            return
        await self._app(scope, receive, _with_headers(send, told))

    def _look(self, scope: Any, told: "_Told") -> Access:
        """Everything that can be said without the body. Raises Turned."""
        self._check_host(scope, told)
        _check_origin(scope, told)
        if told.is_write:
            _check_content(told)
        route = matching(self._routes, scope)
        access = declared(route) if route is not None else Access.VIEWER
        if access is None:
            raise Turned(403, "This address is for nobody.")
        _check_size(told, access)
        visitor = self._visitor(told)
        scope[VISITOR] = visitor
        if access is not Access.OPEN:
            if visitor is None:
                raise self._stranger(told)
            if not visitor.may(access):
                raise Turned(403, "Only an admin may do this. Log in as one.")
        return access

    def _check_host(self, scope: Any, told: "_Told") -> None:
        name = _host_name(told.one(b"host") or "")
        came_in_at = (scope.get("server") or ("", 0))[0]
        if name not in self._hosts and not (name and _is_address(name) and name == came_in_at):
            raise Turned(
                421,
                "This gateway is not known by the name in the address line. Use its address, or add the name to "
                "[dashboard] hosts in its configuration.",
            )

    def _visitor(self, told: "_Told") -> Visitor | None:
        bearer = told.one(b"authorization") or ""
        if bearer:
            scheme, _, secret = bearer.partition(" ")
            return self._door.bearer(secret.strip()) if scheme.lower() == "bearer" else None
        cookie = told.cookie(self._cookie)
        return self._door.sessions.visitor(cookie) if cookie else None

    def _stranger(self, told: "_Told") -> Turned:
        if self._door.needs_setup:
            return Turned(401, "Nobody can log in yet: open the setup page first.", "/setup")
        here = f"/login?next={quote(told.path)}" if told.method in SAFE and told.path != "/" else "/login"
        return Turned(401, "Log in first, or send a token.", here)

    async def _read(self, scope: Any, told: "_Told", receive: Receive, access: Access) -> Receive:
        """The body, read and counted, and whether it is meant by who sends it. Raises Turned."""
        limit = OPEN_BODY_BYTES_MAX if access is Access.OPEN else BODY_BYTES_MAX
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_S):
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Turned(400, "The request ended before its content.")
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
                    if len(body) > limit:
                        raise Turned(413, f"At most {limit} bytes may be sent here.")
        except TimeoutError:
            raise Turned(408, "The content did not come in time.") from None
        visitor: Visitor | None = scope[VISITOR]
        if visitor is not None and visitor.csrf and access is not Access.OPEN:
            shown = told.one(b"x-csrf-token") or ("" if told.is_api else _field(bytes(body), "csrf"))
            if not same(shown, visitor.csrf):
                raise Turned(403, "This page is too old, or was not made here. Load it again and repeat.")
        return _once(bytes(body), receive)


class _Told:
    """A request's headers. A header given twice is none of its values."""

    def __init__(self, scope: Any) -> None:
        self._headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            self._headers.setdefault(name.lower(), []).append(value)
        self.path: str = scope["path"]
        self.is_socket = scope["type"] == "websocket"
        self.method: str = "GET" if self.is_socket else scope["method"]
        self.is_api = self.path.startswith("/api/")
        self.is_write = self.method not in SAFE

    def one(self, name: bytes) -> str | None:
        """Its value; "" if it is not there, None if it is there more than once."""
        values = self._headers.get(name, [b""])
        return values[0].decode("latin-1") if len(values) == 1 else None

    def cookie(self, name: str) -> str:
        """A cookie's value; "" if it is not there, or there twice."""
        pairs = [
            pair.strip().partition("=") for pair in ";".join(map(_text, self._headers.get(b"cookie", []))).split(";")
        ]
        values = [value for key, _, value in pairs if key == name]
        return values[0] if len(values) == 1 else ""

    @property
    def wants_page(self) -> bool:
        return not self.is_api and not self.is_socket and "text/html" in (self.one(b"accept") or "")


def _text(raw: bytes) -> str:
    return raw.decode("latin-1")


def _check_origin(scope: Any, told: _Told) -> None:
    """A page of ours, or no page at all; a browser always says where a write comes from."""
    origin, site = told.one(b"origin"), told.one(b"sec-fetch-site")
    if origin is None or site is None:
        raise Turned(403, "This request says twice where it comes from.")
    if origin and not _is_ours(origin, told.one(b"host") or "", secure=scope["scheme"] in {"https", "wss"}):
        raise Turned(403, "This request comes from a page of another place.")
    unsafe = told.is_write or told.is_socket
    if unsafe and site not in {"", "same-origin"}:
        raise Turned(403, "This request comes from a page of another place.")
    if unsafe and not origin and not told.one(b"authorization"):
        raise Turned(403, "This request does not say which page it comes from.")


def _is_ours(origin: str, host: str, *, secure: bool) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.netloc.lower() == host.lower() and (parts.scheme == "https") is secure


def _check_content(told: _Told) -> None:
    kind = (told.one(b"content-type") or "").partition(";")[0].strip().lower()
    wanted = JSON if told.is_api else FORM
    if kind != wanted and not (told.method == "DELETE" and kind == ""):
        raise Turned(415, f"This address takes {wanted} only.")


def _check_size(told: _Told, access: Access) -> None:
    length = told.one(b"content-length")
    if length is None or not (length == "" or (length.isascii() and length.isdigit())):
        raise Turned(400, "The content's length cannot be read.")
    limit = OPEN_BODY_BYTES_MAX if access is Access.OPEN else BODY_BYTES_MAX
    if len(length) > 12 or int(length or 0) > limit:
        raise Turned(413, f"At most {limit} bytes may be sent here.")


def _host_name(host: str) -> str:
    """A Host header's name, without the port, in lower case; "" when it is not one."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".") if host and not set(host) & set("/@?#\\ ") else ""
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _field(body: bytes, name: str) -> str:
    try:
        values = parse_qs(body.decode("utf-8", "replace"), max_num_fields=200).get(name, [])
    except ValueError:
        return ""
    return values[0] if len(values) == 1 else ""


async def _drain(receive: Receive) -> None:
    """Let go of what is still coming, within bounds: a connection closed upon unread bytes loses the answer too."""
    left = DRAINED_BYTES_MAX
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return


def _once(body: bytes, receive: Receive) -> Receive:
    """The body once more, for the application; then whatever comes after it."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _with_headers(send: Send, told: _Told) -> Send:
    """Add what every answer says; nothing but the static files may be kept by a browser or a proxy."""
    cached = told.path.startswith("/static/")

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            names = {name.lower() for name, _ in message.get("headers", ())}
            extra = [pair for pair in HEADERS if pair[0] not in names]
            if not cached and b"cache-control" not in names:
                extra.append((b"cache-control", b"no-store"))
            message["headers"] = [*message.get("headers", ()), *extra]
        await send(message)

    return sent


async def _answer(scope: Any, told: _Told, send: Send, turned: Turned) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": str(turned)[:100]})
        return
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    status, body = turned.status, json.dumps({"error": str(turned)}).encode()
    if turned.location and told.wants_page:
        status, body = 303, b""
        headers.append((b"location", turned.location.encode()))
    elif told.wants_page or not told.is_api:
        headers[0] = (b"content-type", b"text/plain; charset=utf-8")
        body = str(turned).encode()
    headers.append((b"content-length", str(len(body)).encode()))
    sent = _with_headers(send, told)
    await sent({"type": "http.response.start", "status": status, "headers": headers})
    await sent({"type": "http.response.body", "body": b"" if told.method == "HEAD" else body})
