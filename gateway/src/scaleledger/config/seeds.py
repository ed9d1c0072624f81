"""The names that the first CarniTrack gateways are configured by, in the environment, so that a plant can keep its own.

They count in a plant only: where the file has a [[listener]] or a CarniTrack [[uplink]], or one of the cloud's names is
set; names like LOG_LEVEL stand in too many environments to mean us elsewhere. They go before the file, and our own
SCALELEDGER_… go before them. What a scale's unit is, none of them says, so none of them makes a listener.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

Section = dict[str, Any]
MS_MAX = 86_400_000


class Unfit(ValueError):
    """What a variable holds cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class SeedName:
    """One variable: its name, another it had, what it becomes here, and how it is applied."""

    name: str
    other: str
    becomes: str
    apply: Callable[[Section, str], None]


def _uplink(data: Section) -> Section:
    """The CarniTrack uplink, made if there is none."""
    found: Section | None = next((s for s in data.setdefault("uplink", []) if s.get("type") == "carnitrack"), None)
    if found is None:
        found = {"type": "carnitrack"}
        data["uplink"].append(found)
    return found


def _of_uplink(key: str) -> Callable[[Section, str], None]:
    def apply(data: Section, value: str) -> None:
        if _is_cloud(data):
            _uplink(data)[key] = value

    return apply


def _is_cloud(data: Section) -> bool:
    return any(section.get("type") == "carnitrack" for section in data.get("uplink", []))


def _socket_url(data: Section, value: str) -> None:
    if not value.startswith(("ws://", "wss://")):
        raise Unfit("needs an address like wss://cloud.example/edge/ws")
    _uplink(data)["url"] = value


def _api_url(data: Section, value: str) -> None:
    if not value.startswith(("http://", "https://")):
        raise Unfit("needs an address like https://cloud.example/api/v1")
    section = _uplink(data)
    section["api_url" if str(section.get("url", "")).startswith("ws") else "url"] = value


def _poll(key: str) -> Callable[[Section, str], None]:
    def apply(data: Section, value: str) -> None:
        if _is_cloud(data):
            _uplink(data)[key] = _seconds(value)

    return apply


def _of_listeners(key: str) -> Callable[[Section, str], None]:
    def apply(data: Section, value: str) -> None:
        for listener in data.get("listener", []):
            listener[key] = _seconds(value)

    return apply


def _seconds(value: str) -> str:
    """Milliseconds as seconds, in decimal text."""
    if not value.isascii() or not value.isdigit() or not 0 < int(value[:12]) <= MS_MAX:
        raise Unfit("needs milliseconds, from 1 to a day")
    return f"{int(value) // 1000}.{int(value) % 1000:03d}"


def _port(value: str) -> str:
    if not value.isascii() or not value.isdigit() or not 0 < int(value[:6]) <= 65_535:
        raise Unfit("needs a port, from 1 to 65535")
    return value


def _scales_port(data: Section, value: str) -> None:
    """The port of the first listener; what else its address says stays."""
    port = _port(value)
    for listener in data.get("listener", [])[:1]:
        before, question, options = str(listener.get("url", "tcp-listen://0.0.0.0:8899")).partition("?")
        listener["url"] = f"{before.rpartition(':')[0]}:{port}{question}{options}"


def _pages_port(data: Section, value: str) -> None:
    port = _port(value)
    section = data.setdefault("dashboard", {})
    host = str(section.get("address", "127.0.0.1:3000")).rpartition(":")[0]
    section["address"] = f"{host}:{port}"


def _data_folder(data: Section, value: str) -> None:
    """The folder of what was one file: the ledger is a folder with its key beside it."""
    data.setdefault("gateway", {})["data_dir"] = str(PurePath(value).parent)


def _log_level(data: Section, value: str) -> None:
    data.setdefault("log", {})["level"] = {"warn": "warning"}.get(value.lower(), value.lower())


def _zone(data: Section, value: str) -> None:
    data.setdefault("gateway", {})["timezone"] = value


NAMES = (
    SeedName("CLOUD_WS_URL", "", "`url` of the CarniTrack uplink", _socket_url),
    SeedName("CLOUD_API_URL", "", "`api_url` beside a WebSocket, else `url`", _api_url),
    SeedName("CLOUD_API_KEY", "", "`api_key` of the uplink", _of_uplink("api_key")),
    SeedName("EDGE_SITE_ID", "SITE_ID", "`site_id` of the uplink", _of_uplink("site_id")),
    SeedName("EDGE_SITE_NAME", "EDGE_NAME", "`site_name` of the uplink", _of_uplink("site_name")),
    SeedName("SESSION_POLL_INTERVAL_IDLE_MS", "", "`idle_poll_s` of the uplink", _poll("idle_poll_s")),
    SeedName("SESSION_POLL_INTERVAL_WAITING_MS", "", "`waiting_poll_s` of the uplink", _poll("waiting_poll_s")),
    SeedName("SESSION_POLL_INTERVAL_ACTIVE_MS", "", "`active_poll_s` of the uplink", _poll("active_poll_s")),
    SeedName("TCP_PORT", "", "the port in `url` of the first listener", _scales_port),
    SeedName("HEARTBEAT_TIMEOUT_MS", "", "`lost_s` of every listener", _of_listeners("lost_s")),
    SeedName("ACTIVITY_IDLE_MS", "", "`idle_s` of every listener", _of_listeners("idle_s")),
    SeedName("HTTP_PORT", "", "the port in `address` of the dashboard", _pages_port),
    SeedName("DATABASE_PATH", "DB_PATH", "`data_dir` of the gateway: the folder of that file", _data_folder),
    SeedName("LOG_LEVEL", "", "`level` of the log; `warn` is `warning`", _log_level),
    SeedName("TIMEZONE", "", "`timezone` of the gateway", _zone),
)
"""In the order in which they are applied: first what makes an uplink."""

_OF_THE_CLOUD = ("CLOUD_WS_URL", "CLOUD_API_URL")


def with_seed_names(data: Section, environ: Mapping[str, str]) -> tuple[Section, list[str]]:
    """What a file says, and what the environment says in the first gateways' names; and what of it is wrong, in words.

    What does not have the shape of a configuration is left to the check of the file.
    """
    changed = deepcopy(data)
    if not _has_shape(changed) or not _is_plant(changed, environ):
        return changed, []
    faults = []
    for seed in NAMES:
        name = seed.name if environ.get(seed.name) else seed.other
        value = environ.get(name, "").strip() if name else ""
        if not value:
            continue
        try:
            seed.apply(changed, value)
        except Unfit as unfit:
            faults.append(f"environment: {name}: {unfit} (given: {value[:100]!r})")
    return changed, faults


def _has_shape(data: Section) -> bool:
    lists = (data.get(name, []) for name in ("uplink", "listener"))
    tables = (data.get(name, {}) for name in ("gateway", "log", "dashboard"))
    return all(isinstance(found, list) and all(isinstance(s, dict) for s in found) for found in lists) and all(
        isinstance(found, dict) for found in tables
    )


def _is_plant(data: Section, environ: Mapping[str, str]) -> bool:
    return bool(data.get("listener")) or _is_cloud(data) or any(environ.get(name) for name in _OF_THE_CLOUD)
