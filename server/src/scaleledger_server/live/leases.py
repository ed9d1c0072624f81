"""Which stations of one gateway somebody watches, as leases of the workers whose pages do. Pure; time is an argument.

A lease runs out by itself, so that a worker that was killed keeps no gateway talking.
"""

from collections.abc import Iterable
from typing import Any

ALL = "*"
LEASES_MAX = 64
STATIONS_MAX = 256


class Leases:
    """The leases on one gateway."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[frozenset[str], float]] = {}

    def hold(self, worker: str, stations: Iterable[str], until: float) -> None:
        """The worker watches exactly these stations (ALL: all of them) until then; none ends its lease."""
        named = frozenset(stations)
        if not named:
            self._held.pop(worker, None)
        elif worker in self._held or len(self._held) < LEASES_MAX:
            self._held[worker] = (named, until)

    def wanted(self, now: float) -> frozenset[str]:
        """The stations of all leases that have not run out; just ALL when one of them means all, or they are too many."""
        self._held = {worker: lease for worker, lease in self._held.items() if lease[1] > now}
        together = frozenset[str]().union(*(stations for stations, _ in self._held.values()))
        return frozenset({ALL}) if ALL in together or len(together) > STATIONS_MAX else together

    def next_end(self) -> float | None:
        """When the first lease runs out."""
        return min((until for _, until in self._held.values()), default=None)


def changes(said: frozenset[str], wanted: frozenset[str]) -> list[dict[str, Any]]:
    """What to say to a gateway (`channel_to_gateway`) that was told `said`, so that it streams `wanted`."""
    if said == wanted:
        return []
    if ALL in wanted:
        return [{"type": "START_STREAM"}]
    spoken: list[dict[str, Any]] = []
    if ALL in said:
        spoken, said = [{"type": "STOP_STREAM"}], frozenset()
    if gone := sorted(said - wanted):
        spoken.append({"type": "STOP_STREAM", "payload": {"stations": gone}})
    if new := sorted(wanted - said):
        spoken.append({"type": "START_STREAM", "payload": {"stations": new}})
    return spoken
