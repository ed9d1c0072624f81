r"""DP-401: a scale that prints labels, dials in over TCP through its Wi-Fi module, and sends each weighing by itself.

    SCALE-01  HB  KONTROLLU AKTAR OK?                  name, sign of life, "was it kept?": without a line's end
    00001,10:30:00,30.01.2026,KIYMA           ,000000000004,0000,KAAN,0000072091,0000062415,0000009676,2,0,2,1,N,KORKUT\r\n
    OK\n                                               the only answer: what was sent is durable

The line's layout: `wire.dp401_line`; where messages begin and end: `wire.dp401_stream`. The scale sends a weighing, asks, and
after the OK sends the same line again with P or P" in front, the label's copy. This driver says OK only when it is told to
acknowledge: once for each time.
"""

import re

from scaleledger.domain.commands import Acknowledge, Command
from scaleledger.domain.inputs import AckAsked, Fact, FinishedWeighing, Heartbeat, Registration
from scaleledger.wire.dp401_line import Layout
from scaleledger.wire.dp401_stream import Dp401Stream

NAME = "dp401-csv"
OK = b"OK\n"
ANSWERS_MAX = 1024


def driver(*, unit: str | None = None, decimals: int = 0, codepage: str = "windows-1254") -> "Dp401":
    """`unit`: "g" or "kg", what the scale is set to, which its lines do not say; without it weighings have none. `decimals`:
    how many of the digits stand behind the point. `codepage`: that of the texts. ValueError for other values.
    """
    return Dp401(Layout(unit, decimals, codepage))


def encode(fact: Fact, *, decimals: int = 0, codepage: str = "windows-1254") -> bytes:
    """What a scale sends to say `fact`; ValueError for what it cannot say."""
    match fact:
        case Registration(device):
            if not re.fullmatch("SCALE-[0-9]{2}", device):
                raise ValueError(f"a DP-401 registers as SCALE- and two digits, not {device!r}")
            return device.encode("ascii")
        case Heartbeat():
            return b"HB"
        case AckAsked():
            return b"KONTROLLU AKTAR OK?"
        case FinishedWeighing():
            return Layout(None, decimals, codepage).encode(fact)
        case _:
            raise ValueError(f"a DP-401 cannot say {fact}")


class Dp401:
    """One link's driver. It has no timers: the scale speaks when it likes, and answers wait for nothing."""

    name = NAME
    understands: frozenset[type[Command]] = frozenset({Acknowledge})

    def __init__(self, layout: Layout) -> None:
        self._stream = Dp401Stream(layout)
        self._due = b""

    @property
    def buffered(self) -> int:
        """Bytes held back until it is known what they are."""
        return self._stream.buffered

    def receive(self, now: float, data: bytes) -> list[Fact]:  # noqa: ARG002 - the contract's signature
        return self._stream.feed(data)

    def get_timer(self) -> float | None:
        return None

    def handle_timer(self, now: float) -> list[Fact]:  # noqa: ARG002 - the contract's signature
        return []

    def ask(self, command: Command) -> None:
        if isinstance(command, Acknowledge) and len(self._due) < ANSWERS_MAX * len(OK):
            self._due += OK

    def to_send(self) -> bytes:
        due, self._due = self._due, b""
        return due

    def finish(self) -> list[Fact]:
        return self._stream.finish()
