"""REST v1 as a carrier: the gateway asks, the cloud answers.

Whether the cloud is there is known from the last good answer. When an exchange fails, or none was made for a while, one
sign of life is asked for, and has five seconds: so a dead cloud is known as dead soon, and a 404, a 429 or one refused
event never looks like one.

How often sessions are asked for depends on the connected scales: one that waits for its first session is asked for at once
and then often, however many others have theirs.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NoReturn

import httpx2

from scaleledger.domain.cloud import (
    BatchAnswer,
    BatchBegins,
    BatchEnds,
    CloudSaid,
    CloudTold,
    ConfigChanged,
    DeviceAlive,
    SessionList,
    SessionsUnchanged,
)
from scaleledger.domain.delivery import Batch, ItemOutcome, Outcome
from scaleledger.domain.errors import Disbelieved, LinkError, NotOffered
from scaleledger.domain.offline import ContextOf
from scaleledger.observe.failpoints import reach
from scaleledger.observe.log import get_logger
from scaleledger.uplinks.carnitrack import answers, calls
from scaleledger.uplinks.carnitrack.answers import Busy
from scaleledger.uplinks.carnitrack.identity import EdgeShelf
from scaleledger.uplinks.carnitrack.order import Order
from scaleledger.uplinks.carnitrack.portion import Portion
from scaleledger.uplinks.carnitrack.protocol import (
    MOST_BATCH,
    BatchUnfit,
    Event,
    event_of,
    parts,
    read_batch,
    read_single,
    sort_out,
)
from scaleledger.uplinks.carnitrack.resources import SIGN_S, CloudSettings, Resources
from scaleledger.uplinks.carrier import wall_clock

TOLD_MAX = 1_000
QUICK_S = (0.1, 0.5)  # waits before a broken exchange is tried again on the spot
QUICK_FAILURE_S = 2.0  # one that took longer is not
POLL_LEAST_MS, POLL_MOST_MS = 250, 3_600_000

log = get_logger()


@dataclass(frozen=True, slots=True)
class Pace:
    """Between two questions for sessions: no scale is connected, one waits for a session, all have theirs.

    `sign_s`: after so long without a good answer a sign of life is asked for, while a scale is connected; `idle_sign_s`,
    while none is.
    """

    idle_s: float = 120.0
    waiting_s: float = 5.0
    active_s: float = 5.0
    sign_s: float = SIGN_S
    idle_sign_s: float = 30.0

    def told(self, values: Mapping[str, Any]) -> "Pace":
        """With what the cloud's configuration wishes, within reason."""
        names = {
            "idle_s": "sessionPollIntervalIdleMs",
            "waiting_s": "sessionPollIntervalWaitingMs",
            "active_s": "sessionPollIntervalActiveMs",
        }
        wished = {ours: answers.whole(values, theirs, POLL_MOST_MS) for ours, theirs in names.items()}
        return replace(self, **{ours: ms / 1000 for ours, ms in wished.items() if ms and ms >= POLL_LEAST_MS})

    def interval_s(self, devices: Mapping[str, bool]) -> float:
        """Until the next question; the most urgent scale decides."""
        needs = [self.active_s if has_session else self.waiting_s for has_session in devices.values()]
        return min(needs, default=self.idle_s)


class RestCloud(Resources):
    """The cloud at a REST address, as `Uplink` and `Cloud`. `context_of` says which offline batch a record belongs to."""

    def __init__(
        self,
        settings: CloudSettings,
        shelf: EdgeShelf,
        context_of: ContextOf,
        *,
        pace: Pace | None = None,
        now: Callable[[], datetime] = wall_clock,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(settings, shelf, now=now, transport=transport)
        self._context_of = context_of
        self._pace = pace or Pace()
        self._values: dict[str, Any] = {}
        self._portion = Portion()
        self._order = Order()
        self._devices: dict[str, bool] = {}
        self._due: OrderedDict[tuple[str, str], CloudTold] = OrderedDict()
        self._up, self._look, self._doubt, self._telling = (asyncio.Event() for _ in range(4))
        self.in_doubt = self._doubt.set

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
        """One: of two requests under way the later may arrive first."""
        return 1

    # The link

    async def run(self, receive: Callable[[CloudSaid], None], changed: Callable[[bool], None]) -> NoReturn:
        assert not self.up, "one run at a time"
        self.ask_again()
        self._doubt.clear()
        if not self.edge.generation:
            self._take_config((await self.register()).config, receive)
        else:
            await self._sign_of_life(receive)
        self._up.set()
        changed(True)
        log.info("net.line_up", uplink=self.name)
        works: list[Coroutine[Any, Any, NoReturn]] = [self._watch_link(receive), self._poll(receive), self._tell_due()]
        tasks = [asyncio.create_task(work) for work in works]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._up.clear()
            self._due.clear()
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            changed(False)
        raise next(
            end for end in ends if isinstance(end, BaseException) and not isinstance(end, asyncio.CancelledError)
        )

    async def _watch_link(self, receive: Callable[[CloudSaid], None]) -> NoReturn:
        """Ask for a sign of life in doubt, and after a silence. Raises the LinkError with which the link ended."""
        while True:
            silence_s = self._pace.sign_s if self._devices else self._pace.idle_sign_s
            left_s = self.heard_s + silence_s - self._time_s()
            if left_s > 0:
                try:
                    async with asyncio.timeout(left_s):
                        await self._doubt.wait()
                except TimeoutError:
                    continue
            begun_s = self._time_s()
            try:
                await self._sign_of_life(receive)
            except LinkError:
                if self.heard_s < begun_s:
                    raise
            self._doubt.clear()

    async def _sign_of_life(self, receive: Callable[[CloudSaid], None]) -> None:
        """Returns when the cloud is there. A cloud without a configuration is asked for sessions; 429 is an answer."""
        try:
            self._take_config(await self.config(), receive)
        except Busy:
            self.heard_s = self._time_s()
        except NotOffered:
            answer = await self.exchange(calls.sessions(self._devices, ""), whole_s=SIGN_S)
            answers.believe(answer, "the list of sessions")

    def _take_config(self, values: Mapping[str, Any], receive: Callable[[CloudSaid], None]) -> None:
        if not values or dict(values) == self._values:
            return
        self._values = dict(values)
        self._pace = self._pace.told(values)
        self._portion.most = answers.whole(values, "maxBatch", MOST_BATCH) or self._portion.most
        receive(ConfigChanged(values))

    # Sessions

    def watch(self, devices: Mapping[str, bool]) -> None:
        if devices.keys() - self._devices.keys():
            self._look.set()
        self._devices = dict(devices)

    async def _poll(self, receive: Callable[[CloudSaid], None]) -> NoReturn:
        while True:
            self._look.clear()
            wait_s = self._pace.interval_s(self._devices)
            if self._devices:
                try:
                    receive(await self._sessions())
                except LinkError as error:
                    wait_s = max(wait_s, error.retry_after_s or 0.0)
                    log.debug("net.fetch_failed", subject="sessions", reason=str(error))
            try:
                async with asyncio.timeout(wait_s):
                    await self._look.wait()
            except TimeoutError:
                continue

    async def _sessions(self) -> SessionList | SessionsUnchanged:
        asked = sorted(self._devices)[: calls.DEVICES_MAX]
        what = f"sessions {','.join(asked)}"
        call = calls.sessions(asked, self.etag(what))
        answer = await self.exchange(call)
        devices = frozenset(asked)
        if answer.status == 304:
            return SessionsUnchanged(devices)
        found = answers.sessions_in(answers.believe(answer, call.what), answer.at, devices)
        if found is None:
            raise Disbelieved(f"{call.what} was answered {answer.status}, but is none")
        self._etags = {held: etag for held, etag in self._etags.items() if not held.startswith("sessions ")}
        self.keep_etag(what, answer)
        return found

    # What is told

    def tell(self, told: CloudTold) -> None:
        """Of what a scale's heartbeats say, only the newest waits."""
        if not self.up or isinstance(told, BatchBegins | BatchEnds):
            return
        key = (told.device_id, "alive" if isinstance(told, DeviceAlive) else type(told).__name__)
        self._due.pop(key, None)
        self._due[key] = told
        if len(self._due) > TOLD_MAX:
            self._due.popitem(last=False)
        self._telling.set()

    async def _tell_due(self) -> NoReturn:
        while True:
            await self._telling.wait()
            self._telling.clear()
            while self._due:
                _, told = self._due.popitem(last=False)
                call = calls.device_status(told, self.edge.site_id)
                assert call is not None, "batches are not told this way"
                try:
                    await self.exchange(call)
                except LinkError as error:
                    log.debug("net.link_error", uplink=self.name, reason=str(error))

    async def settle_batch(self, told: CloudTold) -> BatchAnswer:
        assert isinstance(told, BatchEnds), "only a batch that is complete can be settled"
        return await self.acknowledge_batch(told)

    # Events

    async def deliver(self, batch: Batch) -> list[ItemOutcome]:
        """As the port says. What is answered is settled; the rest is RETRY, or LinkError where nothing is known at all."""
        if not self.up:
            raise LinkError("the cloud is not there")
        site_id = self.edge.site_id
        events, known = sort_out(event_of(record, self._context_of(record), site_id) for record in batch.records)
        sent = self._order.admit(events, known, self._time_s())
        reason = ""
        try:
            for part in parts(sent, self._portion.size):
                await self._offer_again(part, known)
        except LinkError as error:
            self._portion.fail()
            if not known:
                raise
            reason = str(error)
        else:
            self._portion.succeed()
        finally:
            if self._order.note(sent, known, self._time_s()):
                self.retry()
        return [known.get(r.seq) or ItemOutcome(r.seq, Outcome.RETRY, reason) for r in batch.records]

    async def _offer_again(self, part: Sequence[Event], known: dict[int, ItemOutcome]) -> None:
        """A break in the middle of an exchange is tried again on the spot, so that nothing newer overtakes what it hit."""
        for wait_s in (*QUICK_S, None):
            begun_s = self._time_s()
            try:
                await self._offer([event for event in part if event.seq not in known], known)
            except LinkError as error:
                slow = self._time_s() - begun_s > QUICK_FAILURE_S
                if wait_s is None or slow or error.retry_after_s is not None or not self.up:
                    raise
                await asyncio.sleep(wait_s)
            else:
                return

    async def _offer(self, part: Sequence[Event], known: dict[int, ItemOutcome]) -> None:
        """Offer one part, in as many pieces as the cloud makes necessary."""
        if len(part) == 1:
            answer = await self.exchange(calls.event(part[0]))
            reach("uplink.after-answer")
            known[part[0].seq] = read_single(answer, part[0])
            return
        try:
            answer = await self.exchange(calls.events(part))
            reach("uplink.after-answer")
            known.update((outcome.seq, outcome) for outcome in read_batch(answer, part))
        except NotOffered:
            for event in part:
                await self._offer([event], known)
        except BatchUnfit:
            middle = len(part) // 2
            await self._offer(part[:middle], known)
            await self._offer(part[middle:], known)
