"""The cuts of a work session as they are stored, to the phones of those who work: server-sent events.

A stream lasts for hours, so it is answered here, before the bounds and threads of ordinary requests. Nothing is queued for a
viewer: news only say "look again", and a look tells what the viewer has not seen, from the database. So a slow phone gets
less often what is then newer, and one that was away gets what it missed by the id that it saw last.
"""

import asyncio
import json
import logging
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

from django.db import DatabaseError

from scaleledger_server.limits import STREAMS_MAX, Application, Message, Receive, Send
from scaleledger_server.live import centre
from scaleledger_server.live.cut_queries import REACH_BACK, Seen, look
from scaleledger_server.live.door import allowed_host
from scaleledger_server.live.switchboard import Switchboard
from scaleledger_server.live.viewers import may_follow
from scaleledger_server.notices import session_group

log = logging.getLogger(__name__)

PATH = re.compile(r"/shifts/stream/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/")
PLACE = re.compile(r"[0-9]{1,17}", re.ASCII)
BEAT_S = 10.0
RECHECK_S = 60.0
TOGETHER_S = 0.2
RETRY_MS = 2_000
KNOWN_MAX = 2_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"), (b"x-content-type-options", b"nosniff"),
]  # fmt: skip


class CutStreams:
    """An ASGI application that answers `/shifts/stream/<session id>/` and hands everything else to another.

    `Last-Event-ID`, or `?last=`, tells what was seen. Events: `cuts` {session, count, grams, cuts, gone, whole}, and `beat` so
    that a phone can tell silence from loss.
    """

    def __init__(self, others: Application) -> None:
        self._others = others
        self._open = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        asked = PATH.fullmatch(scope["path"]) if scope["type"] == "http" else None
        if asked is None:
            await self._others(scope, receive, send)
            return
        if self._open >= STREAMS_MAX:
            await _refuse(send, 503)
            return
        self._open += 1  # before anything is waited for: of many that come at once only so many have room
        try:
            status = await self._status(scope)
            if status != 200:
                await _refuse(send, status)
                return
            await _follow(UUID(asked[1]), scope, receive, send)
        finally:
            self._open -= 1

    async def _status(self, scope: Message) -> int:
        if scope["method"] != "GET":
            return 405
        if not allowed_host(scope):
            return 400
        if "switchboard" not in scope.get("state", {}):
            return 503
        try:
            return await centre.ask(may_follow, scope)
        except DatabaseError:
            return 503


async def _follow(session_id: UUID, scope: Message, receive: Receive, send: Send) -> None:
    since = _place(scope)
    try:
        first = await centre.ask(look, session_id, since)
    except DatabaseError as error:
        log.warning("a stream of cuts cannot begin, the database does not answer: %s", error)
        await _refuse(send, 503)
        return
    if first is None:
        await _refuse(send, 404)
        return
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    gone = asyncio.create_task(_until_gone(receive))
    stream = CutStream(session_id, scope["state"]["switchboard"], send, gone.done)
    gone.add_done_callback(lambda _: stream.wake())
    stopping: asyncio.Event | None = scope["state"].get("stopping")
    ending = asyncio.create_task(stopping.wait()) if stopping is not None else None
    if ending is not None:
        ending.add_done_callback(lambda _: stream.end())
    try:
        await stream.run(first, lambda: centre.ask(may_follow, scope))
        with suppress(OSError):
            await send({"type": "http.response.body", "body": b""})
    finally:
        for task in (gone, ending):
            if task is not None:
                task.cancel()


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class CutStream:
    """One viewer's stream, while it lasts."""

    def __init__(self, session_id: UUID, switchboard: Switchboard, send: Send, gone: Callable[[], bool]) -> None:
        self._session_id, self._switchboard, self._send, self._gone = session_id, switchboard, send, gone
        self._work = asyncio.Event()
        self._news = self._over = False
        self._known: dict[str, int] = {}
        self._left: set[str] = set()
        self._until: datetime | None = None
        self._told: tuple[dict[str, Any], int, int] | None = None
        self._clock = asyncio.get_running_loop().time

    def wake(self) -> None:
        """Something happened: look up from waiting."""
        self._work.set()

    def end(self) -> None:
        """The stream is over after what is being sent."""
        self._over = True
        self._work.set()

    async def run(self, first: Seen, allowed: Callable[[], Any]) -> None:
        """Tell what was found first, and from then on what is new; until the viewer, the right or the server is gone."""
        group = session_group(str(self._session_id))
        self._switchboard.join(group, self._on_news)
        self._switchboard.on_restored(self._on_restored)
        try:
            await self._say(f"retry: {RETRY_MS}\n\n")
            await self._tell(first)
            self._news = True  # what was stored between the first look and the joining
            await self._go_on(allowed)
        except (DatabaseError, OSError) as error:
            log.info("a stream of cuts ends: %s", error)  # the phone comes again, and says what it has seen
        finally:
            self._switchboard.forget_restored(self._on_restored)
            self._switchboard.leave(group, self._on_news)

    async def _go_on(self, allowed: Callable[[], Any]) -> None:
        checked_at = self._clock()
        while not self._over and not self._gone():
            if self._news:
                self._news = False
                await self._look()
                await asyncio.sleep(TOGETHER_S)  # what comes at once is told at once, and what follows together
                continue
            self._work.clear()
            try:
                async with asyncio.timeout(BEAT_S):
                    await self._work.wait()
            except TimeoutError:
                await self._say("event: beat\ndata: {}\n\n")
                await self._look()  # a notice may have been lost
            if self._clock() - checked_at >= RECHECK_S:
                checked_at = self._clock()
                self._over = await allowed() != 200

    async def _look(self) -> None:
        seen = await centre.ask(look, self._session_id, self._until)
        if seen is None:
            self._over = True
            return
        await self._tell(seen)

    async def _tell(self, seen: Seen) -> None:
        cuts = seen.cuts if seen.whole else [cut for cut in seen.cuts if self._is_new(cut)]
        left = [cut for cut in seen.gone if cut not in self._left]
        told = (seen.session, seen.count, seen.grams)
        self._until = seen.until
        if not (seen.whole or cuts or left) and told == self._told:
            return
        self._told = told
        self._remember(cuts, left)
        body = {
            "session": seen.session, "count": seen.count, "grams": seen.grams, "cuts": cuts, "gone": left,
            "whole": seen.whole,
        }  # fmt: skip
        text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
        await self._say(f"event: cuts\nid: {_number(self._until)}\ndata: {text}\n\n")

    def _is_new(self, cut: dict[str, Any]) -> bool:
        revision: int = cut["revision"]
        return self._known.get(cut["id"], -1) < revision

    def _remember(self, cuts: list[dict[str, Any]], left: list[str]) -> None:
        if len(self._known) + len(self._left) > KNOWN_MAX:
            self._known.clear()  # what is told twice then, the viewer keeps apart by its id
            self._left.clear()
        self._known.update({cut["id"]: cut["revision"] for cut in cuts})
        self._left.difference_update(cut["id"] for cut in cuts)
        for cut in left:
            self._known.pop(cut, None)
        self._left.update(left)

    async def _say(self, text: str) -> None:
        await self._send({"type": "http.response.body", "body": text.encode(), "more_body": True})

    def _on_news(self, _message: dict[str, Any]) -> None:
        self._news = True
        self._work.set()

    def _on_restored(self) -> None:
        self._on_news({})


def _number(moment: datetime) -> int:
    """An event's id: microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _place(scope: Message) -> datetime | None:
    """What the viewer says that it has seen; None for a first look, and for nonsense."""
    headers = dict(scope["headers"])
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    said = headers.get(b"last-event-id", b"").decode("latin-1") or query.get("last", [""])[0]
    if not PLACE.fullmatch(said):
        return None
    try:
        return max(_EPOCH + REACH_BACK, _EPOCH + timedelta(microseconds=int(said)))
    except OverflowError:
        return None


async def _refuse(send: Send, status: int) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": _WORDS[status].encode()})


_WORDS = {
    400: "This server is not known by that name.",
    401: "Log in again.",
    403: "You may not operate scales. An administrator can allow it.",
    404: "There is no such session.",
    405: "A stream is asked for with GET.",
    503: "No stream can begin at the moment. Try again.",
}
