"""The contract's WebSocket envelope: texts in, words out; what is to be said, as text. No I/O, no clock.

What cannot be read, or is not known, is None, and changes nothing. Of a word without a time of its own the envelope's counts,
and else the time of receipt.

Source: contracts/carnitrack.md, "WebSocket v3".
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scaleledger.domain.cloud import (
    BatchAnswer,
    BatchBegins,
    BatchEnds,
    CloudSaid,
    CloudTold,
    ConfigChanged,
    DeviceAlive,
    DeviceConnected,
    PluChanged,
    PrintJobsWaiting,
    SessionStarted,
)
from scaleledger.domain.errors import Disbelieved
from scaleledger.domain.session import SessionStatus
from scaleledger.uplinks.carnitrack import answers
from scaleledger.uplinks.carnitrack.answers import Registered, text, told
from scaleledger.uplinks.carnitrack.calls import batch_fields, device_fields
from scaleledger.uplinks.carnitrack.protocol import Event, events_text
from scaleledger.uplinks.exchange import instant, json_text, plain, time_text

MESSAGE_MAX_BYTES = 1_000_000
REGISTER, PING, PONG = "register", "ping", "pong"
_MOVES = {
    "session_paused": SessionStatus.PAUSED,
    "session_resumed": SessionStatus.ACTIVE,
    "session_ended": SessionStatus.ENDED,
}


@dataclass(frozen=True, slots=True)
class EventAnswered:
    """What the cloud says of one event: `status` accepted, duplicate or rejected."""

    local_id: str
    status: str
    words: str = ""


@dataclass(frozen=True, slots=True)
class BatchAnswered:
    """What the cloud says of one offline batch."""

    batch_id: str
    answer: BatchAnswer


@dataclass(frozen=True, slots=True)
class Pinged:
    """The cloud asks whether we live."""


@dataclass(frozen=True, slots=True)
class Ponged:
    """The cloud lives."""


Word = CloudSaid | Registered | EventAnswered | BatchAnswered | Pinged | Ponged


def read_message(message: str | bytes, at: datetime) -> Word | None:
    """What the cloud says, received `at`; None for what is unknown or cannot be read."""
    if isinstance(message, bytes) or len(message) > MESSAGE_MAX_BYTES:
        return None
    try:
        found = json.loads(message)
    except (ValueError, RecursionError):
        return None
    kind = found.get("type") if isinstance(found, dict) else None
    if not isinstance(kind, str):
        return None
    payload = found.get("payload")
    return _read(kind, payload if isinstance(payload, dict) else {}, instant(found.get("timestamp")) or at)


def _read(kind: str, payload: dict[str, Any], at: datetime) -> Word | None:
    if kind in _MOVES:
        return answers.moved_in(payload, _MOVES[kind], at)
    if kind in {"event_ack", "event_rejected"}:
        return _event_answered(kind, payload)
    if kind == "session_started":
        session = answers.session_in(payload, at)
        return None if session is None else SessionStarted(session)
    if kind == "session_list":
        return answers.sessions_in(payload, at)
    if kind in {"edge_registered", "config_update"}:
        return _registered(kind, payload)
    if kind == "offline_batch_ack":
        return _batch_answered(payload)
    plain_words: dict[str, Word] = {
        PING: Pinged(),
        PONG: Ponged(),
        "plu_updated": PluChanged(text(payload, "version")),
        "print_jobs_waiting": PrintJobsWaiting(),
    }
    return plain_words.get(kind)


def _event_answered(kind: str, payload: Mapping[str, Any]) -> EventAnswered | None:
    """The first clouds may leave the status of an ack out."""
    local_id = text(payload, "localEventId", 36).lower()
    if not local_id:
        return None
    if kind == "event_rejected":
        words = told(payload, "reason") or told(payload, "error")
        return EventAnswered(local_id, "rejected", plain(words) if isinstance(words, str) else "")
    status = "accepted" if told(payload, "status") is None else text(payload, "status", 20)
    words = told(payload, "error")
    return EventAnswered(local_id, status, plain(words) if isinstance(words, str) else "")


def _registered(kind: str, payload: Mapping[str, Any]) -> Registered | ConfigChanged | None:
    """The first clouds answer a registration with a `config_update` that names the edge."""
    registered = answers.registration_in(payload)
    if registered is not None or kind == "edge_registered":
        return registered
    values = answers.config_in(payload)
    return ConfigChanged(values) if values else None


def _batch_answered(payload: Mapping[str, Any]) -> BatchAnswered | None:
    batch_id = text(payload, "batchId", 36)
    if not batch_id:
        return None
    try:
        return BatchAnswered(batch_id.lower(), answers.batch_answer(payload, batch_id))
    except Disbelieved:
        return None


class Envelope:
    """Puts what is said into envelopes, each with an id of its own."""

    def __init__(self) -> None:
        self._count = 0

    def wrap(self, kind: str, payload_text: str, at: datetime, edge_id: str) -> str:
        """The text of a message whose payload is JSON text already."""
        self._count += 1
        outer = {
            "type": kind,
            "timestamp": time_text(at),
            "messageId": f"edge-{int(at.timestamp() * 1000)}-{self._count}",
        }
        if edge_id:
            outer["edgeId"] = edge_id
        return f'{json_text(outer)[:-1]},"payload":{payload_text}}}'

    def say(self, kind: str, payload: Mapping[str, Any], at: datetime, edge_id: str) -> str:
        """The text of a message."""
        return self.wrap(kind, json_text(payload), at, edge_id)

    def events(self, part: Sequence[Event], at: datetime, edge_id: str) -> str:
        """One event as itself, several as a batch."""
        if len(part) == 1:
            return self.wrap("event", part[0].body, at, edge_id)
        return self.wrap("event_batch", events_text(part), at, edge_id)

    def told(self, said: CloudTold, at: datetime, *, edge_id: str, site_id: str) -> str:
        """What is said beside the events."""
        if isinstance(said, BatchBegins):
            begins = {"batchId": said.batch_id, "deviceId": said.device_id, "startedAt": time_text(said.started_at)}
            return self.say("offline_batch_start", begins, at, edge_id)
        if isinstance(said, BatchEnds):
            ends = batch_fields(said) | {"eventIds": list(said.event_ids)}
            return self.say("offline_batch_end", ends, at, edge_id)
        kind = "device_disconnected"
        if isinstance(said, DeviceConnected):
            kind = "device_connected"
        elif isinstance(said, DeviceAlive):
            kind = "device_heartbeat"
        return self.say(kind, device_fields(said, site_id), at, edge_id)
