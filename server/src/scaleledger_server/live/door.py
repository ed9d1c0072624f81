"""Who may open a socket at all: a name of this server, a page of this server, and only so many from one address.

A browser sends cookies with a socket whoever wrote the page, so an Origin that is not ours is turned away; clients that are
no browsers send none.
"""

from collections import Counter
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from scaleledger_server.limits import SOCKETS_MAX, SOCKETS_PER_ADDRESS_MAX, Application, Message, Receive, Send


class BoundedSockets:
    """An ASGI application that lets allowed sockets through to another."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._open: Counter[str] = Counter()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        address = scope["client"][0] if scope.get("client") else ""
        full = self._open.total() >= SOCKETS_MAX or self._open[address] >= SOCKETS_PER_ADDRESS_MAX
        if full or not _allowed(scope) or "switchboard" not in scope.get("state", {}):
            await turn_away(scope, receive, send)
            return
        self._open[address] += 1
        try:
            await self._application(scope, receive, send)
        finally:
            self._open[address] -= 1
            if not self._open[address]:
                del self._open[address]


async def turn_away(_scope: Message, receive: Receive, send: Send) -> None:
    """Refuse the handshake (403)."""
    await receive()
    await send({"type": "websocket.close"})


def allowed_host(scope: Message) -> bool:
    """Whether the Host header is a name of this server."""
    domain, _ = split_domain_port(_host(scope))
    return bool(domain) and validate_host(domain, settings.ALLOWED_HOSTS)


def _host(scope: Message) -> str:
    host: bytes = dict(scope["headers"]).get(b"host", b"")
    return host.decode("latin-1").lower()


def _allowed(scope: Message) -> bool:
    headers = dict(scope["headers"])
    if not allowed_host(scope):
        return False
    origin = headers.get(b"origin", b"").decode("latin-1").lower()
    if not origin:
        return not scope["path"].startswith("/ws/live/")
    return origin in settings.CSRF_TRUSTED_ORIGINS or _host_of(origin) == _host(scope)


def _host_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:  # a bracket that is not closed, and the like
        return None
