"""Facts as JSON objects: for people at a terminal, and for scripts. Weights are text, so that no digit is lost."""

from decimal import Decimal
from typing import Any

from scaleledger.domain.inputs import (
    AckAsked,
    CardSeen,
    DeviceState,
    Fact,
    FinishedWeighing,
    Heartbeat,
    KeysEntered,
    Problem,
    Registration,
    SpeechEnded,
)
from scaleledger.domain.reading import Reading


def fact_to_json(fact: Fact) -> dict[str, Any]:
    """The fact as a JSON object with a `type`."""
    match fact:
        case Reading(weight, unit, stable, status, role):
            return {
                "type": "reading",
                "weight": _text(weight),
                "unit": unit,
                "stable": stable,
                "status": status.value,
                "role": role.value if role else None,
            }
        case CardSeen(uid):
            return {"type": "card", "uid": uid}
        case KeysEntered(kind, digits):
            return {"type": "keys", "kind": kind, "digits": digits}
        case DeviceState():
            return _state(fact)
        case SpeechEnded(clip, heard):
            return {"type": "speech", "clip": clip, "heard": heard}
        case Registration() | Heartbeat() | AckAsked():
            return _word(fact)
        case FinishedWeighing(gross, tare, net, unit, named):
            weights = {"gross": _text(gross), "tare": _text(tare), "net": _text(net)}
            return {"type": "weighing", **weights, "unit": unit, "fields": dict(named)}
        case Problem(reason, raw):
            return {"type": "problem", "reason": reason, "raw": raw.hex()}


def _word(said: Registration | Heartbeat | AckAsked) -> dict[str, Any]:
    match said:
        case Registration(device):
            return {"type": "registration", "device": device}
        case Heartbeat():
            return {"type": "heartbeat"}
        case AckAsked():
            return {"type": "ack-asked"}


def _state(state: DeviceState) -> dict[str, Any]:
    return {
        "type": "device-state",
        "green": state.green,
        "red": state.red,
        "fan": state.fan,
        "heater": state.heater,
        "voice": state.voice,
        "printer": state.printer.value if state.printer else None,
        "temperature_c": state.temperature_c,
        "inputs": state.inputs,
    }


def _text(weight: Decimal | None) -> str | None:
    return None if weight is None else format(weight, "f")
