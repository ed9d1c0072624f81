r"""Weight lines with a comma after the second header.

    ST,GS,+  12.345kg\r\n        status , role , sign, number right-aligned in 8, unit

Many bench and floor indicators (CAS CI, T-Scale QHW, Keli, Jadever, KERN KXS). Sources: see `wire.weightline`.
"""

from functools import partial

from scaleledger.domain.reading import Reading
from scaleledger.wire import fields, weightline
from scaleledger.wire.framing import Lines
from scaleledger.wire.listening import Listening


def driver(*, unit: str | None = None, seven_bits: bool = False) -> Listening:
    """`unit`: the unit of an indicator that prints none; ValueError for a text that is no unit."""
    return Listening(
        "st-gs-comma",
        Lines(),
        partial(weightline.decode, unit=None if unit is None else fields.known_unit(unit)),
        salvage=weightline.behind_noise,
        seven_bits=seven_bits,
    )


def encode(reading: Reading) -> bytes:
    """The line an indicator sends for `reading`; ValueError if it cannot."""
    status, role, sign, digits, unit = weightline.columns(reading)
    head = f"{status},{role}," if role else f"{status},"
    return f"{head}{sign}{digits:>8}{unit}\r\n".encode("ascii")
