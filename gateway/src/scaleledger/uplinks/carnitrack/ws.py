"""WebSocket v3 as a carrier: one line, open as long as it lives.

Events go out in parts, several parts on their way at once, and each is settled by its own answer. Of one event two words
are never on their way together, as their answers could not be told apart. A cloud that answers no event for ten seconds, or
no ping, has lost the line for us: it is closed, and what was not answered is offered again on the next one.

Products, print jobs and signs of life go over REST beside the line.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

import httpx2
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from scaleledger.domain.cloud import BatchAnswer, BatchEnds, CloudSaid, CloudTold, ConfigChanged
from scaleledger.domain.delivery import Batch, ItemOutcome, Outcome
from scaleledger.domain.errors import LinkError
from scaleledger.domain.offline import ContextOf
from scaleledger.observe.failpoints import reach
from scaleledger.observe.log import get_logger
from scaleledger.uplinks.carnitrack import answers, calls
from scaleledger.uplinks.carnitrack.acks import Acks
from scaleledger.uplinks.carnitrack.answers import Registered
from scaleledger.uplinks.carnitrack.identity import EdgeShelf
from scaleledger.uplinks.carnitrack.messages import (
    MESSAGE_MAX_BYTES,
    PING,
    PONG,
    REGISTER,
    BatchAnswered,
    Envelope,
    EventAnswered,
    Pinged,
    Ponged,
    Word,
    read_message,
)
from scaleledger.uplinks.carnitrack.order import Order
from scaleledger.uplinks.carnitrack.portion import Portion
from scaleledger.uplinks.carnitrack.protocol import MOST_BATCH, event_of, parts, sort_out
from scaleledger.uplinks.carnitrack.resources import NAME, REFUSED_S, CloudSettings, Resources
from scaleledger.uplinks.carrier import USER_AGENT, wall_clock
from scaleledger.uplinks.exchange import time_text

OPEN_S, CLOSE_S = 10.0, 2.0
DELIVERIES = 4
TOLD_MAX = 1_000
NO_PONG, GOING_AWAY = 4000, 1001
UNREADABLE, NOT_KNOWN, NOT_APPROVED, TAKEN_OVER, TRY_LATER = 4400, 4401, 4403, 4409, 1013
WAITS_S = {NOT_APPROVED: 30.0, TAKEN_OVER: 30.0, TRY_LATER: 5.0}
REASONS = {
    NOT_KNOWN: "the cloud does not know this edge or its key; see its page of sites whether the key is this site's",
    NOT_APPROVED: "an administrator has to approve this gateway at the cloud",
    TAKEN_OVER: "another connection was opened in this edge's name",
    TRY_LATER: "the cloud asks to try later",
    UNREADABLE: "the cloud could not read what it was sent",
}

log = get_logger()


@dataclass(frozen=True, slots=True)
class LineTimes:
    """The contract's times: between two pings, until a pong, until an answer to an event, until the edge is named."""

    ping_s: float = 30.0
    pong_s: float = 10.0
    ack_s: float = 10.0
    registered_s: float = 10.0


class _Straight(connect):
    """Goes where it was sent: a redirect is an answer like any other, and takes the key nowhere."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class _Line:
    """One connection and what is on its way on it."""

    def __init__(self, link: ClientConnection, ack_s: float) -> None:
        self.link = link
        self.acks = Acks(ack_s)
        self.batches: dict[str, asyncio.Future[BatchAnswer]] = {}
        self.registered: asyncio.Future[Registered] = asyncio.get_running_loop().create_future()
        self.alive = asyncio.Event()
        self.sending = asyncio.Lock()

    def end(self, words: str) -> None:
        """Nothing more will be answered on it."""
        self.acks.end(words)
        self.registered.cancel()
        for waiting in self.batches.values():
            waiting.cancel()


class SocketCloud(Resources):
    """The cloud at a WebSocket address, as `Uplink` and `Cloud`. `context_of` says which offline batch a record belongs to.

    `settings.rest_url` is where REST is beside it.
    """

    def __init__(
        self,
        url: str,
        settings: CloudSettings,
        shelf: EdgeShelf,
        context_of: ContextOf,
        *,
        times: LineTimes | None = None,
        now: Callable[[], datetime] = wall_clock,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(settings, shelf, now=now, transport=transport)
        self._url = calls.socket_address(url)
        self._context_of = context_of
        self._times = times or LineTimes()
        self._portion = Portion()
        self._order = Order()
        self._envelope = Envelope()
        self._line: _Line | None = None
        self._up, self._telling = asyncio.Event(), asyncio.Event()
        self._due: deque[CloudTold] = deque(maxlen=TOLD_MAX)
        self._nameless = False

    @property
    def up(self) -> bool:
        return self._up.is_set()

    @property
    def ready(self) -> bool:
        return self._up.is_set()

    async def wait_ready(self) -> None:
        await self._up.wait()

    @property
    def batch_limit(self) -> int:
        return self._portion.batch_limit

    @property
    def in_flight_limit(self) -> int:
        """One while a cause is looked for."""
        return DELIVERIES if self._portion.whole else 1

    def watch(self, devices: Mapping[str, bool]) -> None:
        """Nothing is polled here: the cloud says by itself what changes."""

    # The link

    async def run(self, receive: Callable[[CloudSaid], None], changed: Callable[[bool], None]) -> NoReturn:
        assert self._line is None, "one run at a time"
        await self.edge.load()
        self.ask_again()
        line = self._line = _Line(await self._open(), self._times.ack_s)
        reading = asyncio.create_task(self._read(line, receive))
        tasks: list[asyncio.Task[Any]] = [reading]
        code = 0
        try:
            await self._register_on(line, reading, receive)
            self._up.set()
            changed(True)
            log.info("net.line_up", uplink=NAME)
            works: list[Coroutine[Any, Any, None]] = [self._ping(line), self._tell_due(line)]
            tasks += [asyncio.create_task(work) for work in works]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            was_up = self.up
            self._line = None
            self._up.clear()
            self._due.clear()
            code = line.link.close_code or 0 if reading.done() else 0
            line.end("the line to the cloud ended")
            await line.link.close(GOING_AWAY)
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            if was_up:
                changed(False)
        for end in ends:
            if isinstance(end, BaseException) and not isinstance(end, asyncio.CancelledError | ConnectionClosed):
                raise end
        raise self._explained(code, "the line to the cloud broke off")

    async def _open(self) -> ClientConnection:
        edge_id = "" if self._nameless else self.edge.edge_id
        headers = self.headers(edge_id)
        if self.edge.api_key:
            headers["Authorization"] = f"Bearer {self.edge.api_key}"
        try:
            return await _Straight(
                self._url,
                additional_headers=headers,
                user_agent_header=USER_AGENT,
                ssl=self.tls if self._url.startswith("wss:") else None,
                proxy=None,
                compression=None,
                open_timeout=OPEN_S,
                ping_interval=None,
                close_timeout=CLOSE_S,
                max_size=MESSAGE_MAX_BYTES,
            )
        except InvalidStatus as refusal:
            raise LinkError(
                f"{self._url} answered {refusal.response.status_code} where a line should open"
            ) from refusal
        except TimeoutError as error:
            raise LinkError(f"{self._url} did not open in time") from error
        except (OSError, EOFError, InvalidHandshake, InvalidURI) as error:
            raise LinkError(f"{self._url} cannot be opened: {error}") from error

    async def _register_on(
        self, line: _Line, reading: asyncio.Task[None], receive: Callable[[CloudSaid], None]
    ) -> None:
        """Say who we are, and wait for the cloud's word; a first cloud may have none for an edge that it knows."""
        edge_id = "" if self._nameless else self.edge.edge_id
        said = calls.introduction(edge_id, self.edge.site_id, self.edge.site_name, self._settings.version)
        with suppress(ConnectionClosed):
            await line.link.send(self._envelope.say(REGISTER, said, self._now(), edge_id))
        waits: set[asyncio.Future[Any]] = {line.registered, reading}
        await asyncio.wait(waits, timeout=self._times.registered_s, return_when=asyncio.FIRST_COMPLETED)
        if reading.done():
            code = line.link.close_code or 0
            self._nameless = code == NOT_KNOWN and bool(edge_id)
            error = self._explained(code, "the cloud closed the line before it named this edge")
            if self._nameless:
                error.retry_after_s = None
            raise error
        if line.registered.done():
            found = line.registered.result()
            await self.edge.take(found)
            self._nameless = False
            log.info("net.edge_registered", uplink=NAME, edge=found.edge_id, site=self.edge.site_id)
            self._take_config(found.config, receive)
        elif not edge_id:
            raise LinkError("the cloud did not say by which name it knows this edge")

    def _explained(self, code: int, words: str) -> LinkError:
        """The error for the end of a line, by its close code."""
        if code == NOT_KNOWN:
            return LinkError(REASONS[code], REFUSED_S)
        return LinkError(REASONS.get(code, f"{words} ({code})" if code else words), WAITS_S.get(code))

    def _take_config(self, values: Mapping[str, Any], receive: Callable[[CloudSaid], None]) -> None:
        if values:
            self._portion.most = answers.whole(values, "maxBatch", MOST_BATCH) or self._portion.most
            receive(ConfigChanged(values))

    # What comes in

    async def _read(self, line: _Line, receive: Callable[[CloudSaid], None]) -> None:
        """Until the line ends."""
        with suppress(ConnectionClosed):
            while True:
                word = read_message(await line.link.recv(), self._now())
                line.alive.set()
                if isinstance(word, Pinged):
                    await line.link.send(self._envelope.say(PONG, {}, self._now(), self.edge.edge_id))
                elif word is not None:
                    self._take(word, line, receive)

    def _take(self, word: Word, line: _Line, receive: Callable[[CloudSaid], None]) -> None:
        if isinstance(word, EventAnswered):
            line.acks.take(word)
        elif isinstance(word, Registered):
            if line.registered.done():
                self._take_config(word.config, receive)
            else:
                line.registered.set_result(word)
        elif isinstance(word, BatchAnswered):
            waiting = line.batches.get(word.batch_id)
            if waiting is not None and not waiting.done():
                waiting.set_result(word.answer)
        elif isinstance(word, ConfigChanged):
            self._take_config(word.values, receive)
        elif not isinstance(word, Pinged | Ponged):
            receive(word)

    # What goes out

    async def _ping(self, line: _Line) -> None:
        """Returns when neither a pong nor anything else came in time; the line is then closed with the contract's code."""
        while True:
            await asyncio.sleep(self._times.ping_s)
            line.alive.clear()
            try:
                async with asyncio.timeout(self._times.pong_s):
                    at = self._now()
                    await line.link.send(self._envelope.say(PING, {"timestamp": time_text(at)}, at, self.edge.edge_id))
                    await line.alive.wait()
            except TimeoutError:
                await line.link.close(NO_PONG)
                return

    async def _tell_due(self, line: _Line) -> None:
        while True:
            await self._telling.wait()
            self._telling.clear()
            while self._due:
                await self._say(line, self._due.popleft())

    async def _say(self, line: _Line, told: CloudTold) -> None:
        said = self._envelope.told(told, self._now(), edge_id=self.edge.edge_id, site_id=self.edge.site_id)
        await line.link.send(said)

    def tell(self, told: CloudTold) -> None:
        if self.up:
            self._due.append(told)
            self._telling.set()

    async def settle_batch(self, told: CloudTold) -> BatchAnswer:
        """As the port says. A first cloud that does not answer on the line is asked over REST."""
        assert isinstance(told, BatchEnds), "only a batch that is complete can be settled"
        line = self._line
        if line is None or not self.up:
            raise LinkError("the line to the cloud is not open")
        waiting: asyncio.Future[BatchAnswer] = asyncio.get_running_loop().create_future()
        line.batches[told.batch_id.lower()] = waiting
        try:
            await self._say(line, told)
            await asyncio.wait({waiting}, timeout=self._times.ack_s)
        except ConnectionClosed as error:
            raise LinkError("the line to the cloud ended") from error
        finally:
            line.batches.pop(told.batch_id.lower(), None)
            waiting.cancel()
        if waiting.done() and not waiting.cancelled():
            return waiting.result()
        if self._line is not line:
            raise LinkError("the line to the cloud ended")
        return await self.acknowledge_batch(told)

    async def deliver(self, batch: Batch) -> list[ItemOutcome]:
        """As the port says. What is answered is settled; the rest is RETRY, or LinkError where nothing is known at all."""
        line = self._line
        if line is None or not self.up:
            raise LinkError("the line to the cloud is not open")
        site_id = self.edge.site_id
        events, known = sort_out(event_of(record, self._context_of(record), site_id) for record in batch.records)
        sent = self._order.admit(events, known, self._time_s())
        delivery = line.acks.begin(known)
        try:
            async with line.sending:
                for part in parts(sent, self._portion.size):
                    await line.acks.clear_of(part)
                    line.acks.expect(delivery, part)
                    await line.link.send(self._envelope.events(part, self._now(), self.edge.edge_id))
            await line.acks.settled(delivery)
            reach("uplink.after-answer")
        except (LinkError, ConnectionClosed) as error:
            self._portion.fail()
            if isinstance(error, LinkError) and line.acks.silent:
                await line.link.close(NO_PONG)
            if not known:
                raise LinkError(f"the line to the cloud: {error}") from error
            delivery.reason = str(error)
        else:
            self._portion.succeed()
        finally:
            line.acks.forget(delivery)
            if self._order.note(sent, known, self._time_s()):
                self.retry()
        return [known.get(r.seq) or ItemOutcome(r.seq, Outcome.RETRY, delivery.reason) for r in batch.records]
