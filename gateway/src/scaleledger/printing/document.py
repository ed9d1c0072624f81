"""What is to be printed, whoever prints it: lines of text, a weight, rules, a barcode, a cut.

A document knows nothing of printers; `escpos` makes a slip of it, `tspl` a label. Its texts may hold anything: what a
printer would obey is taken out where the bytes are made (`lettering`).
"""

import re
from dataclasses import dataclass
from enum import StrEnum

LINES_MAX = 200
_BARCODE = re.compile(r"[0-9A-Za-z ./+%*:_-]{1,30}")


class Align(StrEnum):
    """Where a line stands."""

    LEFT = "left"
    CENTRE = "centre"
    RIGHT = "right"


@dataclass(frozen=True, slots=True)
class Line:
    """One text. `size` 2 is twice as wide and high. A long one is wrapped."""

    text: str
    align: Align = Align.LEFT
    size: int = 1
    bold: bool = False


@dataclass(frozen=True, slots=True)
class Pair:
    """A name at the left edge and what it says at the right one; below each other where they do not fit."""

    name: str
    value: str
    bold: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """A line across, made of one character of ASCII."""

    character: str = "-"


@dataclass(frozen=True, slots=True)
class Gap:
    """Empty lines."""

    lines: int = 1


@dataclass(frozen=True, slots=True)
class Barcode:
    """Code 128 with its text below it. What cannot be one is printed as text."""

    text: str

    @property
    def fits(self) -> bool:
        """Whether the text can be a barcode: 1 to 30 letters, digits and a few signs of ASCII."""
        return _BARCODE.fullmatch(self.text) is not None


Element = Line | Pair | Rule | Gap | Barcode


@dataclass(frozen=True, slots=True)
class Document:
    """Elements from top to bottom. `cut`: the paper is cut behind it, where the printer can. ValueError if it is too long."""

    elements: tuple[Element, ...]
    cut: bool = True

    def __post_init__(self) -> None:
        if len(self.elements) > LINES_MAX:
            raise ValueError(f"a document has at most {LINES_MAX} lines, not {len(self.elements)}")
