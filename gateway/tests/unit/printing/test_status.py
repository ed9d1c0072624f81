"""Status bytes of printers, read as people would read the lamps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaleledger.domain.printing import FAULT_WORDS, Condition, Fault, PrinterState, Warning  # noqa: A004
from scaleledger.printing import escpos_status, tspl_status

READY = PrinterState(Condition.READY)


@pytest.mark.parametrize(
    ("byte", "state"),
    [
        (0x00, READY),
        (0x20, PrinterState(Condition.PRINTING)),
        (0x01, PrinterState(Condition.STOPPED, (Fault.HEAD_OPEN,))),
        (0x02, PrinterState(Condition.STOPPED, (Fault.PAPER_JAM,))),
        (0x04, PrinterState(Condition.STOPPED, (Fault.NO_PAPER,))),
        (0x05, PrinterState(Condition.STOPPED, (Fault.HEAD_OPEN, Fault.NO_PAPER))),
        (0x08, PrinterState(Condition.STOPPED, (Fault.NO_RIBBON,))),
        (0x10, PrinterState(Condition.STOPPED, (Fault.PAUSED,))),
        (0x80, PrinterState(Condition.STOPPED, (Fault.OTHER,))),
        (0xC0, PrinterState(Condition.STOPPED, (Fault.OTHER,))),
        (0x24, PrinterState(Condition.STOPPED, (Fault.NO_PAPER,))),
    ],
)
def test_the_one_byte_of_a_label_printer(byte, state):
    assert tspl_status.read_status(bytes([byte])) == state


@pytest.mark.parametrize(
    ("four", "state"),
    [
        (b"@@@@", READY),
        (b"P@@@", PrinterState(Condition.PRINTING)),
        (b"@A@@", PrinterState(Condition.READY, (), (Warning.PAPER_LOW,))),
        (b"@C@@", PrinterState(Condition.READY, (), (Warning.PAPER_LOW, Warning.RIBBON_LOW))),
        (b"@@A@", PrinterState(Condition.STOPPED, (Fault.OVERHEATED,))),
        (b"@@H@", PrinterState(Condition.STOPPED, (Fault.CUTTER,))),
        (b"@@@A", PrinterState(Condition.STOPPED, (Fault.NO_PAPER,))),
        (b"@@@`", PrinterState(Condition.STOPPED, (Fault.HEAD_OPEN,))),
        (b"`@@@", PrinterState(Condition.STOPPED, (Fault.PAUSED,))),
        (b"E@@@", PrinterState(Condition.STOPPED, (Fault.OTHER,))),
    ],
)
def test_the_eight_bytes_of_a_label_printer(four, state):
    frame = b"\x02" + four + b"\x03\r\n"
    assert tspl_status.read_details(frame) == state
    assert tspl_status.read_details(b"\x00\x20" + frame) == state
    assert tspl_status.read_details(frame[:-1]) is None


def test_the_model_is_one_line_and_what_cannot_be_printed_is_left_out():
    assert tspl_status.read_model(b"TE212") is None
    assert tspl_status.read_model(b"TE\x1b21\x002\r\nmore") == "TE212"
    assert len(tspl_status.read_model(b"x" * 100)) == 60


@pytest.mark.parametrize(
    ("three", "state"),
    [
        (b"\x12\x12\x12", READY),
        (b"\x12\x12\x1e", PrinterState(Condition.READY, (), (Warning.PAPER_LOW,))),
        (b"\x1a\x32\x72", PrinterState(Condition.STOPPED, (Fault.NO_PAPER,))),
        (b"\x1a\x16\x12", PrinterState(Condition.STOPPED, (Fault.HEAD_OPEN,))),
        (b"\x1a\x12\x12", PrinterState(Condition.STOPPED, (Fault.PAUSED,))),
        (b"\x1a\x52\x12", PrinterState(Condition.STOPPED, (Fault.OTHER,))),
    ],
)
def test_the_three_bytes_of_a_slip_printer(three, state):
    assert escpos_status.read_status(three) == state
    assert escpos_status.read_status(b"\x11" + three + b"\x13") == state, "flow control is no answer"
    assert escpos_status.read_status(three[:2]) is None
    assert escpos_status.read_status(b"\x12\x32\x72" + three) == state, "a late answer stands before it"


@given(st.binary(max_size=40))
def test_any_bytes_at_all_are_read_without_a_mistake(answer):
    for read in (tspl_status.read_status, tspl_status.read_details, escpos_status.read_status):
        state = read(answer)
        assert state is None or (state.condition is Condition.STOPPED) == bool(state.faults)
    tspl_status.read_model(answer)


def test_every_fault_has_words_that_say_what_to_do():
    assert FAULT_WORDS.keys() == set(Fault)
