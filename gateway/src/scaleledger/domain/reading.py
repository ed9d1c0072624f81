"""What a scale says: one immutable fact per frame.

A number is never invented: a frame that shows overload, underload or an error has no weight, and `stable` is None where
the protocol carries no motion flag. Weights are Decimal exactly as printed ("75.50" keeps its zero).
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class Status(StrEnum):
    """Whether the frame holds a weight, and if not, why."""

    OK = "ok"
    OVERLOAD = "overload"
    UNDERLOAD = "underload"
    ERROR = "error"
    NO_SIGNAL = "no-signal"


class Role(StrEnum):
    """Which weight the indicator shows. A tare is never a weighing."""

    GROSS = "gross"
    NET = "net"
    TARE = "tare"


@dataclass(frozen=True, slots=True)
class Reading:
    """One frame of an indicator.

    `weight` is None unless `status` is OK; `unit` is the text the field uses ("kg", "g", "lb", …), None when the frame
    does not say; `stable` is the indicator's own motion flag, None when it sends none; `raw` holds the frame's bytes.
    """

    weight: Decimal | None
    unit: str | None
    stable: bool | None
    status: Status = Status.OK
    role: Role | None = None
    raw: bytes = b""

    def __post_init__(self) -> None:
        assert (self.weight is None) != (self.status is Status.OK), "a weight exactly when the status is ok"
