"""The work sessions at the gateway: what the cloud said of them counts at once, is kept, and moves the events it concerns.

A session holds for as long as the cloud does not end it, with the cloud there or not; its age says how long ago the cloud
confirmed it. What the cloud says is in force for the next event at the moment it is heard. That events of before are still
to be looked at for it is kept together with the session, and crossed out when it was done: a crash leaves nothing half
done for good.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from scaleledger.app.plant_ports import SessionShelf
from scaleledger.app.ports import Clock
from scaleledger.app.reattribution import Reattribution
from scaleledger.domain.errors import StoreError
from scaleledger.domain.session import SessionStatus, Span, WorkSession
from scaleledger.domain.session_book import Disputed, Kept, SessionBook, SessionFact
from scaleledger.domain.weighing import Record
from scaleledger.observe.log import get_logger

log = get_logger()

KEPT_AFTER_END = timedelta(days=7)
CONFIRM_EVERY_S = 60.0  # a confirmation is written down this often; losing one only makes a session look older
AGAIN_S = 2.0
OVERTAKEN_MAX = 1_000
LOOKED_BACK = timedelta(minutes=10)
"""A start looks at the events since so long before the cloud's last word: one of them may have been overtaken by it."""


class SessionDesk:
    """Answers whose an event is, from memory; `load` it before it is asked, and `run` it as one task.

    Set `reattribution` before `run`; `on_change` is called after each change of a session.
    """

    def __init__(self, shelf: SessionShelf, clock: Clock) -> None:
        self._shelf, self._clock = shelf, clock
        self._book = SessionBook()
        self._written: dict[str, Kept] = {}
        self._due: dict[str, None] = {}
        self._overtaken: set[Disputed] = set()
        self._looking = False
        self._rivals: set[frozenset[str]] = set()
        self._news = asyncio.Event()
        self._told = ""
        self.reattribution: Reattribution | None = None
        self.on_change: Callable[[], None] = lambda: None

    async def load(self) -> None:
        """Take up what was kept. Raises StoreError."""
        kept = await self._shelf.load()
        self._book = SessionBook(kept)
        self._written = {one.session.session_id: one for one in kept}
        if kept:
            since = max(one.confirmed_at for one in kept) - LOOKED_BACK
            self._overtaken = {
                Disputed(one.session.device_id, Span(since))
                for one in kept
                if one.session.ended_at is None or one.session.ended_at >= since
            }

    def at(self, device_id: str, at: datetime) -> WorkSession | None:
        """The session that was active on this device at that time (aware); None if there was none."""
        return self._book.at(device_id, at)

    @property
    def kept(self) -> Sequence[Kept]:
        """Every session that is known, also those that ended lately, with when the cloud last confirmed it."""
        return self._book.all()

    def waits(self, device_id: str) -> bool:
        """Whether a device has no session now."""
        return self._book.at(device_id, self._clock.now()) is None

    @property
    def is_settled(self) -> bool:
        """Whether all that was heard is kept, and no event is left to be looked at for it."""
        return not (self._due or self._overtaken or self._looking or any(one.disputed for one in self._book.all()))

    def hear(self, said: SessionFact) -> None:
        """The cloud said this; it counts from now on, and is kept soon."""
        changed = self._book.apply(said, self._clock.now())
        for kept in changed:
            session = kept.session
            self._due[session.session_id] = None
            log.info("biz.session", session=session.session_id, device=session.device_id, status=session.status.value)
            self._tell_rivals(session)
        if changed:
            self._news.set()
            self.on_change()

    def kept_event(self, record: Record) -> None:
        """An event is durable. Whose it is was decided a moment before; if the cloud spoke in between, it is looked at again."""
        session = self._book.at(record.station, record.measured_at)
        told = "" if session is None else json.dumps(session.session_id, ensure_ascii=False)
        if (f'"session":{told}' in record.payload) if told else ('"session":"' not in record.payload):
            return
        span = Span(record.measured_at, record.measured_at + timedelta(microseconds=1))
        if len(self._overtaken) >= OVERTAKEN_MAX:
            devices = {one.device_id for one in self._overtaken}
            since = min(one.span.since for one in self._overtaken)
            self._overtaken = {Disputed(device_id, Span(since)) for device_id in devices}
        self._overtaken.add(Disputed(record.station, span))
        self._news.set()

    async def run(self) -> None:
        """Keep what was heard, and look at the events that it concerns, until cancelled."""
        swept_s = self._clock.monotonic()
        while True:
            wait_s = CONFIRM_EVERY_S
            try:
                await self._keep_due()
                await self._look()
                if self._clock.monotonic() >= swept_s + CONFIRM_EVERY_S:
                    swept_s = self._clock.monotonic()
                    await self._sweep()
                self._told = ""
            except StoreError as error:
                wait_s = AGAIN_S
                if str(error) != self._told:
                    self._told = str(error)
                    log.warning("sys.store_failed", reason=self._told)
            await self._rest(wait_s)

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return
        self._news.clear()

    async def _keep_due(self) -> None:
        while self._due:
            ids = list(self._due)
            await self._keep([kept for one in ids if (kept := self._book.get(one)) is not None])
            for one in ids:
                kept = self._book.get(one)
                if kept is None or self._written.get(one) is kept:
                    self._due.pop(one, None)

    async def _keep(self, kept: Sequence[Kept]) -> None:
        await self._shelf.keep(kept)
        self._written.update({one.session.session_id: one for one in kept})

    async def _look(self) -> None:
        """Look at the events in disputed times."""
        if self.reattribution is None:
            return
        done: set[Disputed] = set()
        for disputed in list(self._overtaken):
            self._looking = True
            self._overtaken.discard(disputed)  # before the look: what is said meanwhile is looked at again
            try:
                await self.reattribution.look(disputed)
            except StoreError:
                self._overtaken.add(disputed)
                raise
            finally:
                self._looking = False
        for kept in [one for one in self._book.all() if one.disputed]:
            for disputed in kept.disputed:
                if disputed not in done:
                    await self.reattribution.look(disputed)
                    done.add(disputed)
            after = self._book.looked_at(kept)
            if after is not None:
                await self._keep([after])

    async def _sweep(self) -> None:
        """Write confirmations down, and forget what ended long ago."""
        unwritten = [one for one in self._book.all() if self._written.get(one.session.session_id) is not one]
        if unwritten:
            await self._keep(unwritten)
        if self._book.forget(self._clock.now() - KEPT_AFTER_END):
            gone = [one for one in self._written if self._book.get(one) is None]
            await self._shelf.forget(gone)
            for one in gone:
                del self._written[one]

    def _tell_rivals(self, session: WorkSession) -> None:
        """Say once of each pair that both are active on one device."""
        if session.status is SessionStatus.ENDED:
            self._rivals = {pair for pair in self._rivals if session.session_id not in pair}
            return
        for rival in self._book.rivals(session.session_id, self._clock.now()):
            pair = frozenset((session.session_id, rival.session_id))
            if pair not in self._rivals:
                self._rivals.add(pair)
                log.warning("biz.sessions_overlap", device=session.device_id, sessions=sorted(pair))
