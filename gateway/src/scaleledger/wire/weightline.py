"""The weight line that most bench and floor indicators from Asia share, in its many spellings.

    ST,GS,+  12.345kg        header 1, header 2, sign, number, unit
    US,NT,-  12.5 kg         ST,GS     59.6kg       ST,GS-     2.5kg      ST, GS, +   2380 kg
    ST,GS,+635,5kg           ST,+001234.5  g        ST , +000053.26 _kg   OL , -------

Header 1: ST stable, US unstable, QT stable while counting, WT weight of which no motion is told, HD held display,
OL overload, UL underload, LO out of range. Header 2: GS or G gross, NT or N net, TR, T or PT tare; it may be missing.
TW and TN are accumulated totals: no reading at all. A number that is blank or dashes means that the display is out of range.

Sources: A&D AD-4403 manual 8-6 and AD-4404 manual 9.2.6 (headers, blanked number), CAS CI-400 manual p. 103, captured lines
of T-Scale NHB and QHW. Makers differ in blanks, commas and widths, so the line is split by its headers and never by columns;
the header, the unit and the line's end must be there, because the first line after opening a port is often cut. What noise
or a lost line end has glued to the front of a whole line is dropped.
"""

import re

from scaleledger.domain.inputs import Problem
from scaleledger.domain.reading import Reading, Role, Status
from scaleledger.wire import fields

_LINE = re.compile(
    rb"""[\x00\x02\x03\ ]*
    (ST|US|QT|WT|HD|OL|UL|LO)                             # 1 header 1
    \ *,\ *
    (?:(GS|NT|TR|PT|TW|TN|[GNT](?=[\ ,]))\ *,?\ *)?       # 2 header 2
    ([+-]?)\ *                                            # 3 sign
    ([0-9][0-9.,]*(?<![.,]) | -[-.]+ | OL | UL | \ *\.?)  # 4 number, dashes, a word, or nothing
    [\ _]*,?\ *
    ([A-Za-z]*|%)                                         # 5 unit
    [\x00\x03\ ]*""",
    re.VERBOSE,
)
_HEAD = re.compile(rb"(?:ST|US|QT|WT|HD|OL|UL|LO) *, *(?=[GNTP0-9+-])")
_BLANKED_COLUMNS_MIN = 5  # from header to unit; fewer are a cut line, not a blanked number
_NOT_PRINTED = re.compile(rb"[^ -~]")
_STABLE = {b"ST": True, b"QT": True, b"US": False, b"HD": False, b"WT": None}
_OUT_OF_RANGE = {b"OL": Status.OVERLOAD, b"UL": Status.UNDERLOAD, b"LO": Status.ERROR}
_ROLES = {
    b"GS": Role.GROSS,
    b"G": Role.GROSS,
    b"NT": Role.NET,
    b"N": Role.NET,
    b"TR": Role.TARE,
    b"T": Role.TARE,
    b"PT": Role.TARE,
}
_ROLE_HEADERS = {Role.GROSS: "GS", Role.NET: "NT", Role.TARE: "TR"}


def decode(line: bytes, unit: str | None = None) -> Reading | Problem:
    """One line, without its terminator. `unit` is what an indicator that prints none is set to.

    Problems: bad-line (not of this family), bad-number, bad-unit, no-unit, total.
    """
    match = _LINE.fullmatch(line)
    if match is None:
        return Problem("bad-line", line)
    header, kind, sign, number, printed_unit = match.groups()
    if kind in {b"TW", b"TN"}:
        return Problem("total", line)
    role = _ROLES[kind] if kind else None
    known_unit = fields.unit(printed_unit) if printed_unit else unit
    status = _OUT_OF_RANGE.get(header) or _status_of(number)
    if status is not Status.OK:
        blank = number.strip(b" .") == b""
        width = match.start(5) - match.end(2 if kind else 1)
        if header not in _OUT_OF_RANGE and blank and (known_unit is None or width < _BLANKED_COLUMNS_MIN):
            return Problem("bad-line", line)
        return Reading(None, known_unit, None, status, role, line)
    weight = fields.magnitude(number, sign)
    if weight is None:
        return Problem("bad-number", line)
    if known_unit is None:
        return Problem("bad-unit" if printed_unit else "no-unit", line)
    return Reading(weight, known_unit, _STABLE[header], Status.OK, role, line)


def _status_of(number: bytes) -> Status:
    if number[:1].isdigit():
        return Status.OK
    return Status.UNDERLOAD if number == b"UL" else Status.OVERLOAD


def behind_noise(line: bytes) -> bytes | None:
    """Where a line that reads as none holds a whole one at its end: that one, else None.

    In front of it stands noise (bytes that no indicator prints) or a line that lost its end. Other text is left alone: a
    device number makes another layout.
    """
    heads = [match.start() for match in _HEAD.finditer(line)]
    if not heads or heads[-1] == 0:
        return None
    return line[heads[-1] :] if len(heads) > 1 or _NOT_PRINTED.search(line, 0, heads[-1]) else None


def columns(reading: Reading) -> tuple[str, str, str, str, str]:
    """Header 1, header 2 ("" if no role), sign, digits (dashes out of range) and unit that print `reading`.

    Raises ValueError for what such a line cannot say.
    """
    role = _ROLE_HEADERS[reading.role] if reading.role else ""
    if reading.status in {Status.OVERLOAD, Status.UNDERLOAD}:
        return "OL" if reading.status is Status.OVERLOAD else "UL", role, "+", "------", reading.unit or ""
    if reading.weight is None or reading.stable is None or reading.unit is None:
        raise ValueError(f"a weight line cannot say {reading}")
    sign, digits = fields.printed(reading.weight)
    return "ST" if reading.stable else "US", role, sign, digits, reading.unit
