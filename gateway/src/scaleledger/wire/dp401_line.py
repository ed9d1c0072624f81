"""The line that a DP-401 label scale sends for each label: comma separated, without quoting, ten fields or more.

    00001,10:30:00,30.01.2026,KIYMA           ,000000000004,0000,KAAN,0000072091,0000062415,0000009676,2,0,2,1,N,KORKUT
    0     1        2          3                4            5    6    7 gross    8 tare     9 net      10…       last

0 number, five digits, after an acknowledgement with the prefix P or P" (the copy that is printed); 1 time; 2 date; 3 product
padded to 16; 4 barcode, 5 to 13 digits, which is the PLU code; 5 code; 6 operator padded to 48; 10 and on flags; the last of
more than ten is the company. Source: the protocol notes and samples of the carnitrack-edge project.

The line names no unit, so the one that was set holds for all its weights; nothing is guessed from how large a number is. A
weight is whole digits with perhaps a sign, and the three stand in columns of one width: a printed point means that the scale
is set otherwise than we were told, a narrower column that bytes were lost. Either is a problem, because a wrong weight that
looks right is worse than none. A net that is not gross less tare is only noted: scales with a fixed tare may print it so.
Time and date are handed on as printed, also where they name no real moment. A comma inside a text moves all fields behind
it, and is found out by the barcode.
"""

import codecs
import re
from dataclasses import dataclass
from decimal import Decimal

from scaleledger.domain.inputs import FinishedWeighing, Problem
from scaleledger.wire import fields
from scaleledger.wire.framing import BLANK

FIELDS_MIN = 10
WEIGHT_COLUMNS = 10
DECIMALS_MAX = 4
NET_MISMATCH = "net-mismatch"
UNITS = ("g", "kg")

HEAD = re.compile(
    rb'(P"?)?([0-9]{5}),[0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2},[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{2,4},',
)
"""How every line begins. Nothing else that a scale sends contains it, so it is known for a beginning wherever it stands."""
HEAD_MAX = 28

_PLU = re.compile(rb"[0-9]{5,13}")
_UNSEEN = dict.fromkeys((*range(32), *range(127, 160)), "\ufffd")
_PLAIN = bytes(range(32, 127))


@dataclass(frozen=True, slots=True)
class Layout:
    """What a line does not say of itself.

    `unit` is "g" or "kg", None if nobody told; `decimals` (0 to 4) of the digits stand behind the point; `codepage` is that
    of the texts. ValueError for anything else, and for a code page in which ASCII is not itself.
    """

    unit: str | None = None
    decimals: int = 0
    codepage: str = "windows-1254"

    def __post_init__(self) -> None:
        if self.unit is not None and self.unit not in UNITS:
            raise ValueError(f"unit is g or kg, not {self.unit!r}")
        if not 0 <= self.decimals <= DECIMALS_MAX:
            raise ValueError(f"decimals is 0 to {DECIMALS_MAX}, not {self.decimals}")
        try:
            plain = _PLAIN.decode(codecs.lookup(self.codepage).name) == _PLAIN.decode("ascii")
        except (LookupError, ValueError):
            plain = False
        if not plain:
            raise ValueError(f"codepage is a code page such as windows-1254, not {self.codepage!r}")

    def decode(self, line: bytes) -> FinishedWeighing | Problem:
        """One line, without its end. Problems: bad-line (begins otherwise), few-fields, bad-plu, bad-weight.

        Of the texts, what is not in the code page or cannot be seen is U+FFFD; `raw` is the line byte for byte.
        """
        head = HEAD.match(line)
        if head is None:
            return Problem("bad-line", line)
        parts = line.split(b",")
        if len(parts) < FIELDS_MIN:
            return Problem("few-fields", line)
        plu = _unquoted(parts[4].strip(BLANK))
        if not _PLU.fullmatch(plu):
            return Problem("bad-plu", line)
        columns = [part.strip(BLANK) for part in parts[7:10]]
        weights = [self._weight(column) for column in columns]
        gross, tare, net = weights
        if gross is None or tare is None or net is None or len({len(column) for column in columns}) > 1:
            return Problem("bad-weight", line)
        text = [self._text(part) for part in parts[:7]]
        named = {
            "number": head[2].decode("ascii"),
            "time": text[1],
            "date": text[2],
            "product": text[3],
            "barcode": text[4],
            "plu": plu.decode("ascii"),
            "code": text[5],
            "operator": text[6],
            "company": self._text(parts[-1]) if len(parts) > FIELDS_MIN else "",
            "flags": ",".join(self._text(part) for part in parts[FIELDS_MIN:-1]),
            "prefix": (head[1] or b"").decode("ascii"),
            "notes": "" if gross - tare == net else NET_MISMATCH,
        }
        return FinishedWeighing(gross, tare, net, self.unit, tuple(named.items()), line)

    def encode(self, weighing: FinishedWeighing) -> bytes:
        """The line with its CR LF that prints `weighing`; ValueError for what such a line cannot say."""
        named = dict(weighing.fields)
        flags = named.get("flags", "")
        texts = [named.get(name, "") for name in ("number", "time", "date", "product", "barcode", "code", "operator")]
        texts[3], texts[6] = f"{texts[3]:<16}", f"{texts[6]:<48}"
        columns = [self._column(weight) for weight in (weighing.gross, weighing.tare, weighing.net)]
        more = [flag for flag in flags.split(",") if flags]
        company = named.get("company", "")
        every = [named.get("prefix", "") + texts[0], *texts[1:], *columns, *more]
        line = ",".join([*every, company] if more or company else every).encode(self.codepage)
        if re.search(rb"[\r\n]", line) or any("," in text for text in (*texts, company)):
            raise ValueError(f"a field cannot hold a comma or a line's end: {line!r}")
        match self.decode(line):
            case Problem(reason):
                raise ValueError(f"{reason}: {line!r}")
            case _:
                return line + b"\r\n"

    def _weight(self, column: bytes) -> Decimal | None:
        whole = fields.whole_number(column) if len(column) <= fields.DIGITS_MAX else None
        return None if whole is None else Decimal(whole).scaleb(-self.decimals)

    def _column(self, weight: Decimal | None) -> str:
        if weight is None or (whole := weight.scaleb(self.decimals)) != int(whole):
            raise ValueError(f"a weight column with {self.decimals} decimals cannot say {weight}")
        return f"{int(whole):0{WEIGHT_COLUMNS}d}"

    def _text(self, part: bytes) -> str:
        part = part.strip(BLANK)
        text = part.decode("ascii") if part.isascii() else part.decode(self.codepage, "replace")
        return text if text.isprintable() else text.translate(_UNSEEN)


def _unquoted(barcode: bytes) -> bytes:
    return barcode.removeprefix(b'"').removesuffix(b'"').strip(BLANK)
