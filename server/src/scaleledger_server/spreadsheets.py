"""CSV for spreadsheets, both ways: a text from outside never becomes a formula, and what we wrote is read back as it was."""

import csv
import io
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse

STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
LINES_PER_PIECE = 500
BAD_LINES_SHOWN_MAX = 100
BOM = "\ufeff"  # without it, spreadsheets take UTF-8 for the code page of their country


def safe(text: str) -> str:
    """A cell that no spreadsheet computes: an apostrophe before what would start a formula (or was written so already)."""
    return f"'{text}" if text.startswith((*STARTS_A_FORMULA, "'")) else text


def plain(cell: str) -> str:
    """What `safe` was given."""
    return cell.removeprefix("'")


@dataclass(slots=True)
class Faults:
    """What is wrong with a file that came in: (line number, reason), no more of them than a person reads."""

    bad: list[tuple[int, str]] = field(default_factory=list)

    def refuse(self, number: int, reason: str) -> None:
        if len(self.bad) < BAD_LINES_SHOWN_MAX:
            self.bad.append((number, reason))


def rows_of(content: bytes, needed: Sequence[str], faults: Faults) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a CSV file in UTF-8, each with its line number and its cells by the names in the first line.

    Cells are as `plain` gives them. A file that is none, lacks one of the `needed` columns, or has a line of another
    length or with a NUL is told to `faults`; that line is left out.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        faults.refuse(content[: error.start].count(b"\n") + 1, "is not UTF-8. Save the file as “CSV UTF-8”.")
        return
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=";" if ";" in text.partition("\n")[0] else ",")
    try:
        header = [name.strip().lower() for name in next(rows, [])]
        if missing := [name for name in needed if name not in header]:
            named = " and ".join(filter(None, [", ".join(needed[:-1]), needed[-1]]))
            faults.refuse(1, f"must name the columns {named}; {', '.join(missing)} is missing.")
            return
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            if len(row) != len(header):
                faults.refuse(rows.line_num, f"has {len(row)} cells where the first line has {len(header)}.")
                continue
            if any("\0" in cell for cell in row):
                faults.refuse(rows.line_num, "holds a character that cannot be stored.")
                continue
            yield rows.line_num, {name: plain(cell.strip()).strip() for name, cell in zip(header, row, strict=True)}
    except csv.Error as error:
        faults.refuse(rows.line_num, f"is no CSV: {error}.")


def lines(header: list[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """A CSV file, line by line, so that memory does not grow with it. Cells are taken as they are: see `safe`."""
    line = io.StringIO()
    writer = csv.writer(line)
    line.write(BOM)
    for row in _after(header, rows):
        writer.writerow(row)
        yield line.getvalue()
        line.seek(0)
        line.truncate()


def _after(header: list[str], rows: Iterable[Iterable[str]]) -> Iterator[Iterable[str]]:
    yield header
    yield from rows


def download(request: HttpRequest, name: str, written: Iterator[str]) -> StreamingHttpResponse:
    """The answer that hands out a CSV file piece by piece. Without the asynchronous form Django would gather it whole."""
    content = _pieces(written) if isinstance(request, ASGIRequest) else written
    response = StreamingHttpResponse(content, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "private, no-store"
    return response


async def _pieces(written: Iterator[str]) -> AsyncIterator[str]:
    def piece() -> str:
        return "".join(islice(written, LINES_PER_PIECE))

    while text := await sync_to_async(piece)():
        yield text
