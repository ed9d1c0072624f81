"""`plu.txt` for the USB stick of a DP-401 label scale. Unverified: no real file of a scale was at hand.

One product a line, CR LF, Windows-1254, fields of fixed width parted by `~`:

    00001~KIYMA           ~000~000000000001~          ~00015~00000000~00000000~01~01~0000~
    number name            dept barcode      lot        price made     sell-by  label unit tare

Number 5, name 16 (filled with blanks), department 3, barcode 12, lot 10, price 5 (in the smallest coin), two dates of 8
(YYYYMMDD, zeros for none), label type 2, unit 2 (01 kg, 00 piece), tare 4 (grams). The scale's documents name further
fields behind these (texts, flags) without their widths: they are left out here. Another of its papers shows another order;
so try the file on one scale first. Source: reference notes on the CarniTrack Edge repository, PLU section.
"""

import unicodedata
from collections.abc import Sequence

from scaleledger.domain.cloud import PluItem
from scaleledger.plu import Written

VERIFIED = False
FILE_NAME = "plu.txt"
CODE_PAGE = "cp1254"
UNITS = {"kg": "01", "piece": "00"}
NAME, PRICE_MAX, TARE_MAX = 16, 99_999, 9_999
NO_DATE = "0" * 8


class _Unfit(Exception):
    """A product has no place in the file; says why."""


def write(items: Sequence[PluItem]) -> Written:
    """The file. A product that has no place in it is named with the reason, and costs the others nothing."""
    lines: list[bytes] = []
    left_out: list[tuple[str, str]] = []
    taken: set[str] = set()
    for item in sorted(items, key=lambda item: (item.number.zfill(5), item.name)):
        try:
            line = _line(item, taken)
        except _Unfit as why:
            left_out.append((item.number, str(why)))
        else:
            lines.append(line)
    return Written(FILE_NAME, b"".join(lines), len(lines), tuple(left_out))


def _line(item: PluItem, taken: set[str]) -> bytes:
    number = _digits(item.number, 5, "number")
    if number in taken:
        raise _Unfit("another product has this number")
    if item.unit not in UNITS:
        raise _Unfit(f"the unit {item.unit!r} is neither kg nor piece")
    if not 0 <= item.price <= PRICE_MAX:
        raise _Unfit(f"the price {item.price} has no place in five digits")
    if not 0 <= item.tare_grams <= TARE_MAX:
        raise _Unfit(f"the tare {item.tare_grams} g has no place in four digits")
    fields = (
        number,
        _name(item.name),
        _digits(item.department or "0", 3, "department"),
        _barcode(item.barcode),
        " " * 10,
        f"{item.price:05}",
        NO_DATE,
        NO_DATE,
        _digits(item.label_type or "1", 2, "label type"),
        UNITS[item.unit],
        f"{item.tare_grams:04}",
    )
    taken.add(number)
    return "".join(f"{field}~" for field in fields).encode(CODE_PAGE) + b"\r\n"


def _digits(text: str, width: int, what: str) -> str:
    if not (text.isascii() and text.isdigit()) or len(text) > width:
        raise _Unfit(f"the {what} {text[:20]!r} is not one to {width} digits")
    return text.zfill(width)


def _barcode(text: str) -> str:
    """Twelve digits; the thirteenth of an EAN-13 is its check digit, which the scale adds by itself."""
    if len(text) == 13 and text.isascii() and text.isdigit() and text[-1] == _ean_check(text[:12]):
        text = text[:12]
    return _digits(text or "0", 12, "barcode")


def _ean_check(twelve: str) -> str:
    total = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(twelve))
    return str(-total % 10)


def _name(text: str) -> str:
    """Sixteen characters of the code page. What it lacks loses its accent or becomes `?`; what would part fields, `-`."""
    shown = []
    for character in unicodedata.normalize("NFC", text):
        if character == "~":
            shown.append("-")
        elif unicodedata.category(character).startswith("C") or character.isspace():
            shown.append(" ")
        else:
            shown.append(_in_page(character))
    name = " ".join("".join(shown).split())[:NAME]
    if not name:
        raise _Unfit("it has no name")
    return name.ljust(NAME)


def _in_page(character: str) -> str:
    bare = unicodedata.normalize("NFKD", character)[0]
    for candidate in (character, bare):
        try:
            candidate.encode(CODE_PAGE)
        except UnicodeEncodeError:
            continue
        return candidate
    return "?"
