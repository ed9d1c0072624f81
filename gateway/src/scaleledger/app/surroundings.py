"""What a station is given: where its facts come from, what all stations of a gateway share; and what it counts."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from scaleledger.app.ports import Cards, Clock, Ledger, Transport
from scaleledger.domain.catalogue import Card
from scaleledger.domain.station import Commit
from scaleledger.domain.weighing import Draft
from scaleledger.wire.driver import Driver

Details = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a station's facts come from: a transport, and the driver each of its links gets."""

    transport: Transport
    open_driver: Callable[[], Driver]


@dataclass(frozen=True, slots=True)
class Provenance:
    """What every record says of where it was made, and the two things that make it unique."""

    new_uuid: Callable[[], str]
    boot_id: str
    utc_offset_min: Callable[[], int]


class Catalogued(Cards, Protocol):
    """Cards that stand for something."""

    def about(self, uid: str) -> Card | None:
        """What a card stands for; None if nothing is known of it."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every station of a gateway shares."""

    clock: Clock
    ledger: Ledger
    cards: Catalogued
    provenance: Provenance

    def draft(self, wanted: Commit, *, station: str, driver: str, mode: str, details: Details) -> Draft:
        """A weighing that a station wants kept, with where and when it was made. `details` go with its own."""
        weight = wanted.reading.weight
        assert weight is not None
        return Draft(
            uuid=self.provenance.new_uuid(),
            station=station,
            driver=driver,
            mode=mode,
            weight=weight,
            unit=wanted.unit,
            measured_at=self.clock.now(),
            card=wanted.card,
            role=wanted.reading.role,
            raw=wanted.reading.raw,
            monotonic_s=self.clock.monotonic(),
            boot_id=self.provenance.boot_id,
            utc_offset_min=self.provenance.utc_offset_min(),
            evidence=wanted.evidence,
            details=wanted.details + details,
        )


@dataclass(slots=True)
class StationCounts:
    """What went through a station since its start. frames = readings + cards + keys + other facts."""

    bytes: int = 0
    facts: int = 0
    readings: int = 0
    cards: int = 0
    problems: Counter[str] = field(default_factory=Counter)
    saved: int = 0
    refused: int = 0
