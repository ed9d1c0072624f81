"""A device that talks by itself: a framer and a function from frame to fact make it a driver.

An indicator's display rests most of the time and repeats the same frame many times a second, so the last few frames and
what they meant are remembered.
"""

from collections.abc import Callable

from scaleledger.domain.commands import Command
from scaleledger.domain.inputs import Fact, Problem
from scaleledger.wire.framing import NO_FRAME, Framer

REMEMBERED_MAX = 8

_LOW_SEVEN = bytes(byte & 0x7F for byte in range(256))


class Listening:
    """Driver for a talker. `decode` turns one frame into one fact; it must depend on the frame alone.

    `salvage` may point out a whole frame at the end of one that is a `Problem`; it counts if it decodes, and what stands in
    front of it is the problem.

    `seven_bits` drops the top bit of every byte: for a port that was opened with eight data bits on a device that sends
    seven and a parity bit.
    """

    understands: frozenset[type[Command]] = frozenset()

    def __init__(
        self,
        name: str,
        framer: Framer,
        decode: Callable[[bytes], Fact],
        *,
        salvage: Callable[[bytes], bytes | None] = lambda _: None,
        seven_bits: bool = False,
    ) -> None:
        self.name = name
        self._framer = framer
        self._decode = decode
        self._salvage = salvage
        self._seven_bits = seven_bits
        self._meaning: dict[bytes, tuple[Fact, ...]] = {}

    @property
    def buffered(self) -> int:
        """Bytes held back until their frame is complete."""
        return self._framer.buffered

    def receive(self, now: float, data: bytes) -> list[Fact]:  # noqa: ARG002 - the contract's signature
        if self._seven_bits:
            data = data.translate(_LOW_SEVEN)
        return self._facts(self._framer.feed(data))

    def get_timer(self) -> float | None:
        return None

    def handle_timer(self, now: float) -> list[Fact]:  # noqa: ARG002 - the contract's signature
        return []

    def ask(self, command: Command) -> None:
        pass

    def to_send(self) -> bytes:
        return b""

    def finish(self) -> list[Fact]:
        return self._facts(self._framer.finish())

    def _facts(self, found: list[bytes | Problem]) -> list[Fact]:
        facts: list[Fact] = []
        for frame in found:
            if isinstance(frame, Problem):
                facts.append(frame)
                continue
            meaning = self._meaning.get(frame)
            if meaning is None:
                if len(self._meaning) >= REMEMBERED_MAX:
                    self._meaning.clear()
                meaning = self._meaning[frame] = self._read(frame)
            facts += meaning
        return facts

    def _read(self, frame: bytes) -> tuple[Fact, ...]:
        fact = self._decode(frame)
        if isinstance(fact, Problem) and (whole := self._salvage(frame)) is not None:
            behind = self._decode(whole)
            if not isinstance(behind, Problem):
                return Problem(NO_FRAME, frame.removesuffix(whole)), behind
        return (fact,)
