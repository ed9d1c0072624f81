"""Captures: what went over a wire, with times, as text that a person can read, mend and append to.

    # scaleledger-capture v1 url=serial:///dev/ttyUSB0
    0.000000 < 53 54 2c 47 53
    0.104310 > 05

Seconds since the header before it, `<` received or `>` sent, the bytes in hex. Other lines that begin with # are remarks.
A line without its end (the power went) is left out.
"""

import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

HEADER = "# scaleledger-capture v1"
LINE_LIMIT = 1_048_576


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes that went over the wire at one moment. `at_s` counts from the beginning of the file."""

    at_s: float
    sent: bool
    data: bytes


def header(url: str) -> str:
    """The first line of a capture, or of one appended to another."""
    return f"{HEADER} url={url}\n"


def line(chunk: Chunk) -> str:
    """One chunk as text."""
    return f"{chunk.at_s:.6f} {'>' if chunk.sent else '<'} {chunk.data.hex(' ')}\n"


def remark(text: str) -> str:
    """A line for people."""
    return f"# {' '.join(text.split())}\n"


def chunks(lines: Iterable[str]) -> Iterator[Chunk]:
    """Read a capture; raises ValueError, naming the line, where it is none. Appended captures follow one another in time."""
    start_s = last_s = 0.0
    for number, text in enumerate(lines, 1):
        if not text.endswith("\n"):
            return
        if number == 1 and not text.startswith(HEADER):
            raise ValueError(f"not a capture: the first line must begin with {HEADER!r}")
        if text.startswith(HEADER):
            start_s = last_s
        elif not text.startswith("#") and text.strip():
            chunk = _chunk(number, text, start_s)
            last_s = max(last_s, chunk.at_s)
            yield chunk


def _chunk(number: int, text: str, start_s: float) -> Chunk:
    parts = text.split(maxsplit=2)
    try:
        at_s = float(parts[0])
        data = bytes.fromhex(parts[2])
    except (ValueError, IndexError):
        at_s, data = -1.0, b""
    if not 0 <= at_s < math.inf or parts[1] not in {"<", ">"}:
        raise ValueError(f"line {number} is not `seconds < hex`: {text.strip()[:60]!r}")
    return Chunk(start_s + at_s, parts[1] == ">", data)


def read(path: Path) -> Iterator[Chunk]:
    """The chunks of a file. Raises OSError, or ValueError in words with the file's name."""
    with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
        try:
            yield from chunks(iter(lambda: file.readline(LINE_LIMIT), ""))
        except ValueError as fault:
            raise ValueError(f"{path}: {fault}") from None


def open_for_append(path: Path, url: str) -> TextIO:
    """Begin a capture at the end of `path`. A line cut short there is taken away; a file that is no capture is refused."""
    with path.open("ab+") as file:
        file.seek(0)
        first = file.readline(256)
        if first and not first.startswith(HEADER.encode()):
            raise ValueError(f"{path} exists and is not a capture: choose another file")
        size = file.seek(0, os.SEEK_END)
        back = min(size, LINE_LIMIT)
        file.seek(-back, os.SEEK_END)
        whole = file.read().rfind(b"\n") + 1
        file.truncate(size - back + whole)
    opened = path.open("a", encoding="utf-8", buffering=1, newline="\n")
    opened.write(header(url))
    return opened
