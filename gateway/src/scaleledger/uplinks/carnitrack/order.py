"""Keeps the events of one scale in the order in which they were made, also where a delivery stumbled. No I/O, no clock.

What is not settled waits before it is offered again; newer events of the same scale must not overtake it meanwhile. They
wait with it, but not for ever: an event that the cloud chokes on would else stop its scale. What is on its way already is
ahead on the wire, and holds nobody up.

An event that was sent alone and failed again and again is put by for a while: where it takes the whole line down with it,
it would else stop every scale.
"""

from collections.abc import Sequence

from scaleledger.domain.delivery import ItemOutcome, Outcome
from scaleledger.uplinks.carnitrack.protocol import Event

HOLD_S = 30.0
OWED_MAX = 10_000
ALONE_MAX = 3
PUT_BY_S, PUT_BY_MOST_S = 5.0, 300.0
BLAMED_MAX = 1_000
CHOKES = "the cloud fails at this event; it is offered again later"
WAITS = "an earlier event of the same scale is not settled yet"


class Order:
    """Which events were offered and are not settled, by scale. Times are monotonic seconds."""

    def __init__(self, hold_s: float = HOLD_S) -> None:
        self.hold_s = hold_s
        self._owed: dict[str, dict[int, float]] = {}
        self._under_way: set[int] = set()
        self._blamed: dict[int, tuple[int, float]] = {}  # failures alone, and until when it is put by

    def admit(self, events: Sequence[Event], known: dict[int, ItemOutcome], now_s: float) -> list[Event]:
        """Those that may be sent now, in order; of the others `known` says RETRY."""
        sent: list[Event] = []
        first: dict[str, list[int]] = {}
        for event in events:
            device = event.device_id
            if self._blamed.get(event.seq, (0, 0.0))[1] > now_s:
                known[event.seq] = ItemOutcome(event.seq, Outcome.RETRY, CHOKES)
                self._owe(device, event.seq, now_s)
                continue
            if device not in first:
                first[device] = self._in_the_way(device, now_s)
            ahead = first[device]
            if ahead and ahead[-1] < event.seq:
                known[event.seq] = ItemOutcome(event.seq, Outcome.RETRY, WAITS)
                self._owe(device, event.seq, now_s)
                continue
            if ahead and ahead[-1] == event.seq:
                ahead.pop()
            sent.append(event)
            self._under_way.add(event.seq)
        return sent

    def _in_the_way(self, device: str, now_s: float) -> list[int]:
        """What newer events of this scale must not overtake, the oldest last."""
        owed = self._owed.get(device, {})
        waits = (seq for seq, since_s in owed.items() if seq not in self._under_way and now_s < since_s + self.hold_s)
        return sorted(waits, reverse=True)

    def _owe(self, device: str, seq: int, now_s: float) -> None:
        owed = self._owed.setdefault(device, {})
        if len(owed) < OWED_MAX:
            owed.setdefault(seq, now_s)

    def _blame(self, seq: int, now_s: float) -> None:
        """Sent alone, it failed; it may be the event, it may be the link."""
        if len(self._blamed) >= BLAMED_MAX:
            self._blamed.clear()
        failures = self._blamed.get(seq, (0, 0.0))[0] + 1
        wait_s = min(PUT_BY_S * 2 ** min(failures - ALONE_MAX, 10), PUT_BY_MOST_S) if failures >= ALONE_MAX else 0.0
        self._blamed[seq] = (failures, now_s + wait_s)

    def note(self, events: Sequence[Event], known: dict[int, ItemOutcome], now_s: float) -> bool:
        """What became of the events that were sent; of those not in `known` nothing is known.

        Returns whether others that waited for one of them may go now.
        """
        freed = False
        for event in events:
            self._under_way.discard(event.seq)
            outcome = known.get(event.seq)
            if outcome is None or outcome.outcome is Outcome.RETRY:
                self._owe(event.device_id, event.seq, now_s)
                if len(events) == 1:
                    self._blame(event.seq, now_s)
                continue
            self._blamed.pop(event.seq, None)
            owed = self._owed.get(event.device_id)
            if owed and owed.pop(event.seq, None) is not None:
                freed = freed or bool(owed)
                if not owed:
                    del self._owed[event.device_id]
        return freed
