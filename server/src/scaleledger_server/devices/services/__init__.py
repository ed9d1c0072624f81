"""The only writer of gateways, their tokens, stations, ports and alarms. Other apps call it by these names.

`on_heartbeat_answer` is where the apps above put in what they have to say to a gateway at its sign of life: functions
that return parts of `heartbeat_answer`, such as {"receipt": …} or {"versions": {"market": "17"}}; versions are merged.
"""

from collections.abc import Callable
from typing import Any

from scaleledger_server.devices.models import Gateway
from scaleledger_server.devices.services.alarms import watch
from scaleledger_server.devices.services.anchors import alarm_head, keep_alarm, raise_anchor
from scaleledger_server.devices.services.enrolment import (
    Enrolment,
    Proof,
    enrol,
    give_challenge,
    make_claim,
    read_claim,
    use_claim,
)
from scaleledger_server.devices.services.gateways import (
    Registration,
    approve,
    describe,
    keep_identity,
    note_heartbeat,
    register,
    replace_identity,
    revoke,
    rotate,
    still_waits,
)
from scaleledger_server.devices.services.stations import delete_station, keep_scan, save_station
from scaleledger_server.devices.services.tokens import issue_token, note_use, token_ends_at

on_heartbeat_answer: list[Callable[[Gateway], dict[str, Any]]] = []

__all__ = [
    "Enrolment",
    "Proof",
    "Registration",
    "alarm_head",
    "approve",
    "delete_station",
    "describe",
    "enrol",
    "give_challenge",
    "issue_token",
    "keep_alarm",
    "keep_identity",
    "keep_scan",
    "make_claim",
    "note_heartbeat",
    "note_use",
    "on_heartbeat_answer",
    "raise_anchor",
    "read_claim",
    "register",
    "replace_identity",
    "revoke",
    "rotate",
    "save_station",
    "still_waits",
    "token_ends_at",
    "use_claim",
    "watch",
]
