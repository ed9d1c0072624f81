"""What happens on a scale's platform, as pure data: loads that come, settle, creep, are swapped and taken off.

A scenario is an endless row of load cycles; each is a row of phases; a timeline gives for any moment the true weight and
whether it moves, and an indicator turns that into a reading, rounding to its division as real ones do. Nothing here knows
a clock or a wire, and the same seed plays the same morning again, so a fault that was seen once can be seen at will.

The operator's side is data as well: a script of steps (put on, tap, wait to be told, take off) that a porter carries out.
"""

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum

from scaleledger.domain.reading import Reading, Role, Status

NOTHING = Decimal(0)
REARM_S = 0.8
"""How long an empty platform is shown between two loads: what a station that re-arms at zero needs, and a margin."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The platform at one moment: the true weight, and whether it is in motion."""

    weight: Decimal
    moving: bool


@dataclass(frozen=True, slots=True)
class Indicator:
    """Turns a sample into a reading: rounds to `division`, and shows overload from 9 divisions above `capacity`."""

    division: Decimal = Decimal("0.5")
    capacity: Decimal = Decimal(1500)
    unit: str = "kg"
    role: Role | None = Role.GROSS

    def round(self, weight: Decimal) -> Decimal:
        """The weight as this indicator shows it, with the division's decimals; never a negative zero."""
        divisions = (weight / self.division).to_integral_value(ROUND_HALF_EVEN)
        return (self.division * divisions).quantize(self.division) if divisions else self.division * 0

    def show(self, sample: Sample) -> Reading:
        """The reading for a sample; overload has no weight and no motion flag."""
        if sample.weight > self.capacity + 9 * self.division:
            return Reading(None, self.unit, None, Status.OVERLOAD, self.role)
        return Reading(self.round(sample.weight), self.unit, not sample.moving, Status.OK, self.role)


class Shape(StrEnum):
    """How the weight goes from a phase's start to its end."""

    HOLD = "hold"
    RAMP = "ramp"
    SETTLE = "settle"


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of time on the platform.

    `start` and `end` are true weights; HOLD stays at `end`. `noise` is an amplitude added on top. `counts` marks the hold in
    which a station is meant to capture the load; `linked` is False where the link itself is to be down.
    """

    duration_s: float
    start: Decimal
    end: Decimal
    shape: Shape = Shape.HOLD
    moving: bool = False
    noise: Decimal = NOTHING
    counts: bool = False
    linked: bool = True

    @property
    def steady(self) -> bool:
        """Whether every moment of the phase gives the same sample."""
        return not self.noise and (self.shape is Shape.HOLD or self.start == self.end)

    def weight_at(self, elapsed_s: float, noise: Decimal = NOTHING) -> Decimal:
        """True weight `elapsed_s` into the phase; `noise` is between -1 and 1."""
        if self.shape is Shape.HOLD:
            return self.end + self.noise * noise
        x = min(1.0, elapsed_s / self.duration_s) if self.duration_s else 1.0
        if self.shape is Shape.SETTLE:
            x = 1 - math.exp(-7 * x) * math.cos(4 * math.pi * x)
        return self.start + (self.end - self.start) * Decimal(round(x * 1_000_000)).scaleb(-6) + self.noise * noise


@dataclass(frozen=True, slots=True)
class LoadCycle:
    """One visit to the platform, from empty to empty. `weights` are the loads a station is meant to capture, in order."""

    phases: tuple[Phase, ...]
    weights: tuple[Decimal, ...]

    @property
    def duration_s(self) -> float:
        """From the first phase's beginning to the last one's end."""
        return math.fsum(phase.duration_s for phase in self.phases)


EMPTY = LoadCycle((Phase(REARM_S, NOTHING, NOTHING),), ())


class Timeline:
    """Load cycles laid out in time. `at` is asked with times that do not go back; nothing of the past is kept."""

    def __init__(self, cycles: Iterator[LoadCycle], rng: random.Random, start_s: float = 0.0) -> None:
        self._cycles = cycles
        self._noise = tuple(Decimal(rng.randrange(-1000, 1001)).scaleb(-3) for _ in range(61))
        self._index = 0
        self._phase_start_s = start_s
        self._sample: Sample | None = None
        self._ending = False
        self.cycle = EMPTY
        self.finished = False

    @property
    def phase(self) -> Phase:
        """The phase of the last moment asked for."""
        return self.cycle.phases[self._index]

    def finish(self) -> None:
        """After the present cycle the platform stays empty; `finished` tells when that is so."""
        self._ending = True

    def step(self, now: float) -> Phase | None:
        """The next phase that is over by `now`, moving on to its successor; None when the present one is not over."""
        phase = self.phase
        if self.finished or now < self._phase_start_s + phase.duration_s:
            return None
        self._phase_start_s += phase.duration_s
        self._sample = None
        self._index += 1
        if self._index == len(self.cycle.phases):
            self._index = 0
            self.finished = self._ending
            self.cycle = EMPTY if self._ending else next(self._cycles)
        return phase

    def at(self, now: float) -> Sample:
        """The platform at `now`. A steady phase gives the same object each time, so that its reading can be kept."""
        while self.step(now) is not None:
            pass
        if self._sample is not None:
            return self._sample
        phase = self.phase
        if phase.steady:
            self._sample = Sample(phase.end, phase.moving)
            return self._sample
        return Sample(
            phase.weight_at(now - self._phase_start_s, self._noise[int(now * 25) % len(self._noise)]), phase.moving
        )


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a kind of place is loaded; weights in divisions, times in seconds."""

    weight_d: tuple[int, int] = (60, 2400)
    settle_s: tuple[float, float] = (0.25, 0.6)
    hold_s: float = 1.2
    empty_s: float = REARM_S
    twist: Callable[[Decimal, Decimal, "Recipe"], tuple[Phase, ...]] = field(default=lambda w, d, r: ())  # noqa: ARG005
    after: Callable[[Decimal, Decimal, "Recipe"], tuple[Phase, ...]] = field(default=lambda w, d, r: ())  # noqa: ARG005
    alike: int = 1
    in_vain: bool = False


def _creeping(weight: Decimal, division: Decimal, _: Recipe) -> tuple[Phase, ...]:
    """Flagged stable while it still creeps by five divisions."""
    return (Phase(2.5, weight - 5 * division, weight, Shape.RAMP),)


def _noisy(weight: Decimal, division: Decimal, _: Recipe) -> tuple[Phase, ...]:
    return (Phase(1.5, weight, weight, moving=True, noise=2 * division),)


def _still_but_moving(weight: Decimal, _: Decimal, __: Recipe) -> tuple[Phase, ...]:
    """An unchanging value that the indicator calls unstable."""
    return (Phase(3.0, weight, weight, moving=True),)


def _plateau(weight: Decimal, division: Decimal, recipe: Recipe) -> tuple[Phase, ...]:
    """Rests for a moment at a part of its weight, flagged stable: too short to be believed."""
    part = ((weight * 3 / 5) // division) * division
    return (Phase(0.2, part, part), Phase(recipe.settle_s[1], part, weight, Shape.SETTLE, moving=True))


def _overload(weight: Decimal, division: Decimal, recipe: Recipe) -> tuple[Phase, ...]:
    """Too much at first: the indicator shows overload, then something is taken off."""
    too_much = 4000 * division
    return (
        Phase(0.8, weight, too_much, Shape.RAMP, moving=True),
        Phase(0.8, too_much, too_much),
        Phase(recipe.settle_s[1], too_much, weight, Shape.SETTLE, moving=True),
    )


def _link_lost(weight: Decimal, _: Decimal, __: Recipe) -> tuple[Phase, ...]:
    """The link drops after the capture and is back with the load still on."""
    return (Phase(0.6, weight, weight, linked=False), Phase(1.5, weight, weight))


def _exchanged(weight: Decimal, division: Decimal, recipe: Recipe) -> tuple[Phase, ...]:
    """Another load pushes this one off; the platform never shows zero, so a station that re-arms there stays silent."""
    other = weight + 50 * division
    return (Phase(recipe.settle_s[1], weight, other, Shape.SETTLE, moving=True), Phase(1.5, other, other))


SCENARIOS: dict[str, Recipe] = {
    "bench": Recipe(),
    "pallet": Recipe(weight_d=(400, 2800), settle_s=(0.8, 1.5), hold_s=2.0, empty_s=1.2),
    "truck": Recipe(weight_d=(1000, 2900), settle_s=(2.0, 4.0), hold_s=4.0, empty_s=2.0),
    "creeping": Recipe(twist=_creeping),
    "noisy": Recipe(twist=_noisy),
    "still-but-moving": Recipe(twist=_still_but_moving),
    "plateau": Recipe(weight_d=(400, 2400), twist=_plateau),
    "overload": Recipe(twist=_overload),
    "flap": Recipe(after=_link_lost),
    "exchange": Recipe(after=_exchanged),
    "equal-loads": Recipe(alike=2),
    "never-still": Recipe(twist=_still_but_moving, in_vain=True),
}
"""Every scenario by its name on the command line."""


def play(name: str, rng: random.Random, division: Decimal, rate_hz: float = 10.0) -> Iterator[LoadCycle]:
    """Endless load cycles of the scenario `name`, the same for the same `rng` state.

    `rate_hz` stretches holds so that a slow talker still shows each of them in at least five frames.
    Raises KeyError for a name that is not in SCENARIOS.
    """
    recipe = SCENARIOS[name]
    hold_s = max(recipe.hold_s, 5 / rate_hz + 0.5)
    empty_s = max(recipe.empty_s, 5 / rate_hz + 0.5)
    while True:
        weight = division * rng.randint(*recipe.weight_d)
        for _ in range(recipe.alike):
            yield _cycle(recipe, weight, division, rng.uniform(*recipe.settle_s), hold_s, empty_s * rng.uniform(1, 1.3))


def _cycle(
    recipe: Recipe, weight: Decimal, division: Decimal, settle_s: float, hold_s: float, empty_s: float
) -> LoadCycle:
    before = recipe.twist(weight, division, recipe)
    first = before[0].start if before else weight
    counted = () if recipe.in_vain else (Phase(hold_s, weight, weight, counts=True),)
    after = recipe.after(weight, division, recipe)
    last = after[-1].end if after else weight
    return LoadCycle(
        (
            Phase(settle_s, NOTHING, first, Shape.SETTLE, moving=True),
            *before,
            *counted,
            *after,
            Phase(settle_s / 2, last, NOTHING, Shape.RAMP, moving=True),
            Phase(empty_s, NOTHING, NOTHING),
        ),
        () if recipe.in_vain else (weight,),
    )


class Platform:
    """A platform that someone works by hand: put on, take off, and in between it settles by itself."""

    def __init__(self, settle_s: float = 0.6) -> None:
        self._settle_s = settle_s
        self._from, self._to, self._since = NOTHING, NOTHING, -math.inf

    def put(self, now: float, weight: Decimal) -> None:
        """From `now` on the load is `weight` in all; zero takes everything off."""
        self._from, self._to, self._since = self.at(now).weight, weight, now

    def at(self, now: float) -> Sample:
        """The platform at `now`."""
        elapsed_s = now - self._since
        if elapsed_s >= self._settle_s:
            return Sample(self._to, moving=False)
        shape = Shape.SETTLE if self._to > self._from else Shape.RAMP
        return Sample(Phase(self._settle_s, self._from, self._to, shape).weight_at(elapsed_s), moving=True)
