"""What the operator is told: one notice per situation, and how a lamp-voice-display station says it.

Voice numbers are those of the SUWOL-1000 (its maker's list, clips 01-12). A blinking green lamp and clip 01 are promises:
they come only with SAVED, which comes only after the commit.
"""

from dataclasses import dataclass
from enum import StrEnum

from scaleledger.domain.commands import Lamps


class Notice(StrEnum):
    """A situation the operator must know of."""

    READY = "ready"
    WAIT = "wait"
    SAVED = "saved"
    UNKNOWN_CARD = "unknown-card"
    REMOVE_LOAD = "remove-load"
    OVERLOAD = "overload"
    UNSTABLE = "unstable"
    TWO_CARDS = "two-cards"
    CARD_AGAIN = "card-again"
    INDICATOR_FAULT = "indicator-fault"
    SYSTEM_FAULT = "system-fault"
    NOT_REGISTERED = "not-registered"


@dataclass(frozen=True, slots=True)
class Guidance:
    """Lamps to light, a clip to play (0 = none), and for how long the lamps stay lit (0 = until the next notice)."""

    lamps: Lamps
    clip: int = 0
    hold_s: int = 0


_DARK, _GREEN, _RED = Lamps(), Lamps(green=True), Lamps(red=True)

GUIDANCE: dict[Notice, Guidance] = {
    Notice.READY: Guidance(_DARK),
    Notice.WAIT: Guidance(_DARK, 3),  # please wait a moment
    Notice.SAVED: Guidance(_GREEN, 1),  # weighing finished
    Notice.UNKNOWN_CARD: Guidance(_RED, 8, 5),  # unregistered card
    Notice.REMOVE_LOAD: Guidance(_RED, 12),  # strong buzz: this load is done, or was there before the start
    Notice.OVERLOAD: Guidance(_RED, 6),  # overload
    Notice.UNSTABLE: Guidance(_RED, 2, 5),  # please stand by: it will not come to rest
    Notice.TWO_CARDS: Guidance(_RED, 9, 5),  # five beeps: two cards for one load
    Notice.CARD_AGAIN: Guidance(_RED, 4, 5),  # present your card
    Notice.INDICATOR_FAULT: Guidance(_RED, 5),  # indicator fault
    Notice.SYSTEM_FAULT: Guidance(_RED, 10, 5),  # system fault, please wait
    Notice.NOT_REGISTERED: Guidance(_RED, 7),  # ask the administrator
}
