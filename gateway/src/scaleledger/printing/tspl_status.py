r"""What a TSPL printer says of itself.

    ESC ! ?   1 byte: bits 01 head open, 02 jam, 04 no paper, 08 no ribbon, 10 paused, 20 printing, 80 other; 00 ready
    ESC ! S   STX m w e p ETX CR LF, each of the four 40 when all is well:
              m   P W F B C printing, ` paused, E error        w   01 paper low, 02 ribbon low
              e   01 head hot, 02 motor hot, 04 head, 08 cutter, 10 memory
              p   01 no paper, 02 jam, 04 no ribbon, 08 ribbon jam, 20 head open
    ~!T       the model, as text

There is no job number and no word that a job came out: it did when the printer says ready several times in a row.
"""

from scaleledger.domain.printing import Condition, Fault, PrinterState, Warning  # noqa: A004
from scaleledger.printing.question import Question

_STOPPED = {
    0x01: Fault.HEAD_OPEN,
    0x02: Fault.PAPER_JAM,
    0x04: Fault.NO_PAPER,
    0x08: Fault.NO_RIBBON,
    0x10: Fault.PAUSED,
    0x40: Fault.OTHER,
    0x80: Fault.OTHER,
}
_PRINTING = 0x20
_DETAILS_SIZE, STX, END = 8, 0x02, b"\x03\r\n"
_WARNINGS = {0x01: Warning.PAPER_LOW, 0x02: Warning.RIBBON_LOW}
_ERRORS = {
    0x01: Fault.OVERHEATED,
    0x02: Fault.OVERHEATED,
    0x04: Fault.HEAD,
    0x08: Fault.CUTTER,
    0x10: Fault.MEMORY,
}
_PAPER = {
    0x01: Fault.NO_PAPER,
    0x02: Fault.PAPER_JAM,
    0x04: Fault.NO_RIBBON,
    0x08: Fault.RIBBON_JAM,
    0x20: Fault.HEAD_OPEN,
}
MODEL_MAX = 60


def read_status(answer: bytes) -> PrinterState | None:
    """The newest byte, as older ones are older news."""
    if not answer:
        return None
    byte = answer[-1]
    faults = tuple(dict.fromkeys(fault for bit, fault in _STOPPED.items() if byte & bit))
    if faults:
        return PrinterState(Condition.STOPPED, faults)
    return PrinterState(Condition.PRINTING if byte & _PRINTING else Condition.READY)


def read_details(answer: bytes) -> PrinterState | None:
    """The eight bytes, wherever they begin."""
    for start in range(len(answer) - _DETAILS_SIZE + 1):
        frame = answer[start : start + _DETAILS_SIZE]
        if frame[0] == STX and frame[5:] == END and all(byte >= 0x40 for byte in frame[1:5]):
            return _details(*frame[1:5])
    return None


def read_model(answer: bytes) -> str | None:
    """The text up to the end of its line, what cannot be printed left out."""
    line, end, _ = answer.replace(b"\r", b"\n").partition(b"\n")
    if not end and len(answer) < MODEL_MAX:
        return None
    text = line[:MODEL_MAX].decode("ascii", "replace")
    return "".join(c for c in text if c.isprintable() and c.isascii()).strip()


def _details(message: int, warning: int, error: int, paper: int) -> PrinterState:
    warnings = tuple(word for bit, word in _WARNINGS.items() if warning & bit)
    found = [fault for bit, fault in _PAPER.items() if paper & bit]
    found += [fault for bit, fault in _ERRORS.items() if error & bit]
    if message == ord("`"):
        found.append(Fault.PAUSED)
    if message == ord("E") and not found:
        found.append(Fault.OTHER)
    if found:
        return PrinterState(Condition.STOPPED, tuple(dict.fromkeys(found)), warnings)
    busy = chr(message) in "PWFBC"
    return PrinterState(Condition.PRINTING if busy else Condition.READY, (), warnings)


STATUS = Question(b"\x1b!?", read_status)
DETAILS = Question(b"\x1b!S", read_details)
MODEL = Question(b"~!T", read_model)
