"""When the next weighing may begin: one load gives one record.

After a capture the station is SPENT; a rule arms it again. After a start nothing is known of the load: UNKNOWN arms at
zero only, and a load that equals the last capture is taken for the same load. A lost link changes nothing: what was
SPENT stays SPENT, so the same load seen again after the link returns gives no second record.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class ArmState(StrEnum):
    """Whether a stable load may be captured."""

    UNKNOWN = "unknown"
    ARMED = "armed"
    SPENT = "spent"


class RearmRule(StrEnum):
    """What arms the station again: an empty scale; the load halved (animals, lorries in a queue); a clear change of load
    (boxes added one by one); or a person.
    """

    ZERO = "zero"
    DROP = "drop"
    DELTA = "delta"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class Limits:
    """In the readings' unit: the division d, the smallest load that is a weighing, how long a condition must hold."""

    division: Decimal
    min_weight: Decimal
    dwell_s: float = 0.5

    @property
    def zero(self) -> Decimal:
        """A scale that shows at most this is empty."""
        return max(3 * self.division, self.min_weight / 4)

    @property
    def same(self) -> Decimal:
        """Two weights that differ by at most this may be the same load."""
        return 3 * self.division


class Rearm:
    """Follows one station's load. `observe` every valid weight; `spend` at a capture."""

    def __init__(self, rule: RearmRule, limits: Limits, captured: Decimal | None = None) -> None:
        self.rule = rule
        self.limits = limits
        self.state = ArmState.UNKNOWN
        self.captured = captured
        self._since: float | None = None

    def spend(self, weight: Decimal) -> None:
        """A load of this weight was captured."""
        self.state, self.captured, self._since = ArmState.SPENT, weight, None

    def arm(self) -> None:
        """A person says that the next load is another one."""
        self.state, self._since = ArmState.ARMED, None

    def observe(self, now: float, weight: Decimal) -> bool:
        """Take a valid weight, moving or not. True at the moment the station becomes armed."""
        if self.state is ArmState.ARMED:
            return False
        if self.state is ArmState.UNKNOWN and self.captured is not None and self._is_same(weight):
            self.state = ArmState.SPENT
        if not self._met(weight):
            self._since = None
            return False
        if self._since is None:
            self._since = now
        if now - self._since < self.limits.dwell_s:
            return False
        self.arm()
        return True

    def link_lost(self) -> None:
        """No weight was seen for a while: what had begun to hold must hold anew."""
        self._since = None

    def _is_same(self, weight: Decimal) -> bool:
        return (
            self.captured is not None and abs(weight - self.captured) <= self.limits.same and weight > self.limits.zero
        )

    def _met(self, weight: Decimal) -> bool:
        empty = abs(weight) <= self.limits.zero
        if self.rule is RearmRule.MANUAL:
            return empty and self.state is ArmState.UNKNOWN
        if empty or self.captured is None:
            return empty
        if self.rule is RearmRule.DROP:
            return weight <= self.captured / 2
        if self.rule is RearmRule.DELTA:
            return abs(weight - self.captured) >= max(self.limits.min_weight, 5 * self.limits.division)
        return False
