"""Market data as a gateway needs it: which cards are known, and what they stand for. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from scaleledger.domain.gateway import CardStanding


@dataclass(frozen=True, slots=True)
class Card:
    """What the centre says of one card; the names are as they stood when the list was fetched."""

    standing: CardStanding
    producer: str = ""
    species: str = ""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The whole card list of one moment, by card uid. `version` names it at the centre."""

    version: str
    cards: Mapping[str, Card] = field(default_factory=dict)
