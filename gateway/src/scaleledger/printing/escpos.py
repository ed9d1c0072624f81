r"""Slips in ESC/POS, for receipt printers: the one behind a SUWOL-1000 (TE212, 42 columns, Korean), and those on port 9100.

CAN  ESC @            begin: nothing of an earlier job stays
FS & | FS . ESC t n   Hangul on, or off and a single-byte code page
ESC a n               left, centre, right           GS ! n     normal 00, twice as wide and high 11
ESC E n               bold                          LF         print the line
GS k 73 n {B …        Code 128                      ESC d 4  GS V 0   feed, cut

Everything else that reaches the paper is text of `lettering`.
"""

from scaleledger.domain.commands import PrintDocument
from scaleledger.printing.document import Align, Barcode, Document, Element, Gap, Line
from scaleledger.printing.layout import rows_of
from scaleledger.printing.lettering import Lettering, canonical

COLUMNS, CODEPAGE = 42, "cp949"
BEGIN, CUT, LF = b"\x18\x1b@", b"\x1bd\x04\x1dV\x00", b"\n"
_HANGUL_ON, _HANGUL_OFF = b"\x1c&", b"\x1c."
_ALIGN = {Align.LEFT: b"\x1ba\x00", Align.CENTRE: b"\x1ba\x01", Align.RIGHT: b"\x1ba\x02"}
_TABLES = {  # ESC t n
    "cp437": 0, "cp850": 2, "cp860": 3, "cp863": 4, "cp865": 5, "cp857": 13, "cp1252": 16, "cp866": 17, "cp852": 18,
    "cp858": 19, "cp1250": 45, "cp1251": 46, "cp1253": 47, "cp1254": 48,
}  # fmt: skip
GAP_MAX = 20


def render(document: Document, *, columns: int = COLUMNS, codepage: str = CODEPAGE, copies: int = 1) -> bytes:
    """The document's bytes, `copies` times; lines of `columns` at most. Texts reach the paper, never the printer's mind."""
    letters = Lettering(codepage)
    body = b"".join(_element(element, letters, columns) for element in document.elements)
    return (BEGIN + _page(letters) + body + (CUT if document.cut else b"")) * copies


def marked(content: bytes, word: str, *, columns: int = COLUMNS, codepage: str = CODEPAGE) -> bytes:
    """What `render` gave, with a line above it that says what it is (a copy)."""
    return (
        render(Document((Line(word, Align.CENTRE, 2, bold=True),), cut=False), columns=columns, codepage=codepage)
        + content
    )


def command(document: Document) -> PrintDocument:
    """The document for the printer behind a SUWOL-1000."""
    return PrintDocument(render(document))


def _page(letters: Lettering) -> bytes:
    if letters.is_wide:
        return _HANGUL_ON
    return _HANGUL_OFF + b"\x1bt%c" % _TABLES.get(canonical(letters.codepage), 0)


def _element(element: Element, letters: Lettering, columns: int) -> bytes:
    match element:
        case Gap(lines):
            return LF * min(lines, GAP_MAX)
        case Barcode(text) if element.fits:
            return _ALIGN[Align.CENTRE] + _barcode(text) + _ALIGN[Align.LEFT]
        case Barcode(text):
            return _element(Line(text, Align.CENTRE), letters, columns)
    return b"".join(_row(row, letters) for row in rows_of(element, letters, columns))


def _row(row: Line, letters: Lettering) -> bytes:
    text = letters.encode(row.text) + LF
    if row.bold:
        text = b"\x1bE\x01" + text + b"\x1bE\x00"
    if row.size == 2:
        text = b"\x1d!\x11" + text + b"\x1d!\x00"
    if row.align is not Align.LEFT:
        text = _ALIGN[row.align] + text + _ALIGN[Align.LEFT]
    return text


def _barcode(text: str) -> bytes:
    coded = b"{B" + text.encode("ascii")
    return b"\x1dh\x50\x1dw\x02\x1dH\x02\x1dkI%c" % len(coded) + coded + LF
