"""The WebSocket carrier of contracts/carnitrack.md: an edge registers, delivers events and is told of sessions at once.

Three tasks share a connection. The listener reads and puts in order; it stops reading while too much waits, so an edge that
delivers its backlog is slowed by its own connection. The taker stores what waits, many events in one transaction, and
acknowledges each after the commit. The speaker tells what happens here, and looks now and then whether the edge may stay.
"""

import asyncio
import logging
import secrets
import time
from collections import deque
from typing import Any

from django.utils import timezone

from scaleledger_server.edges import events
from scaleledger_server.edges.messages import read_batch, read_device
from scaleledger_server.errors import Invalid, Refusal
from scaleledger_server.limits import EDGE_MESSAGE_BYTES_MAX, Message, Receive, Send
from scaleledger_server.live import centre, edge_door
from scaleledger_server.live.edge_door import AWAY, Handshake
from scaleledger_server.live.edge_messages import (
    BATCH_STEPS,
    DEVICE_STATES,
    EVENT_TYPES,
    SPOKEN,
    Envelope,
    Presence,
    Step,
    Waiting,
    envelope,
    read_envelope,
)
from scaleledger_server.live.sockets import REPLACED, SILENT, TRY_LATER, UNREADABLE, Allowance, Gone, Socket
from scaleledger_server.live.switchboard import Switchboard
from scaleledger_server.notices import EVERY_EDGE, gateway_group
from scaleledger_server.shifts import edges
from scaleledger_server.shifts.models import Edge

log = logging.getLogger(__name__)

OTHERS_PER_SECOND_MAX, OTHERS_AT_ONCE_MAX = 100, 1_000  # a plant's scales may all dial in at once
WAITING_MAX = 4_000  # events, and as many messages
UNREADABLE_MAX = 100
SPOKEN_MAX = 64
REGISTER_WITHIN_S = 30.0
PING_S, PONG_WITHIN_S = 30.0, 10.0
RECHECK_S = 45.0
PRESENCE_EVERY_S = 2.0


async def edge_socket(scope: Message, receive: Receive, send: Send) -> None:
    """The ASGI application for `/edge/ws`, `/edge` and `/`."""
    socket = Socket(receive, send, EDGE_MESSAGE_BYTES_MAX)
    shown = edge_door.read_handshake(scope)
    try:
        await socket.accept()
        since = time.time()  # before the check, which may take longer for the older of two connections
        edge = await _admitted(socket, shown)
        if edge is not None:
            await EdgeLink(edge, shown, socket, since, scope["state"]["switchboard"]).run()
    except Gone:
        return


async def _admitted(socket: Socket, shown: Handshake) -> Edge | None:
    """The edge, once it has registered; None when the connection was closed instead. Raises Gone."""
    try:
        async with asyncio.timeout(REGISTER_WITHIN_S):
            payload = await _register(socket)
    except TimeoutError:
        await socket.close(UNREADABLE)
        return None
    try:
        return await centre.ask(edge_door.admit, shown, payload, timezone.now())
    except Invalid as refusal:
        log.warning("an edge at %s registers with what cannot be read: %s", shown.address, refusal)
        await socket.close(UNREADABLE)
    except Refusal as refusal:
        await socket.close(edge_door.code_of(refusal))
    except AWAY as error:
        log.warning("an edge cannot be checked: the database does not answer: %s", error)
        await socket.close(TRY_LATER)
    return None


async def _register(socket: Socket) -> Any:
    """The payload of `register`; what comes before it is not taken, but a ping is answered. Raises Gone."""
    for _ in range(UNREADABLE_MAX):
        try:
            message = read_envelope(await socket.hear())
        except Invalid:
            continue
        if message.type == "register":
            return message.payload
        if message.type == "ping":
            await socket.say(envelope("pong", {}, 0, timezone.now()))
    await socket.close(UNREADABLE)
    raise Gone


class EdgeLink:
    """One edge's connection, while it lasts. `since` (Unix time) tells which of two is the newer one."""

    def __init__(self, edge: Edge, shown: Handshake, socket: Socket, since: float, switchboard: Switchboard) -> None:
        self._edge, self._shown, self._socket, self._since = edge, shown, socket, since
        self._switchboard = switchboard
        self._connection = secrets.token_hex(8)
        self._clock = asyncio.get_running_loop().time
        self._waiting, self._presence = Waiting(), Presence()
        self._deliveries, self._room = asyncio.Event(), asyncio.Event()
        self._spoken: deque[Message] = deque()
        self._list_due, self._check_due = True, False
        self._work = asyncio.Event()
        self._close_with = 0
        self._heard_at = self._clock()
        self._unreadable = self._number = 0
        self._listed: dict[str, Any] = {}

    async def run(self) -> None:
        """Serve until it ends. Raises Gone."""
        own = gateway_group(self._edge.gateway_id)
        for group in (own, EVERY_EDGE):
            self._switchboard.join(group, self._on_own)
        self._switchboard.on_restored(self._on_restored)
        self._post_since()
        await self._say("edge_registered", edges.registered_body(self._edge))
        tasks = [asyncio.create_task(work()) for work in (self._listen, self._speak, self._take)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)  # the end of one is the connection's
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            self._switchboard.forget_restored(self._on_restored)
            for group in (own, EVERY_EDGE):
                self._switchboard.leave(group, self._on_own)
        for task in tasks:
            if not task.cancelled():
                task.result()

    def _post_since(self) -> None:
        """Older connections of this edge end."""
        newer = {"type": "gateway.newer", "connection": self._connection, "since": self._since}
        self._switchboard.post(gateway_group(self._edge.gateway_id), newer)

    def _on_restored(self) -> None:
        self._post_since()
        self._list_due = True
        self._work.set()

    def _on_own(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "gateway.say" if message["message"]["type"] in SPOKEN:
                self._spoken.append(message["message"])
                if len(self._spoken) > SPOKEN_MAX:
                    self._spoken.clear()  # the whole list of sessions says what they said
                    self._list_due = True
            case "gateway.end":
                self._check_due = True
            case "gateway.newer":
                self._compare(message["since"], message["connection"])
        self._work.set()

    def _compare(self, since: float, connection: str) -> None:
        """The newer of two stays. An older one that joined late has missed that, and is told again."""
        if (since, connection) > (self._since, self._connection):
            self._close_with = REPLACED
        elif connection != self._connection:
            self._post_since()

    async def _say(self, type_: str, payload: Any) -> None:
        self._number += 1
        await self._socket.say(envelope(type_, payload, self._number, timezone.now()))

    async def _speak(self) -> None:
        """Tell what happens, ping what is silent, write what scales do, and look whether the edge may stay."""
        checked_at, written_at = self._clock(), 0.0
        try:
            while not self._close_with:
                self._work.clear()
                if self._list_due:
                    await self._say_list(changed_only=False)
                while self._spoken:
                    message = self._spoken.popleft()
                    await self._say(message["type"], message.get("payload", {}))
                if self._presence and self._clock() - written_at >= PRESENCE_EVERY_S:
                    written_at = self._clock()
                    await centre.ask(edges.note_scales, self._edge, self._presence.take(), timezone.now())
                if self._check_due or self._clock() - checked_at >= RECHECK_S:
                    checked_at, self._check_due = self._clock(), False
                    await self._recheck()
                await self._ping()
                await self._pause(checked_at, written_at)
            await self._socket.close(self._close_with)
        except Gone:
            return
        except AWAY as error:
            await self._leave(TRY_LATER, error)

    async def _say_list(self, *, changed_only: bool) -> None:
        self._list_due = False
        told = await centre.ask(edge_door.sessions, self._edge, timezone.now())
        if not changed_only or told != self._listed:
            self._listed = told
            await self._say("session_list", told)

    async def _recheck(self) -> None:
        """A notice may be lost: of a newer connection, of the edge's end, of a session. Each is found within a minute."""
        self._post_since()
        try:
            self._edge = await centre.ask(edge_door.still_known, self._edge, self._shown, timezone.now())
        except Refusal as refusal:
            code = edge_door.code_of(refusal)
            self._close_with = 0 if code == TRY_LATER else code
            return
        await self._say_list(changed_only=True)

    async def _ping(self) -> None:
        silent_s = self._clock() - self._heard_at
        if silent_s >= PING_S + PONG_WITHIN_S:
            self._close_with = SILENT
        elif silent_s >= PING_S:
            await self._say("ping", {})

    async def _pause(self, checked_at: float, written_at: float) -> None:
        if self._close_with:
            return
        ends = [checked_at + RECHECK_S, self._heard_at + PING_S]
        if self._clock() >= ends[1]:
            ends[1] += PONG_WITHIN_S
        if self._presence:
            ends.append(written_at + PRESENCE_EVERY_S)
        try:
            async with asyncio.timeout(max(0.0, min(ends) - self._clock())):
                await self._work.wait()
        except TimeoutError:
            return

    async def _listen(self) -> None:
        allowance = Allowance(OTHERS_PER_SECOND_MAX, OTHERS_AT_ONCE_MAX, self._clock())
        while True:
            text = await self._socket.hear()
            self._heard_at = self._clock()
            try:
                message = read_envelope(text)
                if message.type not in EVENT_TYPES and not allowance.take(self._clock()):
                    log.warning("edge %s says too much; its socket is closed", self._edge.pk)
                    break
                await self._hear(message)
            except Invalid as error:
                if self._cannot_read(error):
                    break
        await self._socket.close(UNREADABLE)

    def _cannot_read(self, error: Invalid) -> bool:
        """Note one more message that cannot be read; whether that was too many."""
        self._unreadable += 1
        if self._unreadable == 1:
            log.warning("edge %s said what cannot be read: %s", self._edge.pk, error)
        return self._unreadable >= UNREADABLE_MAX

    async def _hear(self, message: Envelope) -> None:
        """Raises Invalid, Gone."""
        if message.type in EVENT_TYPES or message.type in BATCH_STEPS:
            while len(self._waiting) >= WAITING_MAX:
                self._room.clear()
                await self._room.wait()
            self._waiting.put(message)
            self._deliveries.set()
        elif message.type in DEVICE_STATES:
            self._presence.put(read_device(message.payload, timezone.now(), DEVICE_STATES[message.type]))
            self._work.set()
        elif message.type == "ping":
            await self._say("pong", {})
        elif message.type == "register":
            await self._say("edge_registered", edges.registered_body(self._edge))
            self._list_due = True
            self._work.set()

    async def _take(self) -> None:
        """Store what waits, in its order, and acknowledge it. Ends with the socket."""
        try:
            while True:
                await self._deliveries.wait()
                due = self._waiting.take()
                self._room.set()
                if due is None:
                    self._deliveries.clear()
                elif isinstance(due, Step):
                    await self._step(due)
                else:
                    await self._acknowledge(await centre.ask(events.take, self._edge, due, timezone.now()))
        except Gone:
            return
        except AWAY as error:
            await self._leave(TRY_LATER, error)

    async def _acknowledge(self, results: list[events.Result]) -> None:
        for result in results:
            if result.status is events.Status.FAILED:
                await self._say("event_rejected", {"localEventId": result.local_event_id, "reason": result.error})
            else:
                await self._say("event_ack", result.body())

    async def _step(self, step: Step) -> None:
        """An offline batch begins, or ends: after the events before it, so its count is right."""
        now = timezone.now()
        try:
            said = read_batch(step.payload, now)
            if step.type == "offline_batch_start":
                await centre.ask(events.begin_batch, self._edge, said, now)
            else:
                await self._say("offline_batch_ack", await centre.ask(events.end_batch, self._edge, said, now))
        except Invalid as error:
            if self._cannot_read(error):
                await self._leave(UNREADABLE, error)
                raise Gone from error

    async def _leave(self, code: int, error: Exception) -> None:
        log.warning("edge %s: its socket is closed with %d: %s", self._edge.pk, code, error)
        try:
            await self._socket.close(code)
        except Gone:
            return
