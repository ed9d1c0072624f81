r"""Labels in TSPL, for network label printers: commands are lines that end in CR LF; with LF alone nothing is printed.

    SIZE 58 mm,40 mm      GAP 2 mm,0 mm      DIRECTION 1      CODEPAGE 1254      CLS
    TEXT x,y,"2",0,1,1,"…"                   dots; font 2 is 12 × 20 dots, font K 24 × 24 for Hangul
    BARCODE x,y,"128",60,1,0,2,2,"…"
    PRINT 1,n                                n copies

A text stands in quotes, and `\[` and `~!` begin commands even there: `"`, `\` and `~` of a text are replaced.
"""

import re
from dataclasses import dataclass

from scaleledger.printing.document import Align, Barcode, Document, Element, Gap, Line
from scaleledger.printing.layout import padded, rows_of
from scaleledger.printing.lettering import Lettering, canonical

CODEPAGE = "windows-1254"
DOTS_PER_MM = 8
MARGIN, CELL, BARCODE_DOTS = 16, 12, 60
RESERVED = {'"': "'", "\\": "/", "~": "-"}
_TABLES = {
    "cp437": "437", "cp850": "850", "cp852": "852", "cp857": "857", "cp860": "860", "cp863": "863", "cp865": "865",
    "cp1250": "1250", "cp1251": "1251", "cp1252": "1252", "cp1253": "1253", "cp1254": "1254", "utf_8": "UTF-8",
    "cp949": "949", "euc_kr": "949",
}  # fmt: skip
_PRINT = re.compile(rb"^[ \t]*PRINT[ \t]+(\d{1,6})(?:[ \t]*,[ \t]*(\d{1,6}))?[ \t]*\r?$", re.MULTILINE | re.IGNORECASE)
_BINARY = re.compile(r"^\s*(BITMAP|DOWNLOAD)\b", re.MULTILINE | re.IGNORECASE)
_OWN_PRINT = b"\r\nPRINT "


@dataclass(frozen=True, slots=True)
class LabelSize:
    """A label's width and height, and the gap to the next, in millimetres."""

    width_mm: int = 58
    height_mm: int = 40
    gap_mm: int = 2

    @property
    def columns(self) -> int:
        """Characters on a line."""
        return max((self.width_mm * DOTS_PER_MM - 2 * MARGIN) // CELL, 8)

    @property
    def dots_high(self) -> int:
        """From the top edge to the lowest line, which is kept for the word that marks a copy."""
        return self.height_mm * DOTS_PER_MM - MARGIN - 28


def render(document: Document, size: LabelSize | None = None, *, codepage: str = CODEPAGE, copies: int = 1) -> bytes:
    """The document on as many labels as it needs, each `copies` times. Texts reach the label, never the printer's mind."""
    size = size or LabelSize()
    letters = Lettering(codepage, RESERVED)
    labels: list[list[bytes]] = [[]]
    y = MARGIN
    for element in document.elements:
        for command, height in _commands(element, letters, size.columns):
            if y + height > size.dots_high and labels[-1]:
                labels.append([])
                y = MARGIN
            if command:
                labels[-1].append(command.replace(b"%Y", b"%d" % y, 1))
            y += height
    head = [b"SIZE %d mm,%d mm" % (size.width_mm, size.height_mm), b"GAP %d mm,0 mm" % size.gap_mm, b"DIRECTION 1"]
    if (table := _TABLES.get(canonical(codepage))) is not None:
        head.append(b"CODEPAGE " + table.encode("ascii"))
    lines = head + [line for label in labels if label for line in (b"CLS", *label, b"PRINT 1,%d" % copies)]
    return b"".join(line + b"\r\n" for line in lines)


def marked(content: bytes, word: str, size: LabelSize | None = None, *, codepage: str = CODEPAGE) -> bytes:
    """What `render` gave, with a word at the foot of every label that says what it is (a copy)."""
    size = size or LabelSize()
    letters = Lettering(codepage, RESERVED)
    row = Line(letters.clean(word), Align.RIGHT, bold=True)
    command = _text(row, letters, size.columns).replace(b"%Y", b"%d" % size.dots_high, 1)
    return content.replace(_OWN_PRINT, b"\r\n" + command + _OWN_PRINT)


def from_text(text: str, codepage: str = CODEPAGE) -> bytes:
    """Somebody's label that came as text: in the code page, its lines ended as printers need them.

    Raises ValueError, in words, for an image that went through text: its bytes are not what they were, and must come in
    base64.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    strange = any((ord(c) < 0x20 and c not in "\t\x1b") or c == "\ufffd" for line in lines for c in line)
    if strange or (_BINARY.search(text) and _unencodable(text, codepage)):
        raise ValueError("the label holds an image or other bytes that text cannot carry: send it in base64")
    while lines and not lines[-1]:
        lines.pop()
    return b"".join(line.encode(codepage, "replace") + b"\r\n" for line in lines)


def labels_in(content: bytes) -> int:
    """How many labels the content itself asks for by its PRINT commands."""
    return sum(int(sets) * int(copies or 1) for sets, copies in _PRINT.findall(content))


def repeats(content: bytes, label_count: int) -> int:
    """How often to send it for `label_count` labels: its own PRINT decides where it asks for more than one."""
    return label_count if labels_in(content) <= 1 else 1


def _unencodable(text: str, codepage: str) -> bool:
    try:
        text.encode(codepage)
    except UnicodeError:
        return True
    return any(ord(character) > 0x7F for character in text)


def _commands(element: Element, letters: Lettering, columns: int) -> list[tuple[bytes, int]]:
    """Commands with %Y in place of their height, each with the dots that it takes."""
    line_dots = 28 if letters.is_wide else 24
    match element:
        case Gap(lines):
            return [(b"", line_dots // 2 * min(lines, 20))]
        case Barcode(text) if element.fits:
            bars = b'BARCODE %d,%%Y,"128",%d,1,0,2,2,"' % (MARGIN, BARCODE_DOTS) + text.encode("ascii") + b'"'
            return [(bars, BARCODE_DOTS + 2 * line_dots)]
        case Barcode(text):
            return _commands(Line(text, Align.CENTRE), letters, columns)
    rows = rows_of(element, letters, columns)
    return [(_text(row, letters, columns), line_dots * row.size) for row in rows]


def _text(row: Line, letters: Lettering, columns: int) -> bytes:
    font = b"K" if letters.is_wide else b"2"
    start = b'TEXT %d,%%Y,"%s",0,%d,%d,"' % (MARGIN, font, row.size, row.size)
    return start + letters.encode(padded(row, letters, columns)) + b'"'
