"""The envelopes of contracts/carnitrack.md over WebSocket, and what an edge's messages ask for, in the order they came. Pure.

What is inside an event, a batch's end or a device's state is read where both carriers read it, in `edges.messages`.
"""

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scaleledger_server.bodies import parse, shown
from scaleledger_server.edges.events import listed
from scaleledger_server.errors import Invalid
from scaleledger_server.limits import BATCH_RECORDS_MAX
from scaleledger_server.shifts.edges import ScaleSaid

DEVICE_STATES = {"device_connected": "online", "device_heartbeat": "", "device_disconnected": "disconnected"}
BATCH_STEPS = frozenset({"offline_batch_start", "offline_batch_end"})
EVENT_TYPES = frozenset({"event", "event_batch"})
SPOKEN = frozenset({
    "session_started", "session_paused", "session_resumed", "session_ended", "plu_updated", "config_update",
    "print_jobs_waiting",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message of an edge: its type, and what it is about."""

    type: str
    payload: Any


@dataclass(frozen=True, slots=True)
class Step:
    """An offline batch begins or ends: `offline_batch_start`, `offline_batch_end` and its payload."""

    type: str
    payload: Any


def read_envelope(text: str) -> Envelope:
    """An envelope; what stands beside `type` and `payload` is not needed. Raises Invalid."""
    try:
        value = parse(text)
    except ValueError as error:
        raise Invalid("This is no JSON.") from error
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        raise Invalid("A message is a JSON object with a type.", "type")
    return Envelope(shown(value["type"], 64), value.get("payload", {}))


def envelope(type_: str, payload: Mapping[str, Any], number: int, at: datetime) -> str:
    """A message to an edge."""
    body = {"type": type_, "payload": payload, "timestamp": at.isoformat(), "messageId": f"cloud-{number}"}
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False)


class Waiting:
    """What an edge delivered and what was not taken in yet: events, and the begins and ends of batches, in their order."""

    def __init__(self) -> None:
        self._work: deque[Step | list[Any]] = deque()
        self.events = 0

    def __len__(self) -> int:
        """How much waits: each event, and each step."""
        return self.events + len(self._work)

    def put(self, message: Envelope) -> None:
        """Add the events of `event` or `event_batch`, or a batch's step. Raises Invalid for a batch that is no list."""
        if message.type not in EVENT_TYPES:
            self._work.append(Step(message.type, message.payload))
            return
        events = [message.payload] if message.type == "event" else listed(message.payload)
        self.events += len(events)
        self._work.append(events)

    def take(self) -> list[Any] | Step | None:
        """What is due: a batch's step, or as many events as go into one transaction; None when nothing waits."""
        events: list[Any] = []
        while self._work:
            first = self._work[0]
            if isinstance(first, Step):
                if not events:
                    self._work.popleft()
                    return first
                break
            if len(events) + len(first) > BATCH_RECORDS_MAX:
                break
            events += first
            self._work.popleft()
        self.events -= len(events)
        return events or None


class Presence:
    """What was said of scales and is not written yet: one state per scale, the newest word on each fact."""

    def __init__(self) -> None:
        self._said: dict[str, ScaleSaid] = {}

    def __bool__(self) -> bool:
        return bool(self._said)

    def put(self, said: ScaleSaid) -> None:
        """Add what one message says."""
        before = self._said.get(said.device_id)
        if before is not None:
            said = ScaleSaid(
                said.device_id,
                said.status or before.status,
                said.type or before.type,
                said.source_ip or before.source_ip,
                before.heartbeat_count if said.heartbeat_count is None else said.heartbeat_count,
                said.last_heartbeat_at or before.last_heartbeat_at,
                said.last_event_at or before.last_event_at,
            )
        self._said[said.device_id] = said

    def take(self) -> list[ScaleSaid]:
        """All of it, to be written now."""
        said, self._said = list(self._said.values()), {}
        return said
