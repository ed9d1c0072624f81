"""The weighing station's transitions, as data: TABLE[state][event] -> what is next, what is done, what is told.

A pair that is not in the table changes nothing. The diagram in the docs is generated from TABLE.
"""

from enum import StrEnum
from typing import NamedTuple

from scaleledger.domain.guidance import Notice


class State(StrEnum):
    """Where the station stands."""

    BOOT = "boot"
    UNREGISTERED = "unregistered"
    DISCONNECTED = "disconnected"
    IDLE = "idle"
    MEASURING = "measuring"
    SAVING = "saving"
    SAVED = "saved"


class Event(StrEnum):
    """What can happen to a station."""

    USABLE = "usable"
    NOT_ALLOWED = "not-allowed"
    NO_LINK = "no-link"
    CARD = "card"
    CARD_REPEATED = "card-repeated"
    PRESS_ANSWERED = "press-answered"
    CARD_OTHER = "card-other"
    CARD_TOO_EARLY = "card-too-early"
    CARD_REFUSED = "card-refused"
    LOAD_ON = "load-on"
    LOAD_STABLE = "load-stable"
    LOAD_OFF = "load-off"
    LOAD_UNEXPLAINED = "load-unexplained"
    REARMED = "rearmed"
    OVERLOAD = "overload"
    STALE = "stale"
    WEIGHT_BACK = "weight-back"
    TIMED_OUT = "timed-out"
    RESTLESS = "restless"
    SLOW = "slow"
    COMMITTED = "committed"
    COMMIT_FAILED = "commit-failed"


class Do(StrEnum):
    """What the station does on the way; each is a method of `Station`."""

    NOTHING = "nothing"
    BEGIN = "begin"
    COMMIT = "commit"
    CONFIRM = "confirm"
    CONFIRM_AGAIN = "confirm-again"
    KEEP_WAITING = "keep-waiting"
    FAIL = "fail"
    GIVE_UP = "give-up"
    END = "end"


class Step(NamedTuple):
    """Next state, action, and the notice the operator gets after it (actions that choose a notice say it themselves)."""

    state: State
    do: Do = Do.NOTHING
    tell: Notice | None = None


_S, _E, _N = State, Event, Notice

TABLE: dict[State, dict[Event, Step]] = {
    _S.BOOT: {
        _E.NOT_ALLOWED: Step(_S.UNREGISTERED, tell=_N.NOT_REGISTERED),
        _E.NO_LINK: Step(_S.DISCONNECTED),
        _E.USABLE: Step(_S.IDLE, tell=_N.READY),
    },
    _S.UNREGISTERED: {
        _E.NO_LINK: Step(_S.DISCONNECTED),
        _E.USABLE: Step(_S.IDLE, tell=_N.READY),
        _E.CARD: Step(_S.UNREGISTERED, tell=_N.NOT_REGISTERED),
        _E.CARD_TOO_EARLY: Step(_S.UNREGISTERED, tell=_N.NOT_REGISTERED),
        _E.CARD_REFUSED: Step(_S.UNREGISTERED, tell=_N.NOT_REGISTERED),
    },
    _S.DISCONNECTED: {
        _E.NOT_ALLOWED: Step(_S.UNREGISTERED, tell=_N.NOT_REGISTERED),
        _E.USABLE: Step(_S.IDLE, tell=_N.READY),
        _E.CARD: Step(_S.DISCONNECTED, tell=_N.INDICATOR_FAULT),
        _E.CARD_TOO_EARLY: Step(_S.DISCONNECTED, tell=_N.INDICATOR_FAULT),
        _E.CARD_REFUSED: Step(_S.DISCONNECTED, tell=_N.UNKNOWN_CARD),
    },
    _S.IDLE: {
        _E.NO_LINK: Step(_S.DISCONNECTED, Do.END, _N.INDICATOR_FAULT),
        _E.CARD: Step(_S.MEASURING, Do.BEGIN),
        _E.CARD_REPEATED: Step(_S.SAVED, Do.CONFIRM_AGAIN),
        _E.CARD_TOO_EARLY: Step(_S.IDLE, tell=_N.REMOVE_LOAD),
        _E.CARD_REFUSED: Step(_S.IDLE, tell=_N.UNKNOWN_CARD),
        _E.LOAD_ON: Step(_S.MEASURING, Do.BEGIN),
        _E.LOAD_UNEXPLAINED: Step(_S.IDLE, tell=_N.REMOVE_LOAD),
        _E.REARMED: Step(_S.IDLE, tell=_N.READY),
        _E.OVERLOAD: Step(_S.IDLE, tell=_N.OVERLOAD),
        _E.STALE: Step(_S.IDLE, tell=_N.INDICATOR_FAULT),
        _E.WEIGHT_BACK: Step(_S.IDLE, tell=_N.READY),
    },
    _S.MEASURING: {
        _E.NO_LINK: Step(_S.DISCONNECTED, Do.END, _N.INDICATOR_FAULT),
        _E.CARD: Step(_S.MEASURING),
        _E.PRESS_ANSWERED: Step(_S.SAVED, Do.CONFIRM_AGAIN),
        _E.CARD_OTHER: Step(_S.IDLE, Do.END, _N.TWO_CARDS),
        _E.CARD_REFUSED: Step(_S.MEASURING, tell=_N.UNKNOWN_CARD),
        _E.LOAD_STABLE: Step(_S.SAVING, Do.COMMIT),
        _E.LOAD_OFF: Step(_S.IDLE, Do.END, _N.READY),
        _E.LOAD_UNEXPLAINED: Step(_S.IDLE, Do.END, _N.REMOVE_LOAD),
        _E.REARMED: Step(_S.MEASURING),
        _E.OVERLOAD: Step(_S.MEASURING, tell=_N.OVERLOAD),
        _E.STALE: Step(_S.IDLE, Do.END, _N.INDICATOR_FAULT),
        _E.WEIGHT_BACK: Step(_S.MEASURING, tell=_N.WAIT),
        _E.TIMED_OUT: Step(_S.IDLE, Do.GIVE_UP),
        _E.RESTLESS: Step(_S.MEASURING, tell=_N.UNSTABLE),
    },
    _S.SAVING: {
        _E.COMMITTED: Step(_S.SAVED, Do.CONFIRM),
        _E.COMMIT_FAILED: Step(_S.IDLE, Do.FAIL),
        _E.SLOW: Step(_S.SAVING, Do.KEEP_WAITING),
    },
    _S.SAVED: {
        _E.NO_LINK: Step(_S.DISCONNECTED),
        _E.CARD: Step(_S.MEASURING, Do.BEGIN),
        _E.CARD_REPEATED: Step(_S.SAVED, Do.CONFIRM_AGAIN),
        _E.CARD_TOO_EARLY: Step(_S.SAVED, tell=_N.REMOVE_LOAD),
        _E.CARD_REFUSED: Step(_S.SAVED, tell=_N.UNKNOWN_CARD),
        _E.REARMED: Step(_S.IDLE, tell=_N.READY),
        _E.OVERLOAD: Step(_S.SAVED, tell=_N.OVERLOAD),
        _E.STALE: Step(_S.SAVED, tell=_N.INDICATOR_FAULT),
        _E.WEIGHT_BACK: Step(_S.SAVED, tell=_N.READY),
    },
}
