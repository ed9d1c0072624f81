"""The plain dialect's way to a token: identify, identity, and when an administrator has approved it, the token.

The socket never shows a token for a gateway that has proved a key, and where plain clients are not allowed it only says so.
"""

import asyncio
import logging
from typing import Any

from django.db import DatabaseError

from scaleledger_server.errors import Invalid, Refusal
from scaleledger_server.limits import Message, Receive, Send
from scaleledger_server.live import centre
from scaleledger_server.live.hub import as_json
from scaleledger_server.live.messages import Identity, read_identity
from scaleledger_server.live.sockets import NO_PLAIN_CLIENTS, TRY_LATER, UNREADABLE, Gone, Socket
from scaleledger_server.live.switchboard import Switchboard
from scaleledger_server.notices import provisioning_group

log = logging.getLogger(__name__)

IDENTITY_TIMEOUT_S = 30.0
UNREADABLE_MAX = 10
LOOK_S = 5.0  # an approval by a command on a server without Redis is told to nobody


async def provisioning_socket(scope: Message, receive: Receive, send: Send) -> None:
    """The ASGI application for `/ws/devices/gateways/provisioning/`."""
    socket = Socket(receive, send)
    address = scope["client"][0] if scope.get("client") else ""
    try:
        await socket.accept()
        if not centre.plain_clients():
            detail = "This server takes only gateways that prove a key."
            await _refuse(socket, Refusal(403, "key_required", detail))
            return
        await socket.say(as_json({"type": "identify"}))
        try:
            async with asyncio.timeout(IDENTITY_TIMEOUT_S):
                identity = await _identity(socket)
            mac_address = await centre.register(identity, address)
            await _wait_for_approval(socket, scope["state"]["switchboard"], mac_address)
        except Refusal as refusal:
            await _refuse(socket, refusal)
        except TimeoutError:
            await socket.close(UNREADABLE)
        except DatabaseError as error:
            log.warning("a client cannot be registered: the database does not answer: %s", error)
            await socket.close(TRY_LATER)
    except Gone:
        return


async def _identity(socket: Socket) -> Identity:
    """Raises Invalid, Gone."""
    for _ in range(UNREADABLE_MAX):
        identity = read_identity(await socket.hear())
        if identity is not None:
            return identity
    raise Invalid("Say identity, as asked.", "type")


async def _refuse(socket: Socket, refusal: Refusal) -> None:
    payload = {"code": refusal.code, "detail": refusal.detail}
    await socket.say(as_json({"type": "refused", "payload": payload}))
    await socket.close(NO_PLAIN_CLIENTS)


async def _wait_for_approval(socket: Socket, switchboard: Switchboard, mac_address: str) -> None:
    """Until the client leaves; what it says meanwhile changes nothing. Raises Gone."""
    approved = asyncio.Event()

    def on_notice(_message: dict[str, Any]) -> None:
        approved.set()

    group = provisioning_group(mac_address)
    switchboard.join(group, on_notice)
    giver = asyncio.create_task(_give_when_approved(socket, mac_address, approved))
    try:
        while True:
            await socket.hear()
    finally:
        giver.cancel()
        await asyncio.wait([giver])
        switchboard.leave(group, on_notice)


async def _give_when_approved(socket: Socket, mac_address: str, approved: asyncio.Event) -> None:
    """Look now, at every notice, and now and then; give the token once."""
    while True:
        approved.clear()
        try:
            token = await centre.plain_token(mac_address)
        except DatabaseError as error:
            log.warning("whether %s is approved cannot be read: %s", mac_address, error)
            token = ""
        if token:
            break
        try:
            async with asyncio.timeout(LOOK_S):
                await approved.wait()
        except TimeoutError:
            continue
    try:
        await socket.say(as_json({"type": "gateway.registered", "payload": {"access_token": token}}))
    except Gone:
        return
