"""How often somebody may guess: a growing pause per address, and a slow stream for all strangers together.

Nobody can lock everybody out: this machine itself and addresses that logged in before are not held up by the others'
guesses, a pause has an upper bound, and the stream for strangers fills up again by itself.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

FREE_TRIES = 5
PAUSE_S = (2.0, 300.0)
FORGET_S = 3600.0
STRANGERS_AT_ONCE = 30
STRANGERS_PER_S = 0.5
ADDRESSES_MAX = 1024
LOOPBACK = ("127.", "::1")


@dataclass(slots=True)
class _Address:
    failures: int = 0
    open_at: float = 0.0
    last_at: float = 0.0
    known: bool = False


class Attempts:
    """Counts what `monotonic` (seconds) saw. Ask `pause_s` before a guess is looked at, then tell how it went."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._addresses: OrderedDict[str, _Address] = OrderedDict()
        self._strangers = float(STRANGERS_AT_ONCE)  # tries left
        self._filled_at = monotonic()

    def pause_s(self, address: str) -> float:
        """How long this address must wait before its next guess is looked at; 0: it may guess now, and that counts."""
        now, found = self._monotonic(), self._found(address)
        if found.open_at > now:
            return found.open_at - now
        if not found.known and not address.startswith(LOOPBACK):
            self._strangers = min(float(STRANGERS_AT_ONCE), self._strangers + (now - self._filled_at) * STRANGERS_PER_S)
            self._filled_at = now
            if self._strangers < 1:
                return (1 - self._strangers) / STRANGERS_PER_S
            self._strangers -= 1
        return 0.0

    def failed(self, address: str) -> None:
        """The guess was wrong."""
        found, now = self._found(address), self._monotonic()
        found.failures += 1
        found.last_at = now
        if found.failures >= FREE_TRIES:
            found.open_at = now + min(PAUSE_S[0] * 2.0 ** min(found.failures - FREE_TRIES, 20), PAUSE_S[1])

    def succeeded(self, address: str) -> None:
        """The guess was right: the address is known from now on."""
        found = self._found(address)
        found.failures, found.open_at, found.known = 0, 0.0, True

    def _found(self, address: str) -> _Address:
        found = self._addresses.setdefault(address, _Address())
        self._addresses.move_to_end(address)
        if found.failures and self._monotonic() - found.last_at > FORGET_S:
            found.failures = 0
        while len(self._addresses) > ADDRESSES_MAX:
            idle = next((name for name, kept in self._addresses.items() if not kept.known), next(iter(self._addresses)))
            del self._addresses[idle]
        return found
