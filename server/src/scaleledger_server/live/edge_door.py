"""Who an edge's handshake and its `register` stand for, and what it is to know at once; asked in a thread."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import InterfaceError, OperationalError

from scaleledger_server.edges.messages import read_register
from scaleledger_server.errors import Refusal
from scaleledger_server.limits import Message
from scaleledger_server.live.sockets import NO_PLAIN_CLIENTS, REFUSED, TRY_LATER
from scaleledger_server.shifts import edges, queries
from scaleledger_server.shifts.models import Edge

AWAY = (OperationalError, InterfaceError)


@dataclass(frozen=True, slots=True)
class Handshake:
    """What the handshake's headers show."""

    edge_id: str
    authorization: str
    address: str


def read_handshake(scope: Message) -> Handshake:
    """The headers that count."""
    headers = dict(scope["headers"])
    edge_id, authorization = headers.get(b"x-edge-id", b""), headers.get(b"authorization", b"")
    address = scope["client"][0] if scope.get("client") else ""
    return Handshake(edge_id.decode("latin-1"), authorization.decode("latin-1"), address)


def admit(shown: Handshake, payload: Any, now: datetime) -> Edge:
    """The approved edge that registers. Raises Invalid for no `register`, Refusal for one that may not be here."""
    stated = payload if isinstance(payload, dict) else {}
    asked, _ = read_register({**stated, "edgeId": stated.get("edgeId") or shown.edge_id or None})
    edge, _ = edges.register(asked, shown.authorization, shown.address, now)
    return still_known(edge, shown, now)


def still_known(edge: Edge, shown: Handshake, now: datetime) -> Edge:
    """The edge as it stands now. Raises Refusal when it may not be here any more."""
    return edges.known(edges.Shown(str(edge.pk), shown.authorization, shown.address), now)


def code_of(refusal: Refusal) -> int:
    """The close code that a refusal becomes; one that is for a while only says so."""
    return {401: REFUSED, 403: NO_PLAIN_CLIENTS}.get(refusal.status, TRY_LATER)


def sessions(edge: Edge, now: datetime) -> dict[str, Any]:
    """`session_list`: all that are under way, and what ended lately."""
    return queries.sessions_body(edge, None, now)
