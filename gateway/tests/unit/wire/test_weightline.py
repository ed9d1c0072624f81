from decimal import Decimal
from itertools import product

import pytest

from scaleledger.domain.inputs import Problem
from scaleledger.domain.reading import Reading, Role, Status
from scaleledger.drivers import open_driver
from scaleledger.wire import weightline


@pytest.mark.parametrize("head", ["ST,GS,", "ST,GS", "ST, GS, ", "ST , GS ,", "\x02ST,GS,", "ST,G ,", "ST,G,"])
def test_every_spelling_of_a_weight_reads_the_same(head):
    signs = ["", "+", "-", " -", "-  ", "+   "]
    numbers = ["12.50", "12,50", "0012.50", "    12.50"]
    units = ["kg", " kg", "KG", " _kg", "kg   ", "kg\x03", ",kg"]
    for sign, number, unit in product(signs, numbers, units):
        line = f"{head}{sign}{number}{unit}".encode("ascii")
        weight = Decimal("-12.50") if "-" in sign else Decimal("12.50")
        assert weightline.decode(line) == Reading(weight, "kg", stable=True, role=Role.GROSS, raw=line)
        assert str(weightline.decode(line).weight) == str(weight)


@pytest.mark.parametrize(("header", "stable"), [("ST", True), ("US", False), ("QT", True), ("HD", False), ("WT", None)])
def test_only_the_indicators_own_word_makes_a_weight_stable(header, stable):
    assert weightline.decode(f"{header},NT,+  1.0kg".encode()).stable is stable


@pytest.mark.parametrize(
    ("kind", "role"), [("GS", "gross"), ("N ", "net"), ("TR", "tare"), ("T ", "tare"), ("PT", "tare")]
)
def test_roles(kind, role):
    assert weightline.decode(f"ST,{kind},+  1.0kg".encode()).role == role


@pytest.mark.parametrize(
    ("line", "status", "unit"),
    [
        ("OL,GS,+ 99.9kg", Status.OVERLOAD, "kg"),
        ("OL , -------", Status.OVERLOAD, None),
        ("OL,GS,", Status.OVERLOAD, None),
        ("UL,GS,-------kg", Status.UNDERLOAD, "kg"),
        ("LO,GS,       kg", Status.ERROR, "kg"),
        ("ST,GS,+------kg", Status.OVERLOAD, "kg"),
        ("US,GS,  OL   kg", Status.OVERLOAD, "kg"),
        ("US,GS,  UL   kg", Status.UNDERLOAD, "kg"),
        ("ST,GS,  ---.- kg", Status.OVERLOAD, "kg"),
        ("US,GS,        kg", Status.OVERLOAD, "kg"),
    ],
)
def test_out_of_range_has_no_weight_and_says_nothing_of_motion(line, status, unit):
    reading = weightline.decode(line.encode())
    assert (reading.weight, reading.stable, reading.status, reading.unit) == (None, None, status, unit)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "bad-line"),
        (b"ST,GS,", "bad-line"),
        (b"ST,GS", "bad-line"),
        (b"S    20.7g  ", "bad-line"),
        (b" 20.0 k", "bad-line"),
        (b"T,GS,+ 20.0kg", "bad-line"),
        (b"st,gs,+ 20.0kg", "bad-line"),
        (b"ST,GX,+ 20.0kg", "bad-line"),
        (b"ST,GS,+-20.0kg", "bad-line"),
        (b"ST,GS,+20 .0kg", "bad-line"),
        (b"ST,GS,+20.0kgST,GS,+20.0kg", "bad-line"),
        (b"ST,GS,+20.0kg 3", "bad-line"),
        (b"ST,GS,01,+20.0kg", "bad-line"),
        (b"ST,GS,+2.0.0kg", "bad-number"),
        (b"ST,GS,+12345678901234567kg", "bad-number"),
        (b"ST,GS,+20.0", "no-unit"),
        (b"ST,GS,+20.0k", "bad-unit"),
        (b"ST,TN,+  20", "total"),
    ],
)
def test_a_line_that_is_not_exactly_one_is_a_problem(line, reason):
    assert weightline.decode(line) == Problem(reason, line)


def test_an_indicator_that_prints_no_unit_can_be_given_one():
    assert open_driver("st-gs-comma", unit="kg").receive(0.0, b"ST,GS,+20.0\r\n")[0].unit == "kg"
    assert open_driver("st-gs-comma", unit="kg").receive(0.0, b"ST,GS,+20.0 g\r\n")[0].unit == "g"


def test_a_parity_bit_in_each_byte_can_be_dropped():
    with_parity = bytes(b | 0x80 if b.bit_count() % 2 else b for b in b"ST , +000053.26 _kg\r\n")
    assert str(open_driver("fg-150kal", seven_bits=True).receive(0.0, with_parity)[0].weight) == "53.26"
    facts = open_driver("fg-150kal").receive(0.0, with_parity)
    assert all(isinstance(fact, Problem) for fact in facts)


def test_a_display_at_rest_is_decoded_once():
    driver = open_driver("st-gs-comma")
    first = driver.receive(0.0, b"ST,GS,+20.0kg\r\n")
    assert driver.receive(0.1, b"ST,GS,+20.0kg\r\n")[0] is first[0]
    for n in range(100):
        driver.receive(0.2, b"ST,GS,+%d.0kg\r\n" % n)
    assert len(driver._meaning) <= 8


@pytest.mark.parametrize(
    "unsayable",
    [
        Reading(Decimal(1), "kg", stable=None),
        Reading(Decimal(1), None, stable=True),
        Reading(None, None, None, Status.NO_SIGNAL),
    ],
)
def test_a_line_cannot_say_everything(unsayable):
    with pytest.raises(ValueError, match="cannot say"):
        weightline.columns(unsayable)
