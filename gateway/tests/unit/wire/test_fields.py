from decimal import Decimal

import pytest

from scaleledger.wire import checksum, fields


@pytest.mark.parametrize(
    ("text", "sign", "printed"),
    [
        (b"000053.26", b"+", "53.26"),
        (b"75.50", b"", "75.50"),
        (b"635,5", b"-", "-635.5"),
        (b"0012450", b"", "12450"),
        (b"0.00", b"-", "0.00"),
        (b"9999999999999999", b"", "9999999999999999"),
    ],
)
def test_a_number_keeps_its_digits(text, sign, printed):
    assert str(fields.magnitude(text, sign)) == printed


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b".",
        b"12.",
        b".5",
        b"1E5",
        b"NaN",
        b"Infinity",
        b"1,234.5",
        b"1.2.3",
        b"1 2",
        b"-1",
        b"1_0",
        b"0x1",
        b"1" * 17,
        "١٢".encode(),
        b"\xb2",
        b"12\n",
    ],
)
def test_what_is_not_exactly_a_number_is_none(text):
    assert fields.magnitude(text) is None


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        (b" kg", "kg"),
        (b"KG", "kg"),
        (b"Kg ", "kg"),
        (b"GN", "GN"),
        (b"gn", "gn"),
        (b"%", "%"),
        (b"PC", "PC"),
        (b"k", None),
        (b"", None),
        (b"kgs", None),
        (b"T", None),
    ],
)
def test_units(text, unit):
    assert fields.unit(text) == unit


@pytest.mark.parametrize(("text", "number"), [(b"025", 25), (b"-05", -5), (b" 7 ", 7), (b"   ", None), (b"2 5", None)])
def test_whole_numbers(text, number):
    assert fields.whole_number(text) == number


def test_printed_numbers_have_no_exponent():
    assert fields.printed(Decimal("1E+3")) == ("+", "1000")
    assert fields.printed(Decimal("-0.50")) == ("-", "0.50")
    assert fields.printed(Decimal("-0")) == ("+", "0")


def test_check_values():
    assert checksum.xor(bytes.fromhex("62E3086CED")) == 0x08
    assert checksum.sum8(bytes.fromhex("2E00AF0EC9")) == 0xB4
    assert checksum.xor(b"") == checksum.sum8(b"") == 0
