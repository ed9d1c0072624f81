"""A card reader on a port of its own: it sends a tag's frame when a card is near, and again while the card stays there."""

import asyncio
from collections.abc import Callable, Sequence

from scaleledger.simulators.journal import Journal
from scaleledger.simulators.ports import Port

AGAIN_S = 0.1
NEAR_S = 0.35
"""A card held to a reader gives a handful of frames, not one."""


class TagReader:
    """An EM4100 reader. `encode` makes the frame of a uid; cards presented faster than they are read follow each other."""

    def __init__(
        self, name: str, port: Port, encode: Callable[[str], bytes], *, journal: Journal, cards: Sequence[str] = ()
    ) -> None:
        self.name = name
        self.port = port
        self._encode = encode
        self._journal = journal
        self._cards = cards
        self._again: asyncio.TimerHandle | None = None
        self._presented = 0

    async def start(self) -> None:
        """Plug in. Raises OSError when the port cannot be had."""
        await self.port.start(self)
        self._journal.say(self.name, f"reads cards on {self.port.where}")

    async def close(self) -> None:
        """Unplug."""
        self._stop()
        await self.port.close()

    def present(self, uid: str, near_s: float = NEAR_S) -> None:
        """Hold a card near for `near_s`; a card that is still near is taken away."""
        self._stop()
        self._journal.say(self.name, f"card {uid}")
        self._send(self._encode(uid), asyncio.get_running_loop().time() + near_s)

    async def present_in_turn(self, every_s: float) -> None:
        """Present the reader's own cards one after another, until cancelled."""
        assert self._cards, "a reader that works by itself needs cards"
        while True:
            await asyncio.sleep(every_s)
            self.present(self._cards[self._presented % len(self._cards)])
            self._presented += 1

    def linked(self, *, up: bool) -> None:
        self._journal.say(self.name, "somebody listens" if up else "nobody listens")

    def received(self, data: bytes) -> None:
        """A reader takes no orders."""

    def _send(self, frame: bytes, until: float) -> None:
        self.port.send(frame)
        loop = asyncio.get_running_loop()
        if loop.time() + AGAIN_S < until:
            self._again = loop.call_later(AGAIN_S, self._send, frame, until)

    def _stop(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None
