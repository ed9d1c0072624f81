"""What a person does at a station, as data: a script of steps that a porter carries out, box after box.

A porter believes in nothing but signs: a voice clip that starts, a lamp that lights. Which sign means what is a table here,
so that the tests' oracle and the simulated operator cannot disagree.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

SAVED_CLIPS = frozenset({1})
REFUSED_CLIPS = frozenset({2, 4, 5, 6, 7, 8, 9, 10, 12})
"""Clips of the SUWOL-1000 that end a press without a record: stand by, show the card again, faults, overload, unknown card."""


class Told(StrEnum):
    """What the operator knows of a box: it is kept, it is not, or nobody said."""

    SAVED = "saved"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class PutOn:
    """Put a load on the platform."""

    weight: Decimal


@dataclass(frozen=True, slots=True)
class AwaitStill:
    """Wait until the indicator shows a still weight, `timeout_s` at most."""

    timeout_s: float = 5.0


@dataclass(frozen=True, slots=True)
class TypeKeys:
    """Enter digits at the keypad; `kind` as in KeysEntered."""

    kind: str
    digits: str


@dataclass(frozen=True, slots=True)
class Tap:
    """Hold a card to the reader."""

    uid: str


@dataclass(frozen=True, slots=True)
class AwaitOutcome:
    """Wait to be told. After `patience_s` without a sign the card is tapped again, `tries` taps in all."""

    patience_s: float = 12.0
    tries: int = 4


@dataclass(frozen=True, slots=True)
class TakeOff:
    """Take everything off the platform."""


@dataclass(frozen=True, slots=True)
class AwaitQuiet:
    """Wait until no lamp is lit and nothing is spoken for `quiet_s`, `timeout_s` at most: signs of the last box are gone."""

    quiet_s: float = 0.6
    timeout_s: float = 10.0


Step = PutOn | AwaitStill | TypeKeys | Tap | AwaitOutcome | TakeOff | AwaitQuiet


@dataclass(frozen=True, slots=True)
class Box:
    """One box: whose card, its true weight, and how it is brought. An empty card: the station captures by itself."""

    card: str
    weight: Decimal
    steps: tuple[Step, ...]


def carry(
    card: str, weight: Decimal, *, patience_s: float = 12.0, tries: int = 4, card_first: bool = False, vehicle: str = ""
) -> Box:
    """The usual way of bringing a box, once the station has stood quiet for long enough to be armed.

    `card_first` taps before the load comes; `vehicle` is a number typed before the tap.
    """
    keys = (TypeKeys("vehicle", vehicle),) if vehicle else ()
    tap: tuple[Step, ...] = (Tap(card),) if card else ()
    load: tuple[Step, ...] = (PutOn(weight), AwaitStill())
    steps = (*keys, *tap, *load) if card_first else (*load, *keys, *tap)
    return Box(
        card, weight, (AwaitQuiet(quiet_s=1.0), *steps, AwaitOutcome(patience_s, tries), TakeOff(), AwaitQuiet())
    )


def boxes(
    rng: random.Random, cards: Sequence[str], division: Decimal, *, patience_s: float = 12.0, tries: int = 4
) -> Iterator[Box]:
    """Endless boxes: cards in turn, weights at random, now and then the card first and a vehicle number typed."""
    n = 0
    while True:
        card = cards[n % len(cards)] if cards else ""
        weight = division * rng.randint(60, 2400)
        vehicle = f"{rng.randrange(1, 10**6):06d}" if rng.random() < 0.1 else ""
        yield carry(
            card,
            weight,
            patience_s=patience_s,
            tries=tries,
            card_first=bool(card) and rng.random() < 0.2,
            vehicle=vehicle,
        )
        n += 1
