"""What a serving process does besides answering: the line to the other workers, the pages' feed, the watch over gateways."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Coroutine
from typing import Any, cast

from channels.layers import get_channel_layer
from django.db import DatabaseError
from django.utils import timezone

from scaleledger_server import notices
from scaleledger_server.devices import services
from scaleledger_server.limits import Application, Message, Receive, Send
from scaleledger_server.live import centre
from scaleledger_server.live.feed import Feed
from scaleledger_server.live.hub import RENEW_S, Hub
from scaleledger_server.live.switchboard import Layer, Switchboard

log = logging.getLogger(__name__)

WATCH_S = 10.0
AGAIN_S = 10.0
DRAIN_S = 1.0

Work = Callable[[], Coroutine[Any, Any, None]]


class WithLive:
    """An ASGI application around another: serves `lifespan`, and gives sockets `switchboard`, `hub`, `feed` as state, and `stopping`."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._application(scope, receive, send)
            return
        await receive()
        live = Live(cast("Layer", get_channel_layer()))
        live.start()
        scope["state"].update(switchboard=live.switchboard, hub=live.hub, feed=live.feed, stopping=asyncio.Event())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await live.stop()
        await send({"type": "lifespan.shutdown.complete"})


class Live:
    """The background work of one process. What ends by a mistake of ours is logged with its trace and begun again."""

    def __init__(self, layer: Layer) -> None:
        self._loop = asyncio.get_running_loop()
        self.switchboard = Switchboard(layer)
        self.feed = Feed()
        self.hub = Hub(
            secrets.token_hex(8),
            self.switchboard,
            self._loop.time,
            self._loop.call_later,
            self.feed.news,
            self.feed.names,
        )
        self.switchboard.on_restored(self.hub.restored)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stopping = False

    def start(self) -> None:
        """Begin."""
        logging.getLogger("channels_redis.pubsub").setLevel(logging.CRITICAL)  # a trace each second; we say it once
        work: dict[str, Work] = {
            "listen": self.switchboard.listen,
            "speak": self.switchboard.speak,
            "feed": self._feed,
            "renew": self._renew,
            "watch": self._watch,
        }
        for name, run in work.items():
            self._begin(name, run)
        notices.carry_by(self._carry)

    async def stop(self) -> None:
        """End; what the gateways and the other workers should know is still said."""
        self._stopping = True
        notices.carry_no_more(self._carry)
        self.hub.release()
        for task in self._tasks.values():
            task.cancel()
        await asyncio.wait(self._tasks.values())
        await self.switchboard.drain(DRAIN_S)

    def _carry(self, group: str, message: dict[str, Any]) -> None:
        self._loop.call_soon_threadsafe(self.switchboard.post, group, message)

    def _begin(self, name: str, run: Work) -> None:
        task = asyncio.create_task(run(), name=name)
        self._tasks[name] = task

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and not self._stopping:
                log.critical(
                    "background work %r ended; it begins again in %.0f s", name, AGAIN_S, exc_info=task.exception()
                )
                self._loop.call_later(AGAIN_S, self._begin, name, run)

        task.add_done_callback(ended)

    async def _feed(self) -> None:
        await self.feed.follow(self.hub.weighings)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            self.hub.renew()

    async def _watch(self) -> None:
        since = timezone.now()
        while True:
            await asyncio.sleep(WATCH_S)
            try:
                await centre.ask(services.watch, timezone.now(), since)
            except DatabaseError as error:
                log.warning("the watch over gateways waits for the database: %s", error)
                since = timezone.now()  # while it was away no sign of life was kept either
