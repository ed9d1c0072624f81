"""Indicators that send by themselves, many to a process: each follows a scenario and speaks a real driver's bytes.

All talkers share one wheel, a single task that wakes once per tick and lets everything due speak, so that a hundred of them
cost little. A talker keeps its last line while the platform is steady.
"""

import asyncio
import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial

from scaleledger.domain.reading import Reading
from scaleledger.simulators.journal import Journal
from scaleledger.simulators.ports import Port
from scaleledger.simulators.rfid import TagReader
from scaleledger.simulators.scenario import Indicator, Phase, Sample, Timeline, play

HEARD_EMPTY_S = 0.6
"""How long a listener must have seen the empty platform for the load after it to count as surely shown."""


class Wheel:
    """Calls what is due, `tick_s` apart at the closest. `run` it in one task."""

    def __init__(self, tick_s: float = 0.01) -> None:
        self._tick_s = tick_s
        self._due: list[tuple[float, int, float, Callable[[float], None]]] = []
        self._number = 0

    def add(self, first_s: float, every_s: float, call: Callable[[float], None]) -> None:
        """Call `call(now)` every `every_s` from `first_s` (loop time) on; 0 means once."""
        self._number += 1
        heapq.heappush(self._due, (first_s, self._number, every_s, call))

    async def run(self) -> None:
        """Until cancelled. A wheel that was held up goes on from now; it does not catch up in a burst."""
        clock = asyncio.get_running_loop().time
        while True:
            now = clock()
            while self._due and self._due[0][0] <= now:
                due, number, every_s, call = self._due[0]
                if every_s:
                    upcoming = due + every_s if now - due < 10 * every_s else now + every_s
                    heapq.heapreplace(self._due, (upcoming, number, every_s, call))
                else:
                    heapq.heappop(self._due)
                call(now)
            until = self._due[0][0] if self._due else now + 10 * self._tick_s
            await asyncio.sleep(max(until - clock(), self._tick_s))


@dataclass(frozen=True, slots=True)
class Manner:
    """How a talker speaks: its rate, its scenario's name, its indicator, in how many pieces a UART hands a line over."""

    rate_hz: float = 10.0
    scenario: str = "bench"
    indicator: Indicator = field(default_factory=Indicator)
    pieces: int = 1


class Talker:
    """One indicator on one port. With a reader, each load comes with a card, tapped when the load is still."""

    def __init__(
        self,
        name: str,
        port: Port,
        encode: Callable[[Reading], bytes],
        manner: Manner,
        *,
        journal: Journal,
        rng: random.Random,
        reader: TagReader | None = None,
        cards: Sequence[str] = (),
    ) -> None:
        assert manner.rate_hz > 0
        assert manner.pieces > 0
        self.name = name
        self.port = port
        self.idle = asyncio.Event()
        self._encode = encode
        self._manner = manner
        self._journal = journal
        self._rng = rng
        self._reader = reader
        self._cards = cards
        self._timeline: Timeline | None = None
        self._wheel: Wheel | None = None
        self._n = 0
        self._sample: Sample | None = None
        self._line = b""
        self._empty_since: float | None = None
        self._heard = False
        self._undecided = False
        self._listened = False
        self._card = ""

    async def start(self, wheel: Wheel) -> None:
        """Plug in and begin with an empty platform. Raises OSError when the port cannot be had."""
        now = asyncio.get_running_loop().time()
        manner = self._manner
        cycles = play(manner.scenario, self._rng, manner.indicator.division, manner.rate_hz)
        self._timeline = Timeline(cycles, self._rng, now)
        self._wheel = wheel
        await self.port.start(self)
        wheel.add(now + self._rng.random() / manner.rate_hz, 1 / manner.rate_hz, self._tick)
        self._journal.say(self.name, f"talks at {manner.rate_hz:g} Hz on {self.port.where}")

    def finish(self) -> None:
        """End the present load and keep the platform empty; `idle` is set when that is done."""
        assert self._timeline is not None, "start() comes first"
        self._timeline.finish()

    async def close(self) -> None:
        """Unplug. A load that is on at this moment is written down as doubtful."""
        if self._undecided:
            self._write(sure=False)
        await self.port.close()

    def linked(self, *, up: bool) -> None:
        self._empty_since = None
        self._heard = False
        self._journal.say(self.name, "somebody listens" if up else "nobody listens")

    def received(self, data: bytes) -> None:
        """A talker takes no orders."""

    def _tick(self, now: float) -> None:
        timeline = self._timeline
        assert timeline is not None
        while (over := timeline.step(now)) is not None:
            self._phase_over(now, over, timeline.phase)
        if timeline.finished:
            self.idle.set()
        sample = timeline.at(now)
        if sample is not self._sample:
            self._sample, self._line = sample, self._encode(self._manner.indicator.show(sample))
        if not self.port.up:
            return
        self._listened = True
        if self._empty_since is None and not sample.weight and not sample.moving:
            self._empty_since = now
        if self._manner.pieces == 1:
            self.port.send(self._line)
        else:
            self._send_in_pieces(now)

    def _phase_over(self, now: float, over: Phase, following: Phase) -> None:
        if not over.end and not over.moving:
            self._heard = self._empty_since is not None and now - self._empty_since >= HEARD_EMPTY_S
            self._empty_since = None
            self._load_comes()
        if over.counts:
            self._write(sure=self._heard)
        if following.counts and self._reader is not None and self._card:
            self._reader.present(self._card)
        if over.linked and not following.linked:
            self.port.unplug()
        elif following.linked and not over.linked:
            self.port.plug()

    def _load_comes(self) -> None:
        assert self._timeline is not None
        weights = self._timeline.cycle.weights
        if not weights:
            return
        self._n += 1
        self._undecided = True
        self._listened = self.port.up
        if self._cards:
            self._card = self._cards[(self._n - 1) % len(self._cards)]
        self._journal.say(self.name, f"load {self._n}: {self._text(weights[0])} {self._card}".rstrip())

    def _write(self, *, sure: bool) -> None:
        assert self._timeline is not None
        self._undecided = False
        if sure or self._listened:
            weight = str(self._manner.indicator.round(self._timeline.cycle.weights[0]))
            self._journal.load(self.name, self._n, card=self._card, weight=weight, sure=sure)

    def _text(self, weight: Decimal) -> str:
        return f"{self._manner.indicator.round(weight)} {self._manner.indicator.unit}"

    def _send_in_pieces(self, now: float) -> None:
        """A UART's driver hands a line over in a few reads; the rest of the line comes at the wheel's next ticks."""
        assert self._wheel is not None
        manner = self._manner
        size = -(-len(self._line) // manner.pieces)
        gap_s = min(0.004, 1 / manner.rate_hz / (manner.pieces + 1))
        self.port.send(self._line[:size])
        for i, at in enumerate(range(size, len(self._line), size), 1):
            self._wheel.add(now + i * gap_s, 0, partial(self._send_piece, self._line[at : at + size]))

    def _send_piece(self, piece: bytes, _: float) -> None:
        self.port.send(piece)
