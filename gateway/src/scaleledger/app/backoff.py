"""Waiting longer after each failure, at random, so that a thousand gateways do not come back in the same second."""

import random
from dataclasses import dataclass, field


@dataclass(slots=True)
class Backoff:
    """Full jitter: each wait is drawn from 0 to a ceiling that doubles from `first_s` up to `cap_s`."""

    rng: random.Random
    first_s: float = 0.5
    cap_s: float = 60.0
    failures: int = field(default=0, init=False)

    def next_s(self) -> float:
        """Note one more failure and say how long to wait."""
        ceiling = min(self.cap_s, self.first_s * 2 ** min(self.failures, 30))
        self.failures += 1
        return self.rng.uniform(0.0, ceiling)

    def reset(self) -> None:
        """It worked: the next failure waits as briefly as the first."""
        self.failures = 0
