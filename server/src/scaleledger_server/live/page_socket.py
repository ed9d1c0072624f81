"""The socket of a page that shows live weights. Each connect begins with a snapshot.

A page takes what is newest when it is ready: values wait in one slot per station, and one that waited too long is not sent.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from django.db import DatabaseError

from scaleledger_server.errors import Invalid
from scaleledger_server.limits import Message, Receive, Send
from scaleledger_server.live import centre, queries
from scaleledger_server.live.feed import Feed
from scaleledger_server.live.hub import FRESH_S, Hub, Key, as_json
from scaleledger_server.live.leases import ALL
from scaleledger_server.live.messages import Watch, read_from_page
from scaleledger_server.live.sockets import REFUSED, TRY_LATER, UNREADABLE, Allowance, Gone, Socket
from scaleledger_server.live.viewers import may_watch

MESSAGES_PER_SECOND_MAX = 5
RECHECK_S = 60.0


async def page_socket(scope: Message, receive: Receive, send: Send) -> None:
    """The ASGI application for `/ws/live/`. Needs a login unless the settings open the pages."""
    socket = Socket(receive, send)
    hub: Hub = scope["state"]["hub"]
    try:
        await socket.accept()
        if hub.full():
            await socket.close(TRY_LATER)
            return
        code = await _refusal(scope)
        if code:
            await socket.close(code)
            return
        await PageLink(socket, hub, scope["state"]["feed"], partial(_refusal, scope)).run()
    except Gone:
        return


async def _refusal(scope: Message) -> int:
    """The close code for who may not watch; 0 for who may."""
    try:
        return 0 if await centre.ask(may_watch, scope) else REFUSED
    except DatabaseError:
        return TRY_LATER


class PageLink:
    """One page's connection, while it lasts; a Page to the hub."""

    def __init__(self, socket: Socket, hub: Hub, feed: Feed, refusal: Callable[[], Awaitable[int]]) -> None:
        self.keys: frozenset[Key] = frozenset()
        self.everything = False
        self._socket, self._hub, self._feed, self._refusal = socket, hub, feed, refusal
        self._clock = asyncio.get_running_loop().time
        self._live: dict[Key, tuple[float, str]] = {}
        self._weighings: dict[Key, str] = {}
        self._presence: dict[int, bool] = {}
        self._snapshot_due = False
        self._work = asyncio.Event()

    def offer_live(self, at: float, values: Mapping[Key, str]) -> None:
        self._live.update({key: (at, text) for key, text in values.items()})
        self._work.set()

    def offer_weighings(self, values: Mapping[Key, str]) -> None:
        self._weighings.update(values)
        self._work.set()

    def offer_presence(self, gateway_id: int, *, online: bool) -> None:
        self._presence[gateway_id] = online
        if not online:
            self._live = {key: value for key, value in self._live.items() if key[0] != gateway_id}
        self._work.set()

    def offer_snapshot(self) -> None:
        self._snapshot_due = True
        self._work.set()

    async def run(self) -> None:
        """Serve until it ends. Raises Gone."""
        self._hub.enter(self)
        tasks = [asyncio.create_task(self._write()), asyncio.create_task(self._recheck())]
        try:
            await self._listen()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            self._hub.exit(self)

    async def _recheck(self) -> None:
        """Who logs out, or stays away for too long, sees nothing more within a minute."""
        while True:
            await asyncio.sleep(RECHECK_S)
            if await self._refusal() == REFUSED:
                await self._leave(REFUSED)
                return

    async def _listen(self) -> None:
        allowance = Allowance(MESSAGES_PER_SECOND_MAX, 4 * MESSAGES_PER_SECOND_MAX, self._clock())
        while True:
            text = await self._socket.hear()
            try:
                wish = read_from_page(text)
            except Invalid:
                break
            if not allowance.take(self._clock()):
                break
            if wish is not None:
                await self._watch(wish)
        await self._socket.close(UNREADABLE)

    async def _watch(self, wish: Watch) -> None:
        try:
            active = frozenset(await centre.ask(queries.active_gateways))
        except DatabaseError:
            await self._socket.close(TRY_LATER)
            return
        self.everything = wish.everything
        wanted = frozenset((gateway_id, ALL) for gateway_id in active) if wish.everything else wish.stations
        self._hub.watch(self, frozenset(key for key in wanted if key[0] in active))
        self.offer_snapshot()

    async def _write(self) -> None:
        """Send what is due, most important first. Ends with the socket."""
        try:
            while True:
                await self._work.wait()
                self._work.clear()
                if self._snapshot_due:
                    await self._send_snapshot()
                while text := self._next():
                    await self._socket.say(text)
        except Gone:
            return
        except DatabaseError:
            await self._leave(TRY_LATER)  # the page comes again, and is told everything then

    async def _leave(self, code: int) -> None:
        try:
            await self._socket.close(code)
        except Gone:
            return

    async def _send_snapshot(self) -> None:
        self._snapshot_due = False
        self._weighings.clear()
        self._presence.clear()
        rows = await self._feed.shown(frozenset(gateway_id for gateway_id, _ in self.keys))
        await self._socket.say(as_json(self._snapshot(rows)))

    def _snapshot(self, rows: list[queries.Shown]) -> dict[str, Any]:
        stations = [
            {"gateway": row.gateway_id, "gateway_name": row.gateway_name, "station": row.station,
             "description": row.description, "live": None, "last": row.last}
            for row in rows if self._sees(row.gateway_id, row.station)
        ]  # fmt: skip
        listed = {(row["gateway"], row["station"]): row for row in stations}
        gateways = sorted({gateway_id for gateway_id, _ in self.keys})
        for gateway_id in gateways:
            for name, (age_s, fields) in self._hub.fresh(gateway_id).items():
                if not self._sees(gateway_id, name):
                    continue
                key = (gateway_id, name)
                if key not in listed:
                    listed[key] = {"gateway": gateway_id, "gateway_name": "", "station": name, "description": "",
                                   "last": None}  # fmt: skip
                    stations.append(listed[key])
                listed[key]["live"] = {**fields, "age_ms": round(age_s * 1000)}
        return {
            "type": "snapshot",
            "at": _now_ms(),
            "gateways": [{"gateway": gateway_id, "online": self._hub.online(gateway_id)} for gateway_id in gateways],
            "stations": stations,
        }

    def _sees(self, gateway_id: int, station: str) -> bool:
        return (gateway_id, station) in self.keys or (gateway_id, ALL) in self.keys

    def _next(self) -> str:
        """The message that is due next, made of what is newest at this moment; "" for none. Old values are left out."""
        if self._presence:
            gateway_id, online = self._presence.popitem()
            return as_json({"type": "online" if online else "offline", "gateway": gateway_id})
        if self._weighings:
            lasts, self._weighings = self._weighings, {}
            return f'{{"type":"weighing","stations":[{",".join(lasts.values())}]}}'
        values, self._live = self._live, {}
        fresh = [text for at, text in values.values() if self._clock() - at <= FRESH_S]
        return f'{{"type":"live","at":{_now_ms()},"stations":[{",".join(fresh)}]}}' if fresh else ""


def _now_ms() -> int:
    return round(time.time() * 1000)
