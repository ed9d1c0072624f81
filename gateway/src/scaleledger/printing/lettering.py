"""Text as one printer can print it: its code page, how wide it comes out, and nothing in it that commands the printer.

A name is somebody else's text. Whatever in it the printer would obey instead of print (control bytes, and the characters
that a language keeps for itself) is replaced, one by one, by something that can be seen.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

TEXT_MAX = 500
"""Longer texts are cut, visibly."""

REPLACEMENT, CUT = "?", "..."
_WIDE_PAGES = frozenset(
    {"cp949", "euc_kr", "johab", "gbk", "gb2312", "gb18030", "big5", "cp950", "cp932", "shift_jis", "euc_jp"}
)
_PRINTABLE = range(0x20, 0x7F)
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


def canonical(codepage: str) -> str:
    """The code page's name in one spelling (`windows-1254` is `cp1254`, `CP949` is `cp949`)."""
    name = codepage.lower().replace("-", "_")
    return name.replace("windows_", "cp").replace("uhc", "cp949").replace("ks_c_5601_1987", "cp949")


@dataclass(frozen=True)
class Lettering:
    """Letters of one printer. `reserved` says what is printed in place of characters that its language obeys.

    `codepage` is one that Python knows. Every text that leaves `clean` can be encoded without loss.
    """

    codepage: str
    reserved: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_wide(self) -> bool:
        """Whether a character of two bytes takes two columns."""
        return canonical(self.codepage) in _WIDE_PAGES

    def clean(self, text: str) -> str:
        """`text` on one line, with everything replaced that cannot be printed or must not reach the printer."""
        composed = unicodedata.normalize("NFC", text[: TEXT_MAX + 1])
        if len(composed) > TEXT_MAX:
            composed = composed[: TEXT_MAX - len(CUT)] + CUT
        return "".join(self._shown(character) for character in composed)

    def encode(self, cleaned: str) -> bytes:
        """The bytes of a text that `clean` gave."""
        return b"".join(self._bytes_of(character) for character in cleaned)

    def columns(self, cleaned: str) -> int:
        """How many columns a text that `clean` gave takes."""
        return sum(self._width(character) for character in cleaned)

    def wrap(self, cleaned: str, columns: int) -> list[str]:
        """Lines of at most `columns`: parted at blanks, and inside a word only where the word alone is too long."""
        assert columns >= 2, "a wide character needs two columns"
        lines, line = [], ""
        for word in cleaned.split(" "):
            joined = f"{line} {word}" if line else word
            if self.columns(joined) <= columns:
                line = joined
                continue
            if line:
                lines.append(line)
            *full, line = self._pieces(word, columns)
            lines += full
        return [*lines, line] if line or not lines else lines

    def _pieces(self, word: str, columns: int) -> list[str]:
        pieces, piece, width = [], "", 0
        for character in word:
            wide = self._width(character)
            if width + wide > columns:
                pieces.append(piece)
                piece, width = "", 0
            piece += character
            width += wide
        return [*pieces, piece]

    def _shown(self, character: str) -> str:
        category = unicodedata.category(character)
        if character in "\t\r\n" or category.startswith("Z"):
            return " "
        if category in _UNPRINTABLE:
            return REPLACEMENT
        if character in self.reserved:
            return self.reserved[character]
        return REPLACEMENT if self._bytes_of(character) == REPLACEMENT.encode() else character

    def _bytes_of(self, character: str) -> bytes:
        """The character in the code page; a question mark where the page has none, or would hide a command in it."""
        if ord(character) in _PRINTABLE:
            return character.encode("ascii")
        try:
            coded = character.encode(self.codepage)
        except UnicodeError:
            return REPLACEMENT.encode()
        hidden = any(byte < 0x20 or byte == 0x7F or chr(byte) in self.reserved for byte in coded)
        return REPLACEMENT.encode() if hidden or coded[0] < 0x80 else coded

    def _width(self, character: str) -> int:
        if ord(character) in _PRINTABLE:
            return 1
        if self.is_wide:
            return min(len(self._bytes_of(character)), 2)
        return 2 if unicodedata.east_asian_width(character) in "WF" else 1
