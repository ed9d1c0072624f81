"""The one thread that makes weighings durable.

It commits at once when idle and takes all that waits when busy, so one flush serves every station and the disk's own speed
sets the size of a group; no timer delays anybody. Numbers, links and the head's signature are given inside the
transaction. Nobody is told anything before the commit has returned. Acks from a centre ride along with the next group.

Where a commit itself failed, nobody knows whether its rows are on disk until one has looked. To call them refused would let
the load be weighed again beside rows that are there after all; so a group is answered only when the disk has let us look.
"""

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from scaleledger.domain import ledger
from scaleledger.domain.errors import StoreDamaged, StoreError, StoreFull, StoreUnusable
from scaleledger.domain.weighing import Draft, Head, Record
from scaleledger.observe.failpoints import FailpointError, reach
from scaleledger.observe.log import get_logger
from scaleledger.store.connection import ENTRY_COLUMNS, INSERT_RECORD, connect, is_damage, read_head, refusal_of
from scaleledger.store.folder import places
from scaleledger.store.marks import Mark, Positions, write_marks
from scaleledger.store.salvage import declare
from scaleledger.store.signing import SigningKey

WAITING_MAX = 10_000
GROUP_MAX = 1_000
MARKS_MAX = 500
LINGER_S = 1.5  # longer than the pace of one weighing a second, so that its marks ride with the next one
LOOK_AGAIN_S = 0.5

log = get_logger()
T = TypeVar("T")

_STORED = f"SELECT {ENTRY_COLUMNS} FROM weighing_records WHERE uuid = ?"  # noqa: S608


@dataclass(slots=True)
class _Waiting:
    draft: Draft
    body: str
    future: "asyncio.Future[Record]"


@dataclass(slots=True)
class _Onward:
    head: Head
    future: "asyncio.Future[tuple[int, int] | None]"


@dataclass(slots=True)
class _Group:
    waiting: list[_Waiting] = field(default_factory=list)
    onward: _Onward | None = None
    flush: bool = False
    last: bool = False


class _Order:
    """What else may lie in the queue."""


_FLUSH, _STOP = _Order(), _Order()
Added = Sequence[tuple[Draft, Record]]
Answer = tuple["asyncio.Future[Record]", Record | StoreError]


class Writer:
    """Group commit. Made and used on the event loop; `note` is called there with what each commit added and the new head."""

    def __init__(
        self, path: Path, key: SigningKey, *, gateway: str, software: str, note: Callable[[Added, Head], None]
    ) -> None:
        self._path = path
        self._key = key
        self._gateway = gateway
        self._software = software
        self._note = note
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_Waiting | _Onward | _Order] = queue.SimpleQueue()
        self._marks: deque[Mark] = deque()
        self._linger: asyncio.TimerHandle | None = None
        self._positions = Positions()
        self._pending: set[asyncio.Future[Record]] = set()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._closing = False
        self._stopping = threading.Event()
        self._place: tuple[tuple[int, int], ...] = ()
        self._away = False
        self._damage = ""
        self._connection: sqlite3.Connection | None = None
        self._seq, self._hash, self._signature = 0, ledger.GENESIS, b""
        self._connection = self._open()
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    @property
    def opening_head(self) -> Head:
        """The head found when opening."""
        return Head(self._seq, self._hash.hex(), self._signature.hex())

    def append(self, draft: Draft) -> "asyncio.Future[Record]":
        """Queue a draft; the future ends after the commit. Raises StoreFull, StoreError, or LedgerError for no record."""
        if self._closing or self._ended.done():
            raise StoreError("the store is closed; the weighing was not kept")
        if len(self._pending) >= WAITING_MAX:
            raise StoreFull(f"{WAITING_MAX} weighings wait for the disk already; it is too slow or stands still")
        body = ledger.payload_body(draft, gateway=self._gateway, software=self._software)
        future: asyncio.Future[Record] = self._loop.create_future()
        self._pending.add(future)
        self._queue.put(_Waiting(draft, body, future))
        return future

    def go_on_above(self, head: Head) -> "asyncio.Future[tuple[int, int] | None]":
        """Number from now on above a head that this ledger once had; gives the numbers thereby left out, ends included.

        None if the ledger is beyond it already. Raises StoreError.
        """
        if self._closing or self._ended.done():
            raise StoreError("the store is closed")
        future: asyncio.Future[tuple[int, int] | None] = self._loop.create_future()
        self._queue.put(_Onward(head, future))
        return future

    def mark(self, mark: Mark) -> None:
        """Keep `mark` with the next commit, or after LINGER_S of quiet, or when many wait."""
        self._marks.append(mark)
        if len(self._marks) > MARKS_MAX:
            self.flush()
        elif self._linger is None:
            self._linger = self._loop.call_later(LINGER_S, self.flush)

    def flush(self) -> None:
        """Keep the waiting marks, and every position, soon."""
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        self._queue.put(_FLUSH)

    async def close(self) -> None:
        """Commit everything accepted, then end. Safe to call twice."""
        if not self._closing:
            self._closing = True
            if self._linger is not None:
                self._linger.cancel()
            self._stopping.set()
            self._queue.put(_STOP)
        await asyncio.shield(self._ended)
        self._thread.join()

    async def wait_failed(self) -> None:
        """Return only if the writer ended unasked. Raises StoreDamaged: to be opened anew, which salvages if need be."""
        await asyncio.shield(self._ended)
        if not self._closing:
            raise StoreDamaged(f"{self._path} cannot be written any more: {self._damage or 'the writer met a mistake'}")

    # On the loop, called by the thread

    def _resolve(self, answers: list[Answer], added: Added, head: Head) -> None:
        self._note(added, head)
        if self._linger is not None and not self._marks:
            self._linger.cancel()  # the marks it was set for rode along
            self._linger = None
        for future, answer in answers:
            self._pending.discard(future)
            _answer(future, answer)

    def _end(self) -> None:
        for future in self._pending:
            if not future.done():
                future.set_exception(StoreError("the store's writer ended; repeat the weighing with the same uuid"))
        self._pending.clear()
        if not self._ended.done():
            self._ended.set_result(None)

    # In the thread

    def _run(self) -> None:
        try:
            last = False
            while not last and not self._damage:
                group = self._gather()
                last = group.last
                self._commit(group)
                if group.onward is not None:
                    self._declare(group.onward)
        finally:
            if self._connection is not None:
                self._connection.close()
            with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits
                self._loop.call_soon_threadsafe(self._end)

    def _gather(self) -> _Group:
        group = _Group()
        item: _Waiting | _Onward | _Order = self._queue.get()
        while True:
            if isinstance(item, _Waiting):
                group.waiting.append(item)
            elif isinstance(item, _Onward):
                group.onward = item
                return group
            else:
                group.flush = True
                group.last = item is _STOP
            if group.last or len(group.waiting) >= GROUP_MAX:
                return group
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return group

    def _commit(self, group: _Group) -> None:
        if not self._in_place():
            self._refuse(group.waiting)
            return
        marks = [self._marks.popleft() for _ in range(len(self._marks))]
        if not group.waiting and not marks and not self._positions.due:
            return
        before, asked = self._seq, False
        try:
            if self._connection is None:
                self._connection = self._open()
            connection = self._connection
            connection.execute("BEGIN IMMEDIATE")
            answers, added, signature = self._write(connection, group.waiting)
            write_marks(connection, marks, self._positions, all_due=group.flush)
            reach("store.before-commit")
            asked = True
            connection.execute("COMMIT")
            if added:
                newest = added[-1][1]
                self._seq, self._hash, self._signature = newest.seq, bytes.fromhex(newest.hash), signature
            reach("store.after-commit")
        except (sqlite3.Error, StoreUnusable, FailpointError) as error:
            answers, added = self._recover(group.waiting, error, before, doubtful=asked)
            self._marks.extendleft(reversed(marks))
        if answers:
            self._loop.call_soon_threadsafe(self._resolve, answers, added, self.opening_head)

    def _declare(self, onward: _Onward) -> None:
        head, below = onward.head, self._seq
        answer: tuple[int, int] | StoreError | None = None
        try:
            if self._connection is None:
                self._connection = self._open()
            if head.seq > below:
                digest = bytes.fromhex(head.hash)
                declare(self._connection, self._key, self._gateway, head.seq, digest, "restored")
                self._seq, self._hash, self._signature = head.seq, digest, bytes.fromhex(head.signature)
                answer = (below + 1, head.seq)
        except (sqlite3.Error, StoreUnusable) as error:
            self._let_go()
            answer = refusal_of(error, self._path)
        self._loop.call_soon_threadsafe(_answer, onward.future, answer)

    def _write(
        self, connection: sqlite3.Connection, waiting: Iterable[_Waiting]
    ) -> tuple[list[Answer], list[tuple[Draft, Record]], bytes]:
        answers: list[Answer] = []
        added: list[tuple[Draft, Record]] = []
        signature = b""
        rows: list[list[object]] = []
        new: dict[str, Record] = {}
        seq, prev = self._seq, self._hash
        for item in waiting:
            draft = item.draft
            record = new.get(draft.uuid) or self._stored(connection, draft.uuid)
            if record is None:
                seq += 1
                payload = ledger.numbered(item.body, seq)
                digest = ledger.link(prev, payload)
                weight, at = ledger.weight_text(draft.weight), ledger.time_text(draft.measured_at)
                rows.append(
                    [seq, draft.uuid, draft.card, weight, at, 0, draft.unit, draft.station, payload, digest, None]
                )
                entry = ledger.Entry(
                    seq, draft.uuid, draft.card, weight, draft.unit, draft.station, at, payload, digest
                )
                record = ledger.record_of(entry, prev)
                new[draft.uuid] = record
                added.append((draft, record))
                prev = digest
            answers.append((item.future, record))
        if rows:
            signature = self._key.sign(ledger.head_message(self._gateway, seq, prev.hex()))
            rows[-1][-1] = signature
            connection.executemany(INSERT_RECORD, rows)
        return answers, added, signature

    def _stored(self, connection: sqlite3.Connection, uuid: str) -> Record | None:
        row = connection.execute(_STORED, (uuid,)).fetchone()
        if row is None:
            return None
        before = connection.execute(
            "SELECT hash FROM weighing_records WHERE seq = ?1 UNION ALL SELECT hash FROM checkpoints WHERE seq = ?1",
            (row[0] - 1,),
        ).fetchone()
        return ledger.record_of(ledger.Entry(*row), before[0] if before else ledger.GENESIS)

    def _in_place(self) -> bool:
        """Whether what is written here will be found at the next start: the files we hold are those that bear the names."""
        away = self._connection is not None and places(self._path) != self._place
        if away and not self._away:
            log.error("sys.store_taken_away", database=str(self._path))
            assert self._connection is not None
            with contextlib.suppress(sqlite3.Error):  # if only the log is gone, all of it can still go to the database
                self._connection.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
        self._away = away
        return not away

    def _refuse(self, waiting: Sequence[_Waiting]) -> None:
        """Nothing is closed: delivery still reads what the files hold, and they may be put back."""
        away = StoreUnusable(f"{self._path} was taken away; put it back. The weighing was not kept.")
        if waiting:
            answers: list[Answer] = [(item.future, away) for item in waiting]
            self._loop.call_soon_threadsafe(self._resolve, answers, [], self.opening_head)

    def _recover(
        self, waiting: Sequence[_Waiting], error: Exception, before: int, *, doubtful: bool
    ) -> tuple[list[Answer], list[tuple[Draft, Record]]]:
        """Answer a group whose commit failed by what is on disk in fact, read through a new connection."""
        refusal = refusal_of(error, self._path)
        full = isinstance(refusal, StoreFull)
        log.error("sys.store_full" if full else "sys.store_failed", error=str(error), weighings=len(waiting))
        self._positions.forget_written()
        if is_damage(error):
            self._damage = str(error)
        # a log that had no room for its last frame holds no commit
        held = self._look(waiting, until_known=doubtful and not full and not self._damage)
        if held is None:
            held = [None] * len(waiting)
            if doubtful:
                refusal = StoreError(f"whether the weighing was kept is not known: {error}")
        answers: list[Answer] = []
        added: list[tuple[Draft, Record]] = []
        for item, record in zip(waiting, held, strict=True):
            answers.append((item.future, record or refusal))
            if record is not None and record.seq > before:
                added.append((item.draft, record))
        return answers, added

    def _look(self, waiting: Sequence[_Waiting], *, until_known: bool) -> list[Record | None] | None:
        """What of a group is on disk, and sure to stay there; None if that cannot be told (yet, or before the close)."""
        said = ""
        while True:
            self._let_go()
            try:
                self._connection = self._open()
                held = [self._stored(self._connection, item.draft.uuid) for item in waiting]
                if any(held):
                    self._settle_on_disk(self._connection)
            except (sqlite3.Error, StoreUnusable) as again:
                self._let_go()
                if str(again) != said:
                    said = str(again)
                    log.error("sys.store_failed", error=said, weighings=len(waiting))
            else:
                return held
            if not waiting or not until_known or self._stopping.wait(LOOK_AGAIN_S):
                return None

    def _let_go(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.rollback()
            self._connection.close()
            self._connection = None

    @staticmethod
    def _settle_on_disk(connection: sqlite3.Connection) -> None:
        """After a failed flush the log's pages may be clean in memory and absent on disk; copying them on is proof."""
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
        if busy:
            raise sqlite3.OperationalError("the log could not be copied on")

    def _open(self) -> sqlite3.Connection:
        """A connection, with the head as the database has it."""
        if not self._path.exists():  # SQLite would make an empty one
            raise StoreUnusable(f"{self._path} was taken away; put it back")
        connection = connect(self._path)
        self._seq, self._hash, self._signature = read_head(connection)
        self._place = places(self._path)
        if self._seq and not self._signature:
            self._signature = self._key.sign(ledger.head_message(self._gateway, self._seq, self._hash.hex()))
        return connection


def _answer(future: "asyncio.Future[T]", answer: T | StoreError) -> None:
    if isinstance(answer, StoreError) and not future.done():
        future.set_exception(answer)
    elif not future.done():
        future.set_result(answer)  # type: ignore[arg-type]
