r"""Weight lines without a comma after the second header.

    ST,GS    85.5g  \r\n         status , role, sign (blank or -), number right-aligned in 8, unit padded to 3

Captured from T-Scale NHB indicators, where trailing blanks follow a short unit; the sign may be glued to the header
(`ST,GS-     2.5kg`). Sources: see `wire.weightline`.
"""

from functools import partial

from scaleledger.domain.reading import Reading
from scaleledger.wire import fields, weightline
from scaleledger.wire.framing import Lines
from scaleledger.wire.listening import Listening


def driver(*, unit: str | None = None, seven_bits: bool = False) -> Listening:
    """`unit`: the unit of an indicator that prints none; ValueError for a text that is no unit."""
    return Listening(
        "st-gs-nocomma",
        Lines(),
        partial(weightline.decode, unit=None if unit is None else fields.known_unit(unit)),
        salvage=weightline.behind_noise,
        seven_bits=seven_bits,
    )


def encode(reading: Reading) -> bytes:
    """The line an indicator sends for `reading`; ValueError if it cannot."""
    status, role, sign, digits, unit = weightline.columns(reading)
    return f"{status},{role}{sign.replace('+', ' ')}{digits:>8}{unit:<3}\r\n".encode("ascii")
