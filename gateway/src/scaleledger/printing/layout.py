"""Where the words of a document stand on a line of so many columns: the same for slips and labels."""

from scaleledger.printing.document import Align, Element, Line, Pair, Rule
from scaleledger.printing.lettering import Lettering


def rows_of(element: Element, letters: Lettering, columns: int) -> list[Line]:
    """The printed lines of a text, a pair or a rule, cleaned, none wider than `columns` (half of it at size 2)."""
    match element:
        case Line(text, align, size, bold):
            return [Line(row, align, size, bold) for row in letters.wrap(letters.clean(text), columns // size)]
        case Pair(name, value, bold):
            return [
                Line(row, align, bold=bold)
                for row, align in _pair(letters.clean(name), letters.clean(value), letters, columns)
            ]
        case Rule(character):
            return [Line((character if character in "-=_." else "-") * columns)]
        case _:
            raise AssertionError(f"{element} has no lines of text")


def padded(row: Line, letters: Lettering, columns: int) -> str:
    """The row's text with blanks before it, so that it stands where it should on a line of `columns` at size 1."""
    free = columns - letters.columns(row.text) * row.size
    before = {Align.LEFT: 0, Align.CENTRE: free // 2, Align.RIGHT: free}[row.align]
    return " " * max(before // row.size, 0) + row.text


def _pair(name: str, value: str, letters: Lettering, columns: int) -> list[tuple[str, Align]]:
    free = columns - letters.columns(name) - letters.columns(value)
    if free >= 1:
        return [(name + " " * free + value, Align.LEFT)]
    return [
        *((row, Align.LEFT) for row in letters.wrap(name, columns)),
        *((row, Align.RIGHT) for row in letters.wrap(value, columns)),
    ]
