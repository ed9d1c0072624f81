"""The states of a gateway's life at its centre, what can happen in each, and how long it then rests. Pure.

initialize ──▶ sync ◀──▶ register          register: only where no key is proved
     │          │ ▲
     ▼ a token  ▼ │ refused, expired
     └──────▶ heartbeat ⟲
"""

from dataclasses import dataclass
from enum import StrEnum

from scaleledger.app.backoff import Backoff

HEARTBEAT_INTERVAL_S = 30.0
PENDING_INTERVAL_S = 10.0


class State(StrEnum):
    """Where a gateway stands with its centre (the product description's ClientState)."""

    INITIALIZE = "initialize"
    SYNC = "sync"
    REGISTER = "register"
    HEARTBEAT = "heartbeat"


class Event(StrEnum):
    """What can happen to a gateway at its centre."""

    TOKEN_KEPT = "token-kept"  # noqa: S105 - the name of an event
    NO_TOKEN = "no-token"  # noqa: S105 - the name of an event
    NOT_REGISTERED = "not-registered"
    PENDING = "pending"
    APPROVED = "approved"
    REGISTERED = "registered"
    DECLINED = "declined"
    ALIVE = "alive"
    REFUSED = "refused"
    EXPIRED = "expired"


TABLE: dict[tuple[State, Event], State] = {
    (State.INITIALIZE, Event.TOKEN_KEPT): State.HEARTBEAT,
    (State.INITIALIZE, Event.NO_TOKEN): State.SYNC,
    (State.SYNC, Event.NOT_REGISTERED): State.REGISTER,
    (State.SYNC, Event.PENDING): State.SYNC,
    (State.SYNC, Event.DECLINED): State.SYNC,
    (State.SYNC, Event.APPROVED): State.HEARTBEAT,
    (State.REGISTER, Event.REGISTERED): State.SYNC,
    (State.REGISTER, Event.DECLINED): State.SYNC,
    (State.HEARTBEAT, Event.ALIVE): State.HEARTBEAT,
    (State.HEARTBEAT, Event.REFUSED): State.SYNC,
    (State.HEARTBEAT, Event.EXPIRED): State.SYNC,
}


@dataclass(frozen=True, slots=True)
class Pace:
    """How long the settled states rest, in seconds."""

    heartbeat_interval_s: float = HEARTBEAT_INTERVAL_S
    pending_interval_s: float = PENDING_INTERVAL_S


def rest_s(event: Event, pace: Pace, backoff: Backoff) -> float:
    """How long to wait after an event; what could go round in circles waits longer each time until life is settled."""
    if event is Event.ALIVE:
        return pace.heartbeat_interval_s
    if event in {Event.PENDING, Event.DECLINED}:
        return pace.pending_interval_s
    if event in {Event.REGISTERED, Event.REFUSED, Event.EXPIRED}:
        return backoff.next_s()
    return 0.0
