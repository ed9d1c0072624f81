"""One line per process to the channel layer, shared by every socket in it.

A subscription per socket would cost the layer one message per socket, and a Redis that is away would end each of them.
Here a group is joined once per process, callbacks are called in the event loop, and what is to be said waits in a bounded
queue. While the layer is away sockets stay open; afterwards all groups are joined again and `restored` callbacks say what
may have been missed.
"""

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from redis.exceptions import RedisError

from scaleledger_server.notices import SEND_TIMEOUT_S

log = logging.getLogger(__name__)

OUTBOX_MAX = 10_000
RETRY_S = 1.0
PROBE_GROUP = "probes"
TROUBLE = (OSError, RedisError, TimeoutError)

Callback = Callable[[dict[str, Any]], None]


class Layer(Protocol):
    """What this module needs of a channel layer."""

    async def group_add(self, group: str, channel: str) -> None: ...
    async def group_discard(self, group: str, channel: str) -> None: ...
    async def group_send(self, group: str, message: dict[str, Any]) -> None: ...
    async def receive(self, channel: str) -> dict[str, Any]: ...


class Switchboard:
    """Joins groups, passes on what is said in them, and posts. To be used from its event loop only."""

    def __init__(self, layer: Layer, *, retry_s: float = RETRY_S) -> None:
        self._layer = layer
        self._retry_s = retry_s
        self._channel = f"worker.{secrets.token_hex(16)}"
        self._callbacks: dict[str, list[Callback]] = {}
        self._restored: list[Callable[[], None]] = []
        self._joined: set[str] = set()
        self._outbox: deque[tuple[str, dict[str, Any]]] = deque(maxlen=OUTBOX_MAX)
        self._work = asyncio.Event()
        self._away = False

    def join(self, group: str, callback: Callback) -> None:
        """From soon on `callback` gets each message to the group. What is posted after this call finds it joined."""
        self._callbacks.setdefault(group, []).append(callback)
        self._work.set()

    def leave(self, group: str, callback: Callback) -> None:
        """`callback` gets nothing more."""
        callbacks = self._callbacks[group]
        callbacks.remove(callback)
        if not callbacks:
            del self._callbacks[group]
            self._work.set()

    def post(self, group: str, message: dict[str, Any]) -> None:
        """Say it to the group soon, after what was posted before. The oldest gives way when too much waits."""
        self._outbox.append((group, message))
        self._work.set()

    def on_restored(self, callback: Callable[[], None]) -> None:
        """Call it after each time the layer was away: what was said meanwhile is lost."""
        self._restored.append(callback)

    def forget_restored(self, callback: Callable[[], None]) -> None:
        self._restored.remove(callback)

    async def listen(self) -> None:
        """Pass on what arrives; without end."""
        while True:
            try:
                message = await self._layer.receive(self._channel)
            except TROUBLE as error:
                self._note_trouble(error)
                await asyncio.sleep(self._retry_s)
                continue
            for callback in tuple(self._callbacks.get(message.get("to", ""), ())):
                callback(message)

    async def speak(self) -> None:
        """Join, leave and post as asked; without end."""
        while True:
            await self._work.wait()
            self._work.clear()
            try:
                await self._work_off()
            except TROUBLE as error:
                self._note_trouble(error)
                self._outbox.clear()
                await asyncio.sleep(self._retry_s)
                self._work.set()

    async def drain(self, seconds: float) -> None:
        """Say what is still waiting, if that is possible within `seconds`. For the end, when `speak` was cancelled."""
        try:
            async with asyncio.timeout(seconds):
                await self._work_off()
        except TROUBLE as error:
            self._note_trouble(error)

    async def _work_off(self) -> None:
        if self._away:
            await self._send(PROBE_GROUP, {})
        for group in [group for group in self._callbacks if group not in self._joined]:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await self._layer.group_add(group, self._channel)
            self._joined.add(group)
        for group in [group for group in self._joined if group not in self._callbacks]:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await self._layer.group_discard(group, self._channel)
            self._joined.discard(group)
        while self._outbox:
            await self._send(*self._outbox.popleft())
            if any(group not in self._joined for group in self._callbacks):
                self._work.set()
                return
        if self._away:
            self._note_restored()

    async def _send(self, group: str, message: dict[str, Any]) -> None:
        async with asyncio.timeout(SEND_TIMEOUT_S):
            await self._layer.group_send(group, {"type": "notice", **message, "to": group})

    def _note_trouble(self, error: Exception) -> None:
        if not self._away:
            log.warning("the channel layer is away; live weights between workers wait for it: %s", error)
        self._away = True

    def _note_restored(self) -> None:
        self._away = False
        log.warning("the channel layer answers again")
        for callback in tuple(self._restored):
            callback()
