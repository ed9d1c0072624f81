r"""Copy this file to add a scale that talks by itself; say here whose scale it is.

    W  0012.34 kg S\r\n          picture of the frame: letter, number, unit, S stable or M moving
                                 and where it comes from: manual and page, or the date of a capture

Then: add the name to NAMES, put its frames into tests/vectors/<name>.jsonl. The shared suite does the rest.
"""

import re

from scaleledger.domain.inputs import Problem
from scaleledger.domain.reading import Reading
from scaleledger.wire import fields
from scaleledger.wire.framing import Lines
from scaleledger.wire.listening import Listening

_LINE = re.compile(rb"W *(-?) *([0-9.]+) *([a-z]+) *([SM])")


def driver() -> Listening:
    return Listening("template", Lines(limit=64), decode)


def decode(line: bytes) -> Reading | Problem:
    """One line without its terminator."""
    match = _LINE.fullmatch(line)
    weight, unit = (fields.magnitude(match[2], match[1]), fields.unit(match[3])) if match else (None, None)
    if match is None or weight is None or unit is None:
        return Problem("bad-line", line)
    return Reading(weight, unit, stable=match[4] == b"S", raw=line)


def encode(reading: Reading) -> bytes:
    """The line the scale sends for `reading`; ValueError if it cannot."""
    if reading.weight is None or reading.stable is None:
        raise ValueError(f"this scale cannot say {reading}")
    sign, digits = fields.printed(reading.weight)
    return f"W {sign.replace('+', '')}{digits} {reading.unit} {'S' if reading.stable else 'M'}\r\n".encode("ascii")
