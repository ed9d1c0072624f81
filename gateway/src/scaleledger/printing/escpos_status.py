"""What an ESC/POS printer says of itself: DLE EOT n, one byte each, in order, answered even while it prints.

n=1   08 off line                        n=2   04 cover open, 20 stopped by the end of the paper, 40 error
n=4   0C paper near its end, 60 at it    each  bits 93 are 12: what is not so is no answer (XON, XOFF)

It does not say whether it is printing.
"""

from scaleledger.domain.printing import Condition, Fault, PrinterState, Warning  # noqa: A004
from scaleledger.printing.question import Question

_FIXED, _FIXED_VALUE = 0x93, 0x12
ANSWERS = 3


def read_status(answer: bytes) -> PrinterState | None:
    """The three answers as one state."""
    said = [byte for byte in answer if byte & _FIXED == _FIXED_VALUE]
    if len(said) < ANSWERS:
        return None
    whole = len(said) // ANSWERS * ANSWERS  # a late answer may stand before this one
    printer, cause, paper = said[whole - ANSWERS : whole]
    faults = []
    if cause & 0x20 or paper & 0x60:
        faults.append(Fault.NO_PAPER)
    if cause & 0x04:
        faults.append(Fault.HEAD_OPEN)
    if cause & 0x40:
        faults.append(Fault.OTHER)
    if printer & 0x08 and not faults:
        faults.append(Fault.PAUSED)
    warnings = (Warning.PAPER_LOW,) if paper & 0x0C else ()
    return PrinterState(Condition.STOPPED if faults else Condition.READY, tuple(faults), warnings)


STATUS = Question(b"\x10\x04\x01\x10\x04\x02\x10\x04\x04", read_status)
