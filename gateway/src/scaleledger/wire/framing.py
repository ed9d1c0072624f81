"""Cutting a byte stream into frames, whatever the pieces it arrives in.

A framer takes bytes as they come and returns, in order, whole frames and a `Problem` for each run of bytes that belongs to
no frame. What comes out depends on the bytes alone, never on how they were split. Nothing grows without a limit: bytes past
it are dropped, and said once.

Three shapes cover the field: lines (`Lines`), frames with a start and an end (`between`), and frames whose length is known
or told by their head (`fixed`, `Sized`). A line comes without its terminator; the others come with start and end.
"""

from collections.abc import Callable
from typing import Protocol

from scaleledger.domain.inputs import Problem

BLANK = b" \t\r\n\x00"
"""Bytes that may stand between frames and mean nothing."""

EMPTY = BLANK + b"\x02\x03"
"""What a line may hold and yet be blank: some devices set STX and ETX around their lines, beyond CR LF too."""

NO_FRAME = "no-frame"
CUT_SHORT = "cut-short"
TOO_LONG = "too-long"


class Framer(Protocol):
    """What a driver needs of a framer."""

    @property
    def buffered(self) -> int:
        """Bytes held back; never more than twice the framer's limit."""
        ...

    def feed(self, data: bytes) -> list[bytes | Problem]:
        """Take bytes; return the frames and problems they complete."""
        ...

    def finish(self) -> list[bytes | Problem]:
        """The stream ended: what is held back becomes a `Problem`, and the framer is as new."""
        ...


class Lines:
    """Lines ended by CR, LF or CRLF, of at most `limit` bytes; blank lines are nothing. A longer one is one `too-long`."""

    def __init__(self, limit: int = 128) -> None:
        self._limit = limit
        self._rest = b""
        self._skipping = False

    @property
    def buffered(self) -> int:
        return len(self._rest)

    def feed(self, data: bytes) -> list[bytes | Problem]:
        if b"\r" in data:
            data = data.replace(b"\r", b"\n")
        lines = (self._rest + data).split(b"\n")
        rest = lines.pop()
        if self._skipping:
            if not lines:
                return []
            del lines[0]
            self._skipping = False
        found: list[bytes | Problem] = []
        for line in lines:
            if len(line) > self._limit:
                found.append(Problem(TOO_LONG, line[: self._limit]))
            elif line.strip(EMPTY):
                found.append(line)
        if len(rest) > self._limit:
            found.append(Problem(TOO_LONG, rest[: self._limit]))
            self._skipping = True
            rest = b""
        self._rest = rest
        return found

    def finish(self) -> list[bytes | Problem]:
        rest, self._rest, self._skipping = self._rest, b"", False
        return [Problem(CUT_SHORT, rest)] if rest.strip(EMPTY) else []


class Sized:
    """Frames that begin with `start` and whose length their first bytes tell.

    `size_of(head)` is given what has arrived from a start on, and answers the frame's whole length (at most `limit`), 0
    while it cannot know yet, or -1 if no frame begins so. `is_whole` then judges the complete frame. Where there is no
    frame, the search goes on at the next start, inside the refused bytes too.
    """

    def __init__(
        self, start: bytes, size_of: Callable[[bytes], int], is_whole: Callable[[bytes], bool], *, limit: int
    ) -> None:
        assert len(start) == 1, "a frame starts with one byte"
        self._start = start
        self._size_of = size_of
        self._is_whole = is_whole
        self._limit = limit
        self._rest = b""
        self._stray = _Stray(limit)

    @property
    def buffered(self) -> int:
        return len(self._rest) + self._stray.held

    def feed(self, data: bytes) -> list[bytes | Problem]:
        stream = self._rest + data
        found: list[bytes | Problem] = []
        at = 0
        while (start := stream.find(self._start, at)) >= 0:
            if start > at:
                found += self._stray.add(stream[at:start])
            at = start
            head = stream[at : at + self._limit + 1]
            size = self._size_of(head)
            if size > len(head) or (size == 0 and len(head) <= self._limit):
                break
            if size > 0 and self._is_whole(frame := head[:size]):
                found += self._stray.end(NO_FRAME)
                found.append(frame)
                at += size
            else:
                found += self._stray.add(self._start)
                at += 1
        else:
            found += self._stray.add(stream[at:])
            at = len(stream)
        self._rest = stream[at:]
        return found

    def finish(self) -> list[bytes | Problem]:
        reason = CUT_SHORT if self._rest else NO_FRAME
        found = self._stray.add(self._rest) + self._stray.end(reason)
        self._rest = b""
        return list(found)


def between(start: bytes, end: bytes, limit: int) -> Sized:
    """Frames from one `start` byte to the next `end` byte, at most `limit` long. A start inside a frame begins it anew."""

    def size_of(head: bytes) -> int:
        ended, anew = head.find(end, 1), head.find(start, 1)
        if anew >= 0 and not 0 <= ended < anew:
            return -1
        if ended < 0:
            return 0
        return ended + 1 if ended < limit else -1

    return Sized(start, size_of, lambda _: True, limit=limit)


def fixed(start: bytes, length: int, end: bytes, is_whole: Callable[[bytes], bool] | None = None) -> Sized:
    """Frames of exactly `length` bytes from `start` to `end`; either byte may also occur inside. `is_whole` may judge."""
    return Sized(start, lambda _: length, is_whole or (lambda frame: frame.endswith(end)), limit=length)


class _Stray:
    """A run of bytes that belong to no frame: its first `limit` bytes are kept and reported once."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._run = b""
        self._told = False

    @property
    def held(self) -> int:
        return len(self._run)

    def add(self, data: bytes) -> list[bytes | Problem]:
        if self._told:
            return []
        if not self._run:
            data = data.lstrip(BLANK)
        self._run += data[: self._limit - len(self._run)]
        if len(self._run) < self._limit:
            return []
        self._told = True
        return [Problem(NO_FRAME, self._run)]

    def end(self, reason: str) -> list[bytes | Problem]:
        run, told = self._run, self._told
        self._run, self._told = b"", False
        return [Problem(reason, run)] if run and not told else []
