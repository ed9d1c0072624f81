"""Which events wait for their answer on one line, and which delivery each answer belongs to.

The time to wait is counted from the last answer that says the cloud has come as far as this delivery: a slow cloud that
works its way through a queue is not a silent one.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from scaleledger.domain.delivery import ItemOutcome, Outcome
from scaleledger.domain.errors import LinkError
from scaleledger.uplinks.carnitrack.messages import EventAnswered
from scaleledger.uplinks.carnitrack.protocol import Event, item_outcome


@dataclass(eq=False, slots=True)
class Delivery:
    """One `deliver` under way: how many answers are missing, and since when (loop's time) none came that concerns it."""

    number: int
    known: dict[int, ItemOutcome]
    missing: int = 0
    since_s: float = 0.0
    begun_s: float = 0.0
    reason: str = ""
    over: asyncio.Event = field(default_factory=asyncio.Event)


class Acks:
    """The events on their way on one line. `silent` is True when the cloud answered nothing at all for a whole waiting time."""

    def __init__(self, wait_s: float) -> None:
        self._wait_s = wait_s
        self._waiting: dict[str, tuple[Delivery, Event]] = {}
        self._deliveries: set[Delivery] = set()
        self._count = 0
        self._ended = ""
        self._moved = asyncio.Event()
        self._answered_s = float("-inf")
        self.silent = False

    def begin(self, known: dict[int, ItemOutcome]) -> Delivery:
        """A delivery whose outcomes are noted in `known`."""
        self._count += 1
        delivery = Delivery(self._count, known, since_s=_time_s(), begun_s=_time_s())
        self._deliveries.add(delivery)
        return delivery

    def expect(self, delivery: Delivery, part: Sequence[Event]) -> None:
        """These are about to be sent; none of their ids may be on its way already."""
        for event in part:
            assert event.local_id.lower() not in self._waiting, "answers could not be told apart"
            self._waiting[event.local_id.lower()] = (delivery, event)
        delivery.missing += len(part)

    async def clear_of(self, part: Sequence[Event]) -> None:
        """Wait until none of these ids is on its way. Raises LinkError when that takes too long, or the line ended."""
        until_s = _time_s() + self._wait_s
        while any(event.local_id.lower() in self._waiting for event in part):
            self._moved.clear()
            await self._wait(self._moved, until_s)

    async def settled(self, delivery: Delivery) -> None:
        """Wait until all of a delivery is answered. Raises LinkError when that takes too long, or the line ended."""
        while delivery.missing:
            delivery.over.clear()
            await self._wait(delivery.over, delivery.since_s + self._wait_s, delivery)

    async def _wait(self, event: asyncio.Event, until_s: float, delivery: Delivery | None = None) -> None:
        if self._ended:
            raise LinkError(self._ended)
        try:
            async with asyncio.timeout(max(0.0, until_s - _time_s())):
                await event.wait()
        except TimeoutError:
            if delivery is not None and delivery.since_s + self._wait_s > _time_s():
                return
            self.silent = delivery is not None and self._answered_s < delivery.begun_s
            raise LinkError(f"the cloud did not answer an event for {self._wait_s:g} s") from None
        if self._ended:
            raise LinkError(self._ended)

    def take(self, answer: EventAnswered) -> None:
        """The cloud answered one event; one that nobody waits for (any more) changes nothing."""
        delivery, event = self._waiting.pop(answer.local_id, (None, None))
        if delivery is None or event is None:
            return
        outcome = item_outcome(event, answer.status, answer.words)
        if outcome.outcome is not Outcome.RETRY:
            delivery.known[event.seq] = outcome
        delivery.missing -= 1
        self._answered_s = _time_s()
        self._moved.set()
        for later in self._deliveries:
            if later.number >= delivery.number:
                later.since_s = self._answered_s
        if not delivery.missing:
            delivery.over.set()

    def forget(self, delivery: Delivery) -> None:
        """The delivery is over; what is not answered by now is nobody's."""
        self._deliveries.discard(delivery)
        if delivery.missing:
            self._waiting = {key: entry for key, entry in self._waiting.items() if entry[0] is not delivery}
            self._moved.set()

    def end(self, words: str) -> None:
        """The line ended: all who wait are told."""
        self._ended = words
        self._moved.set()
        for delivery in self._deliveries:
            delivery.over.set()


def _time_s() -> float:
    return asyncio.get_running_loop().time()
