"""A centre's sockets for tests: a real WebSocket server that also answers whose a token is."""

import asyncio
import json
from http import HTTPStatus

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from fakes.outbox import MAC

SELF = {"id": 3, "mac_address": MAC, "status": "active", "access_token": "token-1", "server_key": "9d" * 32}
OURS = (200, SELF)
UNKNOWN = (401, {"code": "token_unknown", "detail": "not known here"})
EXPIRED = (401, {"code": "token_expired", "detail": "its time is over"})
PATH = "/ws/devices/gateways/3/"


class SocketCentre:
    """`handshake` is the status it answers an upgrade with, 0 to open; `about_token` what `…/self/` says."""

    def __init__(self, *, handshake=0, about_token=OURS, reads=True, tls=None):
        self.handshake, self.about_token, self.reads, self.tls = handshake, about_token, reads, tls
        self.asked = []
        self.headers = None
        self.links = asyncio.Queue()
        self.heard = asyncio.Queue()

    async def __aenter__(self):
        serving = serve(
            self._serve, "127.0.0.1", 0, process_request=self._answer, max_queue=1, compression=None, ssl=self.tls
        )
        self._server = await serving
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http{'s' if self.tls else ''}://127.0.0.1:{port}/"
        return self

    async def __aexit__(self, *_):
        self._server.close()
        await self._server.wait_closed()

    def _answer(self, connection, request):
        self.asked.append(request.path)
        if request.path == "/devices/api/gateways/self/":
            status, said = self.about_token
            response = connection.respond(HTTPStatus(status), json.dumps(said))
            del response.headers["Content-Type"]
            response.headers["Content-Type"] = "application/json"
            return response
        self.headers = request.headers
        if self.handshake:
            response = connection.respond(HTTPStatus(self.handshake), "no")
            response.headers["Location"] = "/elsewhere/"
            return response
        return None

    async def _serve(self, link):
        await self.links.put(link)
        try:
            if self.reads:
                async for text in link:
                    await self.heard.put(json.loads(text))
            await link.wait_closed()
        except ConnectionClosed:
            pass
