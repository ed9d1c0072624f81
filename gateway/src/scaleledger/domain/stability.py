"""When a moving weight becomes trustworthy.

Two ways, and one rule above both. FLAG believes the indicator: enough frames in a row that say "stable", over a little
time, within one division of each other. COMPUTED is for indicators without a motion flag: a despiked value that stays in
a band for a whole window. The rule: a frame that says "moving" ends stability at once, and an unchanging value never
stands in for the flag (five recorded streams held one value for up to 480 frames while the indicator said "moving").

The captured value is always a frame's own printed value, never a mean.
"""

from collections import deque
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from scaleledger.domain.reading import Reading, Role


class Evidence(StrEnum):
    """How stability was found."""

    FLAG = "flag"
    COMPUTED = "computed"


class Verdict(StrEnum):
    """What the newest frame means: no usable weight, a weight in motion, or one that may be captured."""

    INVALID = "invalid"
    MOVING = "moving"
    STABLE = "stable"


@dataclass(frozen=True, slots=True)
class StabilityRule:
    """Times in seconds, `band_d` in divisions.

    `evidence` None: FLAG where the protocol carries a flag, COMPUTED where it does not. `trust_motion` False is for an
    indicator whose flag is known to stick at "moving"; then the window is doubled.
    """

    evidence: Evidence | None = None
    frames: int = 3
    cover_s: float = 0.3
    band_d: int = 1
    window_s: float = 1.0
    samples: int = 5
    trust_motion: bool = True


class StabilityWindow:
    """Judges one stream of readings; O(1) per frame. `division` is the scale interval d in the readings' unit."""

    def __init__(self, rule: StabilityRule, division: Decimal) -> None:
        self.rule = rule
        self.set_division(division)
        self.clear()

    def set_division(self, division: Decimal) -> None:
        """Use another d from now on."""
        self.division = division
        self._band = division * self.rule.band_d

    def clear(self) -> None:
        """Forget everything seen: after a lost link, a stale value, an invalid frame."""
        self._since = 0.0
        self._count = 0
        self._low = self._high = self._entered = Decimal(0)
        self._unit: str | None = None
        self._role: Role | None = None
        self._recent: deque[Decimal] = deque(maxlen=3)
        self._held = False
        self._strayed = 0
        self.evidence = self.rule.evidence or Evidence.FLAG

    @property
    def frames(self) -> int:
        """How many frames the present stretch holds."""
        return self._count

    def span_s(self, now: float) -> float:
        """How long the present stretch lasts."""
        return now - self._since if self._count else 0.0

    def observe(self, now: float, reading: Reading) -> Verdict:
        """Take one reading at `now` (monotonic seconds)."""
        weight = reading.weight
        if weight is None or reading.role is Role.TARE:
            self.clear()
            return Verdict.INVALID
        if reading.unit != self._unit or reading.role != self._role:
            self.clear()
            self._unit, self._role = reading.unit, reading.role
        if reading.stable is False and self.rule.trust_motion:
            self._restart(now, weight, 0)
            self._recent.clear()
            return Verdict.MOVING
        evidence = self.rule.evidence or (Evidence.COMPUTED if reading.stable is None else Evidence.FLAG)
        if evidence is not self.evidence:
            self._restart(now, weight, 0)
            self.evidence = evidence
        if evidence is Evidence.FLAG:
            return self._observe_flag(now, weight) if reading.stable else Verdict.MOVING
        return self._observe_computed(now, weight)

    def _observe_flag(self, now: float, weight: Decimal) -> Verdict:
        self._extend(now, weight)
        enough = self._count >= self.rule.frames and now - self._since >= self.rule.cover_s
        return Verdict.STABLE if enough else Verdict.MOVING

    def _observe_computed(self, now: float, weight: Decimal) -> Verdict:
        self._recent.append(weight)
        middle = sorted(self._recent)[len(self._recent) // 2]
        if self._held:
            self._strayed = self._strayed + 1 if abs(middle - self._entered) > 2 * self._band else 0
            if self._strayed < 2:
                return Verdict.STABLE if abs(weight - self._entered) <= self._band else Verdict.MOVING
            self._restart(now, middle, 1)
            return Verdict.MOVING
        self._extend(now, middle)
        window_s = self.rule.window_s if self.rule.trust_motion else 2 * self.rule.window_s
        if self._count < self.rule.samples or now - self._since < window_s or abs(weight - middle) > self._band:
            return Verdict.MOVING
        self._held, self._strayed, self._entered = True, 0, middle
        return Verdict.STABLE

    def _extend(self, now: float, weight: Decimal) -> None:
        if not self._count:
            self._restart(now, weight, 1)
            return
        if weight < self._low:
            self._low = weight
        elif weight > self._high:
            self._high = weight
        if self._high - self._low > self._band:
            self._restart(now, weight, 1)
        else:
            self._count += 1

    def _restart(self, now: float, weight: Decimal, count: int) -> None:
        self._since, self._count, self._held, self._strayed = now, count, False, 0
        self._low = self._high = weight
