"""What the books of a simulated plant come to, held against each other: nothing lost, nothing twice, nothing in a wrong place."""

import json
from dataclasses import asdict, dataclass, field


@dataclass(slots=True)
class StationBooks:
    """One station in the three books."""

    driver: str
    mode: str
    emitted: int = 0
    saved: int = 0
    on_server: int = 0


@dataclass(slots=True)
class CutBooks:
    """What the books of cuts come to. `astray`: at the server in another session than their time's. `offline`: weighed without contact."""

    stations: dict[str, StationBooks] = field(default_factory=dict)
    duplicates: int = 0
    lost: int = 0
    astray: int = 0
    offline: int = 0
    ledger_ok: bool = False


@dataclass(slots=True)
class Report:
    """What the books come to. `lost`: told or kept as saved, but not on the server. `duplicates`: held twice there.

    `astray`: cuts in another session than their time's. `offline`: cuts weighed without contact.
    """

    stations: dict[str, StationBooks] = field(default_factory=dict)
    emitted: int = 0
    saved: int = 0
    on_server: int = 0
    duplicates: int = 0
    lost: int = 0
    ledger_ok: bool = False
    astray: int = 0
    offline: int = 0

    @property
    def good(self) -> bool:
        """Whether nothing was lost, doubled or put into a wrong session, and the ledger verifies."""
        return not self.lost and not self.duplicates and not self.astray and self.ledger_ok

    def add(self, cuts: CutBooks) -> None:
        """The books of a meat plant's cuts, beside those of the hall."""
        self.stations |= cuts.stations
        self.emitted += sum(books.emitted for books in cuts.stations.values())
        self.saved += sum(books.saved for books in cuts.stations.values())
        self.on_server += sum(books.on_server for books in cuts.stations.values())
        self.lost += cuts.lost
        self.duplicates += cuts.duplicates
        self.astray += cuts.astray
        self.offline += cuts.offline
        self.ledger_ok = self.ledger_ok and cuts.ledger_ok

    def as_json(self) -> str:
        """The report as it is written to a file."""
        return json.dumps(asdict(self), indent=2) + "\n"
