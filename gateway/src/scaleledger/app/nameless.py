"""Events of links that had not named themselves, until it is known whose they were.

Such an event is kept and acknowledged at once, under its address. Who it belongs to is settled by one of two things: its
link names itself, or a device at the same address sends the same line again. Either gives it to the device by a correction,
and from then on it is this device's event: the line sent again by the same device is the same record, and the same line of
another device is another one.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from scaleledger.domain.errors import StoreError
from scaleledger.domain.finished import REGISTERED_LATE, UNREGISTERED, Arrival, identity, of_host
from scaleledger.domain.inputs import FinishedWeighing
from scaleledger.domain.ledger import payload_fields
from scaleledger.domain.weighing import Draft, Record
from scaleledger.observe.log import get_logger

log = get_logger()

REMEMBERED = 1_000
RECALLED_FOR = timedelta(hours=24)


class Past(Protocol):
    """What the ledger holds of such events."""

    async def kept_since(self, station: str, since: datetime, limit: int) -> list[Record]:
        """Weighings of a station with measured_at >= since, newest first. Raises StoreError."""
        ...

    async def corrections(self, since: datetime, limit: int) -> list[Record]:
        """Corrections with measured_at >= since, newest first. Raises StoreError."""
        ...


@dataclass(eq=False, slots=True)
class Nameless:
    """One event. `draft` is None where the ledger held it when the gateway started; `device` is whose it is, if known."""

    uuid: str
    arrival: Arrival
    draft: Draft | None
    device: str = ""


class NamelessEvents:
    """The last REMEMBERED ones of all listeners."""

    def __init__(self, gateway: str) -> None:
        self.gateway = gateway
        self._events: OrderedDict[str, Nameless] = OrderedDict()

    async def recall(self, past: Past, now: datetime, read: Callable[[bytes], FinishedWeighing | None]) -> None:
        """Take those of the last day from the ledger. `read` reads a line."""
        since = now - RECALLED_FOR
        try:
            records = await past.kept_since(UNREGISTERED, since, REMEMBERED)
            owners = await past.corrections(since, 10 * REMEMBERED) if records else []
        except StoreError as failure:
            log.error("sys.store_failed", what="events without a device", error=str(failure))
            return
        told = [payload_fields(record.payload) for record in owners]
        owner_of = {t["refers_to"]: t["station"] for t in told if t["details"].get("reason") == REGISTERED_LATE}
        for record in reversed(records):
            fields = payload_fields(record.payload)
            event, details = read(bytes.fromhex(fields["raw"])), fields["details"]
            if event is not None and record.uuid not in self._events:
                received_at = datetime.fromisoformat(details["received_at"])
                arrival = Arrival(event, details.get("peer", ""), received_at, fields["monotonic_ms"] / 1000)
                self.put(Nameless(record.uuid, arrival, None, owner_of.get(record.uuid, "")))

    def put(self, event: Nameless) -> None:
        """Remember an event; the oldest is forgotten for it."""
        self._events[event.uuid] = event
        while len(self._events) > REMEMBERED:
            self._events.popitem(last=False)

    def find(self, arrival: Arrival, device_id: str) -> Nameless | None:
        """The event that this line told of before its sender had the name, if it is not another device's."""
        if not self._events:
            return None
        found = self._events.get(identity(of_host(self.gateway, arrival.host), arrival.event))
        return found if found is not None and found.device in {"", device_id} else None
