"""The gateway's own socket at the centre: hints come in at once, live weights go out while somebody watches.

Nothing durable rests on it, so nothing here is kept or repeated. What goes out is never a queue: of each station only the
newest weight waits, and the buffers below are kept small, so that on a slow line a viewer sees fewer weights, never old
ones.

Source: contracts/README.md, "Sockets". A close with 4401, or a refusal of the handshake, is not believed by itself: the
centre is asked whose the token is, and that answer counts.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import NoReturn
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from scaleledger.domain.channel import Asked, LiveWeights, PortsScanned, Said
from scaleledger.domain.errors import CredentialsRefused, LinkError, NotOffered
from scaleledger.observe.log import get_logger
from scaleledger.uplinks.carrier import USER_AGENT
from scaleledger.uplinks.central.client import CentralUplink
from scaleledger.uplinks.central.messages import MESSAGE_MAX_BYTES, read_message, write_message

log = get_logger()

OPEN_S = 10.0
PING_INTERVAL_S = 20.0
SILENCE_S = 60.0  # without an answer to a ping for so long the line is dead
CLOSE_S = 2.0
BUFFER_BYTES = 16_384
ABSENT_S = 60.0  # a centre without sockets is asked again
TAKEN_OVER_S = 30.0
TOKEN_REFUSED, PLAIN_REFUSED, TAKEN_OVER = 4401, 4403, 4409


class _Straight(connect):
    """Goes where it was sent: a redirect is an answer like any other, and takes the token nowhere."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class CentralChannel:
    """The socket of the gateway that `uplink` speaks for; as `Channel` for the application. Run one at a time."""

    def __init__(
        self, uplink: CentralUplink, *, ping_interval_s: float = PING_INTERVAL_S, silence_s: float = SILENCE_S
    ) -> None:
        self._uplink = uplink
        self._ping_interval_s, self._silence_s = ping_interval_s, silence_s
        self._link: ClientConnection | None = None
        self._ports: PortsScanned | None = None
        self._weights: LiveWeights | None = None
        self._due = asyncio.Event()

    @property
    def up(self) -> bool:
        return self._link is not None

    def send(self, message: Said) -> None:
        if self._link is None:
            return
        if isinstance(message, PortsScanned):
            self._ports = message
        else:
            self._weights = merged(self._weights, message)
        self._due.set()

    async def run(self, receive: Callable[[Asked], None], opened: Callable[[], None] = lambda: None) -> NoReturn:
        await self._uplink.wait_ready()
        try:
            number = await self._uplink.gateway_id()
        except NotOffered as error:
            raise NotOffered(str(error), ABSENT_S) from error
        except CredentialsRefused as refusal:
            raise LinkError(str(refusal)) from refusal
        token = self._uplink.token
        link = await self._open(number, token)
        self._ports = self._weights = None
        self._due.clear()
        self._link = link
        log.info("net.line_up", uplink=self._uplink.name)
        sending = asyncio.create_task(self._send_what_is_due(link))
        sending.add_done_callback(lambda task: None if task.cancelled() else link.transport.abort())
        try:
            opened()
            end = await _listen(link, receive)
        finally:
            self._link = None
            sending.cancel()
            await asyncio.wait({sending})
            await link.close()
        failure = None if sending.cancelled() else sending.exception()
        if failure is not None and not isinstance(failure, ConnectionClosed):
            raise failure
        code = end.rcvd.code if end.rcvd is not None else 0
        await self._explain(code, token, f"the centre closed the channel ({code})" if code else "the channel broke off")

    async def _send_what_is_due(self, link: ClientConnection) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            ports, self._ports = self._ports, None
            if ports is not None:
                await link.send(write_message(ports))
            weights, self._weights = self._weights, None
            if weights is not None:
                await link.send(write_message(weights))

    async def _open(self, number: int, token: str) -> ClientConnection:
        base = urlsplit(self._uplink.base_url)
        scheme = "wss" if self._uplink.tls is not None else "ws"
        url = f"{scheme}://{base.netloc}{base.path.rstrip('/')}/ws/devices/gateways/{number}/"
        try:
            link = await _Straight(
                url,
                additional_headers={"Authorization": f"Bearer {token}"},
                user_agent_header=USER_AGENT,
                ssl=self._uplink.tls,
                proxy=None,
                compression=None,
                open_timeout=OPEN_S,
                ping_interval=self._ping_interval_s,
                ping_timeout=self._silence_s - self._ping_interval_s,
                close_timeout=CLOSE_S,
                max_size=MESSAGE_MAX_BYTES,
                write_limit=BUFFER_BYTES,
            )
        except InvalidStatus as refusal:
            await self._explain_handshake(refusal.response.status_code)
        except TimeoutError as error:
            raise LinkError(f"{url} did not open in time") from error
        except (OSError, EOFError, InvalidHandshake) as error:
            raise LinkError(f"{url} cannot be opened: {error}") from error
        opened = link.transport.get_extra_info("socket")
        if opened is not None:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        return link

    async def _explain_handshake(self, status: int) -> NoReturn:
        words = f"the centre answered {status} where the channel should open"
        if status in {404, 405}:
            raise NotOffered(words, ABSENT_S)
        if status in {401, 403}:
            await self._ask_about_token(words)
            raise LinkError(words, ABSENT_S)
        raise LinkError(words)

    async def _explain(self, code: int, token: str, words: str) -> NoReturn:
        if code == TAKEN_OVER:
            raise LinkError(f"{words}: another gateway has connected in this one's name", TAKEN_OVER_S)
        if code == TOKEN_REFUSED and token != self._uplink.token:
            raise LinkError(words)  # its time was over, and another one is in use already
        if code in {TOKEN_REFUSED, PLAIN_REFUSED}:
            await self._ask_about_token(words)
            raise LinkError(words, ABSENT_S)
        raise LinkError(words)

    async def _ask_about_token(self, words: str) -> None:
        """If the token is refused there too, the uplink holds none any more, and the gateway's life goes on with SYNC."""
        try:
            await self._uplink.standing(self._uplink.mac_address)
        except CredentialsRefused as refusal:
            raise LinkError(f"{words}; {refusal}") from refusal


async def _listen(link: ClientConnection, receive: Callable[[Asked], None]) -> ConnectionClosed:
    """Hand on what is asked for, until the link ends; returns how."""
    while True:
        try:
            asked = read_message(await link.recv())
        except ConnectionClosed as closed:
            return closed
        if asked is not None:
            receive(asked)


def merged(old: LiveWeights | None, new: LiveWeights) -> LiveWeights:
    """Of each station the newest."""
    if old is None:
        return new
    stations = {live.station: live for live in (*old.stations, *new.stations)}
    return LiveWeights(new.at, tuple(stations.values()))
