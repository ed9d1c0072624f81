"""Keeps the gateway's parts running: start, restart with back-off, stop in order.

The world's failures are handled where they happen, as typed exceptions. What reaches this place is our own mistake: it is
logged with its trace, and the part that made it is started anew while the others go on. This is the only module that
catches everything.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from scaleledger.observe.log import get_logger

log = get_logger()
T = TypeVar("T")
RESTART_S = (0.2, 10.0)
HEALTHY_S = 60.0  # a part that worked for so long is restarted as quickly as at first


class Part:
    """One restartable part. Callbacks that run outside its task are wrapped by `guard`, so their mistakes count as its own."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.restarts = 0
        self._mistake: asyncio.Future[None] | None = None

    def guard(self, call: Callable[..., T]) -> Callable[..., T | None]:
        """`call`, except that an exception restarts this part instead of reaching the caller."""

        def guarded(*arguments: object) -> T | None:
            try:
                return call(*arguments)
            except Exception as mistake:
                if self._mistake is not None and not self._mistake.done():
                    self._mistake.set_exception(mistake)
                else:
                    log.exception("sys.part_failed", part=self.name)
                return None

        return guarded

    async def run_once(self, run: Callable[[], Awaitable[None]]) -> None:
        """Run until `run` ends, or until it or a guarded callback fails; raises what failed."""
        self._mistake = asyncio.get_running_loop().create_future()
        work = asyncio.ensure_future(run())
        try:
            await asyncio.wait({work, self._mistake}, return_when=asyncio.FIRST_COMPLETED)
            if self._mistake.done():
                self._mistake.result()
            if work.cancelled():
                raise RuntimeError("the part's work was cancelled, and not by the supervisor")
            await work
        finally:
            ended = work.done()
            await _end(work)
            if not ended and not work.cancelled() and (mistake := work.exception()) is not None:
                log.error("sys.part_failed", part=self.name, exc_info=mistake)
            if not self._mistake.done():
                self._mistake.cancel()
            elif not self._mistake.cancelled():
                self._mistake.exception()


class Supervisor:
    """Runs parts until told to stop; they are stopped in the reverse of the order in which they were added."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._parts: dict[Part, Callable[[], Awaitable[None]]] = {}
        self._tasks: dict[Part, asyncio.Task[None]] = {}
        self._running = False

    def part(self, name: str) -> Part:
        """A new part, to be given its work by `add`."""
        return Part(name)

    def add(self, part: Part, run: Callable[[], Awaitable[None]]) -> None:
        """`run` is a coroutine function that works until cancelled, or returns when its work is done for good.

        It begins at once if the others run already.
        """
        self._parts[part] = run
        if self._running:
            self._start(part)

    async def remove(self, part: Part) -> None:
        """End a part in good order, for good; returns when it has ended. One that is not here (any more) is no mistake."""
        self._parts.pop(part, None)
        await self._stop(part)

    async def run(self, stop: asyncio.Event) -> None:
        """Run all parts until `stop` is set, then end them in reverse order."""
        self._running = True
        for part in self._parts:
            self._start(part)
        try:
            await stop.wait()
        finally:
            self._running = False
            while self._tasks:
                await self._stop(next(reversed(self._tasks)))

    def _start(self, part: Part) -> None:
        self._tasks[part] = asyncio.create_task(self._keep(part, self._parts[part]), name=part.name)

    async def _stop(self, part: Part) -> None:
        """Asked twice, a part is cancelled once, so that it can end in its own order."""
        task = self._tasks.get(part)
        if task is None:
            return
        if not task.cancelling():
            task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()
        self._tasks.pop(part, None)

    async def _keep(self, part: Part, run: Callable[[], Awaitable[None]]) -> None:
        delay_s, clock = RESTART_S[0], asyncio.get_running_loop().time
        while True:
            began_s = clock()
            try:
                await part.run_once(run)
            except Exception:
                part.restarts += 1
                log.exception("sys.part_failed", part=part.name, restarts=part.restarts)
            else:
                return
            if clock() - began_s >= HEALTHY_S:
                delay_s = RESTART_S[0]
            await asyncio.sleep(delay_s * self._rng.uniform(0.5, 1.0))
            delay_s = min(delay_s * 2, RESTART_S[1])


async def _end(task: "asyncio.Future[None]") -> None:
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()
