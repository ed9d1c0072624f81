"""All pages of this worker, and what they watch: one lease per gateway towards its socket, one update from it for all.

Nothing is asked of a gateway until the first page watches one of its stations, and 200 pages cost it what one costs. A page
is offered the newest state per station and takes it when it can: a slow page skips values and holds nobody up.
"""

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from scaleledger_server.live.leases import ALL
from scaleledger_server.live.switchboard import Callback
from scaleledger_server.notices import VIEWERS, gateway_group

log = logging.getLogger(__name__)

HUBS = "hubs"
PAGES_MAX = 2_000
STATIONS_KEPT_MAX = 512
FLUSH_S = 0.1
RENEW_S = 10.0
LEASE_S = 30.0
FRESH_S = 2.0

Key = tuple[int, str]


def live_group(gateway_id: int) -> str:
    """The group of the workers whose pages watch this gateway."""
    return f"live.{gateway_id}"


def as_json(value: Any) -> str:
    """Compact JSON."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


class Wire(Protocol):
    """The part of the switchboard that the hub uses."""

    def join(self, group: str, callback: Callback) -> None: ...
    def leave(self, group: str, callback: Callback) -> None: ...
    def post(self, group: str, message: dict[str, Any]) -> None: ...


class Page(Protocol):
    """A page's socket, as the hub sees it. `keys` is what it watches; the offers never wait."""

    keys: frozenset[Key]
    everything: bool

    def offer_live(self, at: float, values: Mapping[Key, str]) -> None: ...
    def offer_weighings(self, values: Mapping[Key, str]) -> None: ...
    def offer_presence(self, gateway_id: int, *, online: bool) -> None: ...
    def offer_snapshot(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Value:
    """A station's newest value: when it came (monotonic), its fields, and the same as JSON, made once for all pages."""

    at: float
    fields: dict[str, Any]
    text: str


@dataclass(slots=True)
class Watched:
    """One gateway that pages of this worker watch."""

    counts: Counter[str]
    values: dict[str, Value]
    connection: str = ""
    heard_at: float = 0.0


class Hub:
    """The pages of one worker. To be used from its event loop only; `clock` is monotonic, in seconds.

    `on_weighings` is called when a watched gateway delivered; `names` tells what a card stands for, without waiting.
    """

    def __init__(
        self,
        worker: str,
        wire: Wire,
        clock: Callable[[], float],
        call_later: Callable[[float, Callable[[], None]], Any],
        on_weighings: Callable[[int], None],
        names: Callable[[str], tuple[str, str]],
    ) -> None:
        self._worker, self._wire, self._clock, self._call_later = worker, wire, clock, call_later
        self._on_weighings, self._names_of = on_weighings, names
        self._pages: set[Page] = set()
        self._watched: dict[int, Watched] = {}
        self._changed: dict[Key, str] = {}
        self._flush_planned = False
        self._flushed_at = 0.0
        wire.join(HUBS, self._on_hubs)
        wire.join(VIEWERS, self._on_viewers)

    def watches(self, gateway_id: int) -> bool:
        """Whether a page of this worker watches something of this gateway."""
        return gateway_id in self._watched

    def online(self, gateway_id: int) -> bool:
        """Whether the gateway's socket has answered a lease of this worker, and not ended since."""
        watched = self._watched.get(gateway_id)
        return watched is not None and bool(watched.connection)

    def fresh(self, gateway_id: int) -> dict[str, tuple[float, dict[str, Any]]]:
        """The gateway's stations whose value is fresh: age in s, and fields."""
        watched, now = self._watched.get(gateway_id), self._clock()
        if watched is None:
            return {}
        return {
            name: (now - value.at, value.fields) for name, value in watched.values.items() if now - value.at <= FRESH_S
        }

    def full(self) -> bool:
        """Whether no more pages are welcome here."""
        return len(self._pages) >= PAGES_MAX

    def enter(self, page: Page) -> None:
        """A page connected; it watches nothing yet."""
        self._pages.add(page)

    def exit(self, page: Page) -> None:
        """A page is gone."""
        self.watch(page, frozenset())
        self._pages.discard(page)

    def watch(self, page: Page, keys: frozenset[Key]) -> None:
        """The page watches exactly this from now on. Leases follow on the first watcher and after the last."""
        before, page.keys = page.keys, keys
        changed = {gateway_id for gateway_id, _ in before ^ keys}
        leased = {gateway_id: self._names(gateway_id) for gateway_id in changed}
        for gateway_id, name in keys - before:
            if gateway_id not in self._watched:
                self._watched[gateway_id] = Watched(Counter(), {})
                self._wire.join(live_group(gateway_id), self._on_live)
            self._watched[gateway_id].counts[name] += 1
        for gateway_id, name in before - keys:
            counts = self._watched[gateway_id].counts
            counts[name] -= 1
            if not counts[name]:
                del counts[name]
        for gateway_id in changed:
            if self._names(gateway_id) != leased[gateway_id]:
                self._lease(gateway_id)
            if not self._watched[gateway_id].counts:
                del self._watched[gateway_id]
                self._wire.leave(live_group(gateway_id), self._on_live)

    def renew(self) -> None:
        """Lease anew what is watched, and give up gateways whose socket has not answered for a lease's time."""
        now = self._clock()
        for gateway_id, watched in self._watched.items():
            if watched.connection and now - watched.heard_at > LEASE_S:
                self._set_presence(gateway_id, "")
            self._lease(gateway_id)

    def restored(self) -> None:
        """The line between the workers was away: say and ask everything again."""
        self.renew()
        for page in self._pages:
            page.offer_snapshot()

    def release(self) -> None:
        """The worker stops: its leases end now and not only when they run out."""
        for gateway_id in self._watched:
            self._wire.post(gateway_group(gateway_id), self._lease_message([]))

    def weighings(self, values: Mapping[Key, str]) -> None:
        """The last sale-ready weighings, as JSON, changed: offer them to those who watch."""
        for page, seen in self._seen_by(values):
            page.offer_weighings(seen)

    def _names(self, gateway_id: int) -> list[str]:
        watched = self._watched.get(gateway_id)
        return sorted(watched.counts) if watched else []

    def _lease(self, gateway_id: int) -> None:
        self._wire.post(gateway_group(gateway_id), self._lease_message(self._names(gateway_id)))

    def _lease_message(self, names: list[str]) -> dict[str, Any]:
        stations = [ALL] if ALL in names else names
        return {"type": "watch.lease", "worker": self._worker, "stations": stations, "ttl_s": LEASE_S}

    def _seen_by(self, values: Mapping[Key, str]) -> Iterable[tuple[Page, dict[Key, str]]]:
        for page in self._pages:
            seen = {k: text for k, text in values.items() if k in page.keys or (k[0], ALL) in page.keys}
            if seen:
                yield page, seen

    def _on_hubs(self, message: dict[str, Any]) -> None:
        """A gateway connected: who watches it?"""
        if message["type"] != "watch.who":
            return
        gateway_id = message["gateway"]
        if gateway_id in self._watched:
            self._lease(gateway_id)
        for page in [page for page in self._pages if page.everything and (gateway_id, ALL) not in page.keys]:
            self.watch(page, page.keys | {(gateway_id, ALL)})
            page.offer_snapshot()

    def _on_viewers(self, message: dict[str, Any]) -> None:
        if message["type"] == "viewers.event" and message["event"].get("type") == "weighings":
            gateway_id = message["gateway"]
            if gateway_id in self._watched:
                self._on_weighings(gateway_id)

    def _on_live(self, message: dict[str, Any]) -> None:
        watched = self._watched.get(message["gateway"])
        if watched is None:
            return
        if message["type"] == "live.offline":
            if message["connection"] == watched.connection:
                self._set_presence(message["gateway"], "")
            return
        watched.heard_at = self._clock()
        if watched.connection != message["connection"]:
            self._set_presence(message["gateway"], message["connection"])
        if message["type"] == "live.update":
            self._take(message["gateway"], watched, message["stations"])

    def _set_presence(self, gateway_id: int, connection: str) -> None:
        watched = self._watched[gateway_id]
        was, watched.connection = watched.connection, connection
        if not connection:
            watched.values.clear()
            self._changed = {key: text for key, text in self._changed.items() if key[0] != gateway_id}
        if bool(was) == bool(connection):
            return
        for page in self._pages:
            if any(key[0] == gateway_id for key in page.keys):
                page.offer_presence(gateway_id, online=bool(connection))

    def _take(self, gateway_id: int, watched: Watched, stations: list[dict[str, Any]]) -> None:
        now = self._clock()
        for fields in stations:
            name = fields["station"]
            if ALL not in watched.counts and name not in watched.counts:
                continue
            if name not in watched.values and len(watched.values) >= STATIONS_KEPT_MAX:
                continue
            producer, species = self._names_of(fields["card"])
            told = {"gateway": gateway_id, **fields, "producer": producer, "species": species}
            value = Value(now, told, as_json(told))
            watched.values[name] = value
            self._changed[gateway_id, name] = value.text
        if self._changed and not self._flush_planned:
            self._flush_planned = True
            self._call_later(max(0.0, self._flushed_at + FLUSH_S - now), self.flush)

    def flush(self) -> None:
        """Offer what changed; at most every FLUSH_S."""
        self._flush_planned, self._flushed_at = False, self._clock()
        changed, self._changed = self._changed, {}
        for page, seen in self._seen_by(changed):
            page.offer_live(self._flushed_at, seen)
