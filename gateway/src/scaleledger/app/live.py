"""The live lane: what the scales show, for whoever watches, and nothing while nobody does.

The lane looks at the stations; they know nothing of it. One tick serves all viewers and all stations: at most ten frames a
second, each with the newest values only. What is durable takes another way, which this one can neither delay nor fill.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable
from typing import Protocol

from scaleledger.app.ports import Clock
from scaleledger.domain.channel import LiveWeight, LiveWeights

TICK_S = 0.1
REPEAT_S = 1.0  # an unchanged value is said again after this time, so that a viewer knows it still holds
NAMED_MAX = 1024  # names may be asked for before their stations are there


class Shown(Protocol):
    """A station, as far as the lane looks at it."""

    @property
    def name(self) -> str: ...

    @property
    def live(self) -> LiveWeight: ...


class LiveLane:
    """Shows `stations` (which may change) through `say`, as far as `start` asked for them. Run it as one task."""

    def __init__(self, stations: Collection[Shown], say: Callable[[LiveWeights], None], clock: Clock) -> None:
        self._stations, self._say, self._clock = stations, say, clock
        self._all = False
        self._named: set[str] = set()
        self._left_out: set[str] = set()
        self._sent: dict[str, tuple[LiveWeight, float]] = {}
        self._wanted = asyncio.Event()

    @property
    def watched(self) -> list[Shown]:
        """The stations that somebody watches."""
        if self._all:
            return [s for s in self._stations if s.name not in self._left_out]
        return [s for s in self._stations if s.name in self._named]

    def start(self, names: Iterable[str] | None) -> None:
        """Somebody watches these stations; None: all, those of the future too. Each is shown at once, changed or not."""
        if names is None:
            self._all = True
            self._left_out.clear()
            self._sent.clear()
        else:
            for name in names:
                self._left_out.discard(name)
                self._sent.pop(name, None)
                if len(self._named) < NAMED_MAX:
                    self._named.add(name)
        if self._all or self._named:
            self._wanted.set()

    def stop(self, names: Iterable[str] | None) -> None:
        """Nobody watches these stations any more; None: none at all."""
        if names is None:
            self._all = False
            self._named.clear()
            self._left_out.clear()
        else:
            for name in names:
                self._named.discard(name)
                if self._all and len(self._left_out) < NAMED_MAX:
                    self._left_out.add(name)
        if not (self._all or self._named):
            self._wanted.clear()
            self._sent.clear()

    async def run(self) -> None:
        """Show until cancelled. A tick that comes late is not made up for."""
        due_s = self._clock.monotonic()
        while True:
            await self._wanted.wait()
            now_s = self._clock.monotonic()
            if now_s >= due_s:
                self._tick(now_s)
                due_s = max(due_s + TICK_S, now_s)
            await asyncio.sleep(due_s - now_s)

    def _tick(self, now_s: float) -> None:
        fresh = []
        for station in self.watched:
            live, before = station.live, self._sent.get(station.name)
            if before is None or before[0] != live or now_s - before[1] >= REPEAT_S - TICK_S / 2:
                self._sent[station.name] = (live, now_s)
                fresh.append(live)
        if fresh:
            self._say(LiveWeights(self._clock.now(), tuple(fresh)))
        if len(self._sent) > NAMED_MAX:
            self._sent.clear()
