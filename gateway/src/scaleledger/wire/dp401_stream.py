"""Cutting what a DP-401 sends: weighing lines, and three tokens that end in nothing.

    SCALE-01                once, when its Wi-Fi module has connected      KONTROLLU AKTAR OK?     was what I sent kept?
    HB                      every 30 s                                     (a line and CR LF, LF or CR: `wire.dp401_line`)

A token cannot be waited for: nothing may follow it for half a minute. So where a message may begin (at the start, behind a
line's end, behind a token) it counts as soon as it is whole. Anywhere else the same letters may be text, and four rules say
what they are. They look at bytes only, never at how or when the bytes came.

1. From a line's head (number, time, date) to its end all is the line's, whatever it spells: a company called SCALE-12
   registers nothing. A second head inside shows that the first line lost its end; the first is cut short, the second whole.
2. HB, or a request to acknowledge, directly behind a line's last field and before its end was put there by the module, which
   knows nothing of lines: the line is what stands before, and the token comes after it. A word set off by one blank is a
   word of the company's name. A registration is never read there: a module sends it on connecting, and taking it from a name
   would give one scale's weighings to another.
3. Bytes that are no line and no token are noise. It ends at a line's end, at HB or at a head: for these alone are short of
   doubt, harmless if mistaken, or long enough to be none. So noise without an end deafens nobody.
4. A registration or request directly in front of what ended the noise counts too, because it is followed by what follows
   such a token; followed by other text or by a line's end, or in a noise with commas (the rest of a line), it is text.

What is glued behind a registration (the 3 of SCALE-123) makes it a `bad-registration`, told when it is known; the name of two
digits has been handed on by then, because the next digit may as well be the first of a line.
"""

import re

from scaleledger.domain.inputs import AckAsked, Fact, Heartbeat, Problem, Registration
from scaleledger.wire.dp401_line import FIELDS_MIN, HEAD, HEAD_MAX, Layout
from scaleledger.wire.framing import BLANK, CUT_SHORT, NO_FRAME, TOO_LONG

LINE_MAX = 512
TOKEN_MAX = 19
KEPT_MAX = 64
"""Of a long noise so much is kept in sight: the tokens that may stand before its end."""

_BETWEEN = re.compile(rb"[\r\n\x00]+")
_TOKEN = re.compile(rb"HB|SCALE-[0-9]{2}|KONTROLLU AKTAR OK\?")
_BEFORE_MARK = re.compile(rb"(?:SCALE-[0-9]{2}|KONTROLLU AKTAR OK\?)\Z")
_BEHIND_LINE = re.compile(rb"(?<![^ ] )(?:HB|KONTROLLU AKTAR OK\?)\Z")
_MARK = re.compile(rb"[\r\n]|HB|" + HEAD.pattern)
_LINE_END = re.compile(rb"[\r\n]")
_NOISE_MAX = LINE_MAX + KEPT_MAX


class Dp401Stream:
    """Bytes in, facts out, by the rules above. `buffered` never exceeds LINE_MAX + KEPT_MAX + HEAD_MAX."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._rest = b""
        self._in_noise = False
        self._name = b""

    @property
    def buffered(self) -> int:
        """Bytes held back until it is known what they are."""
        return len(self._rest)

    def feed(self, data: bytes) -> list[Fact]:
        """Take bytes; return the facts they complete.

        Problems: those of a line, no-frame (noise), too-long, cut-short (a line without its end), bad-registration.
        """
        stream = self._rest + data
        facts: list[Fact] = []
        at, before = 0, (-1, False)
        while at < len(stream) and before != (at, self._in_noise):
            before = at, self._in_noise
            at = self._step(stream, at, facts)
        self._rest = stream[at:]
        return facts

    def finish(self) -> list[Fact]:
        """The stream ended: what is held back is cut short; the stream is as new."""
        rest, self._rest = self._rest, b""
        told, self._in_noise, self._name = self._in_noise, False, b""
        if told or not rest.strip(BLANK):
            return []
        line, tokens = _behind_line(rest) if HEAD.match(rest) else (rest, [])
        return [Problem(CUT_SHORT, line), *tokens]

    def _step(self, stream: bytes, at: int, facts: list[Fact]) -> int:
        """Read one thing at `at`, and return where the next begins: `at` itself if more bytes must come first."""
        if not self._in_noise:
            if between := _BETWEEN.match(stream, at):
                self._name = b""
                return between.end()
            if token := _TOKEN.match(stream, at):
                facts.append(_meaning(token[0]))
                self._name = token[0] if isinstance(facts[-1], Registration) else b""
                return token.end()
            if head := HEAD.match(stream, at):
                self._name = b""
                return self._line(stream, at, head.end(), facts)
        return self._noise(stream, at, facts)

    def _line(self, stream: bytes, at: int, behind_head: int, facts: list[Fact]) -> int:
        limit = at + LINE_MAX + HEAD_MAX
        end = _LINE_END.search(stream, behind_head, limit)
        until = end.start() if end else limit
        if stream.find(b":", behind_head, until) >= 0:  # as a second head has, and hardly any text
            end = HEAD.search(stream, behind_head, until) or end
        if end is None and len(stream) - at < LINE_MAX + HEAD_MAX:
            return at
        if end is None or end.start() - at > LINE_MAX:
            facts.append(Problem(TOO_LONG, stream[at : at + LINE_MAX]))
            self._in_noise = True
            return at + LINE_MAX
        line, tokens = _behind_line(stream[at : end.start()])
        facts.append(self._layout.decode(line) if end[0] in b"\r\n" else Problem(CUT_SHORT, line))
        facts += tokens
        return end.start()

    def _noise(self, stream: bytes, at: int, facts: list[Fact]) -> int:
        mark = _MARK.search(stream, at, at + _NOISE_MAX + HEAD_MAX)
        if mark is None and len(stream) - at < _NOISE_MAX + HEAD_MAX:
            return at
        if mark is None or mark.start() - at > _NOISE_MAX:
            if not self._in_noise:
                facts.append(Problem(TOO_LONG, stream[at : at + LINE_MAX]))
            self._in_noise = True
            return at + LINE_MAX
        noise = stream[at : mark.start()]
        tokens: list[Fact] = []
        if mark[0] not in b"\r\n" and b"," not in noise:
            noise, tokens = _torn(noise, _BEFORE_MARK)
        if noise.strip(BLANK) and not self._in_noise:
            facts.append(Problem("bad-registration", self._name + noise) if self._name else Problem(NO_FRAME, noise))
        facts += tokens
        self._in_noise, self._name = False, b""
        return mark.start()


def _behind_line(text: bytes) -> tuple[bytes, list[Fact]]:
    """The line, and what stands behind it if it has all its fields: in an earlier one it would be a text."""
    return _torn(text, _BEHIND_LINE) if text.count(b",") >= FIELDS_MIN - 1 else (text, [])


def _torn(text: bytes, token: re.Pattern[bytes]) -> tuple[bytes, list[Fact]]:
    """`text` without the tokens at its end, and what they say in their order."""
    tokens: list[Fact] = []
    while found := token.search(text, max(0, len(text) - TOKEN_MAX)):
        tokens.insert(0, _meaning(found[0]))
        text = text[: found.start()]
    return text, tokens


def _meaning(token: bytes) -> Fact:
    if token == b"HB":
        return Heartbeat()
    if token.startswith(b"SCALE-"):
        return Registration(token.decode("ascii"))
    return AckAsked()
