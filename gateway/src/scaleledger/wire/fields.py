"""The small fields that weighing frames are made of, read strictly: what is not exactly a number or a unit is None.

A wrong weight that looks right is the worst a driver can do, so nothing is repaired: "12." may have lost its last digit,
"1,234.5" may be two fields, "1E5" is not what a scale prints.
"""

import re
from decimal import Decimal

DIGITS_MAX = 16

_NUMBER = re.compile(rb"[0-9]+(?:[.,][0-9]+)?")
_WHOLE = re.compile(rb" *([+-]?[0-9]+) *")

_UNITS = {u.encode(): u for u in ("kg", "g", "lb", "oz", "t", "ct", "gr", "gn", "GN", "pcs", "PC", "%", "N", "mg")} | {
    b"KG": "kg",
    b"Kg": "kg",
    b"LB": "lb",
    b"Lb": "lb",
    b"OZ": "oz",
    b"Oz": "oz",
    b"PCS": "pcs",
    b"Pcs": "pcs",
}


def magnitude(text: bytes, sign: bytes = b"") -> Decimal | None:
    """The decimal that `text` prints, with point or decimal comma, negative if `sign` is b"-"; None if it is no number.

    The digits are kept as printed, behind the point too; minus zero becomes zero.
    """
    if len(text) > DIGITS_MAX or not _NUMBER.fullmatch(text):
        return None
    number = Decimal(text.replace(b",", b".").decode("ascii"))
    return -number if sign == b"-" and number else number


def whole_number(text: bytes) -> int | None:
    """The integer in a blank-padded field, or None."""
    match = _WHOLE.fullmatch(text)
    return int(match[1]) if match else None


def unit(text: bytes) -> str | None:
    """The unit's name as the field uses it, or None for a text that is no known unit. Only unambiguous case is mended."""
    return _UNITS.get(text.strip())


def known_unit(name: str) -> str:
    """`name`, if readings carry a unit of exactly that name; ValueError if not, naming those they do."""
    if name not in _UNITS.values():
        raise ValueError(f"{name!r} is no unit; known are {', '.join(sorted(set(_UNITS.values())))}")
    return name


def printed(weight: Decimal) -> tuple[str, str]:
    """Sign ("+" or "-") and digits of a weight, without exponent."""
    return ("-" if weight < 0 else "+"), format(abs(weight), "f")
