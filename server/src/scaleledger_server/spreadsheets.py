"""CSV for spreadsheets, both ways: a text from outside never becomes a formula, and what we wrote is read back as it was."""

import csv
import io
from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import islice

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse

STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
LINES_PER_PIECE = 500
BOM = "\ufeff"  # without it, spreadsheets take UTF-8 for the code page of their country


def safe(text: str) -> str:
    """A cell that no spreadsheet computes: an apostrophe before what would start a formula (or was written so already)."""
    return f"'{text}" if text.startswith((*STARTS_A_FORMULA, "'")) else text


def plain(cell: str) -> str:
    """What `safe` was given."""
    return cell.removeprefix("'")


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
