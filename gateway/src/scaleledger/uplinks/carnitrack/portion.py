"""How much is offered at a time: halved whenever a delivery failed, doubled when one went through. No I/O, no clock.

So one event that the cloud chokes on is soon offered alone, and can be told to be the cause.
"""

from dataclasses import dataclass

from scaleledger.uplinks.carnitrack.protocol import FIRST_BATCH

PARTS_A_DELIVERY = 4


@dataclass(slots=True)
class Portion:
    """`size` events a part, at most `most`, which the cloud may raise."""

    most: int = FIRST_BATCH
    size: int = FIRST_BATCH

    @property
    def whole(self) -> bool:
        """Whether all goes well."""
        return self.size >= min(self.most, FIRST_BATCH)

    @property
    def batch_limit(self) -> int:
        """Events a delivery: several parts while all goes well."""
        return PARTS_A_DELIVERY * self.size if self.whole else self.size

    def fail(self) -> None:
        """A delivery failed."""
        self.size = max(1, self.size // 2)

    def succeed(self) -> None:
        """A delivery went through."""
        self.size = min(self.size * 2, self.most)
