"""Keeps the events of one scale in the order in which they were made, also where a delivery stumbled. No I/O, no clock.

What is not settled waits before it is offered again; newer events of the same scale must not overtake it meanwhile. They
wait with it, but not for ever: an event that the cloud chokes on would else stop its scale.
"""

from collections.abc import Iterable, Sequence

from scaleledger.domain.delivery import ItemOutcome, Outcome
from scaleledger.uplinks.carnitrack.protocol import Event

HOLD_S = 30.0
OWED_MAX = 10_000
WAITS = "an earlier event of the same scale is not settled yet"


class Order:
    """Which events were offered and are not settled, by scale. Times are monotonic seconds."""

    def __init__(self, hold_s: float = HOLD_S) -> None:
        self._hold_s = hold_s
        self._owed: dict[str, dict[int, float]] = {}

    def admit(self, events: Sequence[Event], known: dict[int, ItemOutcome], now_s: float) -> list[Event]:
        """Those that may be sent now, in order; of the others `known` says RETRY."""
        if not self._owed:
            return list(events)
        offered = {event.seq for event in events}
        sent: list[Event] = []
        for event in events:
            owed = self._owed.get(event.device_id, {})
            if any(seq < event.seq and seq not in offered and now_s < s + self._hold_s for seq, s in owed.items()):
                known[event.seq] = ItemOutcome(event.seq, Outcome.RETRY, WAITS)
            else:
                sent.append(event)
        return sent

    def note(self, events: Iterable[Event], known: dict[int, ItemOutcome], now_s: float) -> None:
        """What became of the events that were sent; of those not in `known` nothing is known."""
        for event in events:
            outcome = known.get(event.seq)
            owed = self._owed.setdefault(event.device_id, {})
            if outcome is None or outcome.outcome is Outcome.RETRY:
                owed.setdefault(event.seq, now_s)
            else:
                owed.pop(event.seq, None)
            if not owed or len(owed) > OWED_MAX:
                del self._owed[event.device_id]
