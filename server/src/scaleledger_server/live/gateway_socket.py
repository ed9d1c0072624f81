"""A gateway's own socket: what the centre tells it, what it tells the centre, and who may see its live weights.

A gateway that nobody watches says nothing here. One connection per gateway: a newer one, on whichever worker, ends this.
"""

import asyncio
import logging
import secrets
import time
from collections import deque
from typing import Any

from django.db import DatabaseError
from django.utils import timezone

from scaleledger_server.errors import Invalid
from scaleledger_server.limits import Message, Receive, Send
from scaleledger_server.live import centre
from scaleledger_server.live.hub import HUBS, as_json, live_group
from scaleledger_server.live.leases import Leases, changes
from scaleledger_server.live.messages import Scan, Update, read_from_gateway
from scaleledger_server.live.sockets import (
    NO_PLAIN_CLIENTS,
    REFUSED,
    REPLACED,
    TRY_LATER,
    UNREADABLE,
    Allowance,
    Gone,
    Socket,
)
from scaleledger_server.live.switchboard import Switchboard
from scaleledger_server.notices import EVERY_GATEWAY, gateway_group

log = logging.getLogger(__name__)

MESSAGES_PER_SECOND_MAX = 50
UNREADABLE_MAX = 100
SPOKEN_MAX = 64
RECHECK_S = 60.0
_NO_STATIONS: frozenset[str] = frozenset()


async def gateway_socket(scope: Message, receive: Receive, send: Send) -> None:
    """The ASGI application for `/ws/devices/gateways/<id>/` and `/ws/devices/<id>/`."""
    socket = Socket(receive, send)
    gateway_id: int = scope["url_route"]["kwargs"]["gateway_id"]
    headers = dict(scope["headers"])
    credentials = headers.get(b"authorization", b"").decode("latin-1")
    try:
        await socket.accept()
        since = time.time()  # before the check, which may take longer for the older of two connections
        code = await _refusal(gateway_id, credentials)
        if code:
            await socket.close(code)
            return
        await GatewayLink(gateway_id, credentials, socket, since, scope["state"]["switchboard"]).run()
    except Gone:
        return


async def _refusal(gateway_id: int, credentials: str) -> int:
    """The close code for who may not be here; 0 for who may. One that does not tell whether the gateway exists."""
    try:
        allowed = await centre.may_connect(gateway_id, credentials)
    except DatabaseError as error:
        log.warning("gateway %d cannot be checked: the database does not answer: %s", gateway_id, error)
        return TRY_LATER
    if allowed:
        return 0
    return REFUSED if credentials or centre.plain_clients() else NO_PLAIN_CLIENTS


class GatewayLink:
    """One gateway's connection, while it lasts. `since` (Unix time) tells which of two is the newer one."""

    def __init__(
        self, gateway_id: int, credentials: str, socket: Socket, since: float, switchboard: Switchboard
    ) -> None:
        self._gateway_id, self._credentials = gateway_id, credentials
        self._socket, self._switchboard = socket, switchboard
        self._connection = secrets.token_hex(8)
        self._since = since
        self._clock = asyncio.get_running_loop().time
        self._leases = Leases()
        self._said = _NO_STATIONS
        self._spoken: deque[str] = deque(maxlen=SPOKEN_MAX)
        self._close_with = 0
        self._work = asyncio.Event()

    async def run(self) -> None:
        """Serve until it ends. Raises Gone."""
        groups = {
            gateway_group(self._gateway_id): self._on_own,
            EVERY_GATEWAY: self._on_own,
        }
        for group, callback in groups.items():
            self._switchboard.join(group, callback)
        self._switchboard.on_restored(self._announce)
        self._announce()
        speaker = asyncio.create_task(self._speak())
        try:
            await self._listen()
        finally:
            speaker.cancel()
            await asyncio.wait([speaker])
            self._switchboard.forget_restored(self._announce)
            for group, callback in groups.items():
                self._switchboard.leave(group, callback)
            self._post_live("live.offline")

    def _announce(self) -> None:
        """Older connections of this gateway end; workers whose pages watch it say so."""
        self._post_since()
        self._switchboard.post(HUBS, {"type": "watch.who", "gateway": self._gateway_id})

    def _post_since(self) -> None:
        newer = {"type": "gateway.newer", "connection": self._connection, "since": self._since}
        self._switchboard.post(gateway_group(self._gateway_id), newer)

    def _post_live(self, type_: str, **facts: Any) -> None:
        message = {"type": type_, "gateway": self._gateway_id, "connection": self._connection, **facts}
        self._switchboard.post(live_group(self._gateway_id), message)

    def _on_own(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "gateway.say":
                self._spoken.append(as_json(message["message"]))
            case "gateway.end":
                self._close_with = REFUSED
            case "gateway.newer":
                self._compare(message["since"], message["connection"])
            case "watch.lease":
                self._leases.hold(message["worker"], message["stations"], self._clock() + message["ttl_s"])
                self._post_live("live.online")
        self._work.set()

    def _compare(self, since: float, connection: str) -> None:
        """The newer of two stays. An older one that joined late has missed that, and is told again."""
        if (since, connection) > (self._since, self._connection):
            self._close_with = REPLACED
        elif connection != self._connection:
            self._post_since()

    async def _speak(self) -> None:
        """Say what is to be said, and whenever the leases change, what to stream. Ends with the socket."""
        checked_at = self._clock()
        try:
            while not self._close_with:
                self._work.clear()
                wanted = self._leases.wanted(self._clock())
                for message in changes(self._said, wanted):
                    await self._socket.say(as_json(message))
                self._said = wanted
                while self._spoken:
                    await self._socket.say(self._spoken.popleft())
                if self._clock() >= checked_at + RECHECK_S:
                    checked_at = self._clock()
                    self._close_with = await self._recheck()
                ends = min(self._leases.next_end() or checked_at + RECHECK_S, checked_at + RECHECK_S)
                await self._wait(max(0.0, ends - self._clock()))
            await self._socket.close(self._close_with)
        except Gone:
            return

    async def _recheck(self) -> int:
        """A revocation whose notice was lost, or a token whose time is over, ends the connection within a minute."""
        self._post_since()  # the notice of a newer connection may have been lost like any other
        code = await _refusal(self._gateway_id, self._credentials)
        return 0 if code == TRY_LATER else code

    async def _wait(self, seconds: float) -> None:
        if self._close_with:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._work.wait()
        except TimeoutError:
            return

    async def _listen(self) -> None:
        allowance = Allowance(MESSAGES_PER_SECOND_MAX, 2 * MESSAGES_PER_SECOND_MAX, self._clock())
        unreadable = 0
        while True:
            text = await self._socket.hear()
            if not allowance.take(self._clock()):
                log.warning("gateway %d says too much; its socket is closed", self._gateway_id)
                break
            try:
                await self._take(read_from_gateway(text, timezone.now()))
            except Invalid as error:
                unreadable += 1
                if unreadable == 1:
                    log.warning("gateway %d said what cannot be read: %s", self._gateway_id, error)
                if unreadable >= UNREADABLE_MAX:
                    break
        await self._socket.close(UNREADABLE)

    async def _take(self, message: Update | Scan | None) -> None:
        if isinstance(message, Update) and self._said:
            self._post_live("live.update", stations=list(message.stations))
        elif isinstance(message, Scan):
            try:
                await centre.keep_scan(self._gateway_id, message.ports)
            except DatabaseError as error:
                log.warning("gateway %d: its scan could not be kept: %s", self._gateway_id, error)
