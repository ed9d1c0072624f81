"""Telling gateways and pages that something happened: after the commit, and never at its cost.

A notice is a hint to look. Whoever misses one finds out by asking: a gateway at its next heartbeat, a page at its next
connect. So a channel layer that is away is logged and nothing more. In a serving process notices go to its one line to
the layer and nobody waits for them; a command, which has none, sends them itself.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import transaction
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

EVERY_GATEWAY = "gateways"
EVERY_EDGE = "edges"
VIEWERS = "viewers"
SEND_TIMEOUT_S = 2.0

Carrier = Callable[[str, dict[str, Any]], None]
_carriers: list[Carrier] = []


def gateway_group(gateway_id: int) -> str:
    """The group of one gateway's own socket."""
    return f"gateway.{gateway_id}"


def provisioning_group(mac_address: str) -> str:
    """The group of the sockets on which this MAC address waits for its token."""
    return f"provisioning.{mac_address.replace(':', '')}"


def session_group(session_id: str) -> str:
    """The group of the pages that show one work session; the id as a uuid is printed."""
    return f"session.{session_id.replace('-', '')}"


def tell_gateway(gateway_id: int, type_: str, payload: Any = None) -> None:
    """Say `channel_to_gateway` of the contract to one gateway, after the commit."""
    _after_commit(gateway_group(gateway_id), _say(type_, payload))


def tell_every_gateway(type_: str) -> None:
    """Say it to all gateways, after the commit."""
    _after_commit(EVERY_GATEWAY, _say(type_, None))


def tell_edge(gateway_id: int, type_: str, payload: Any) -> None:
    """Say a message of contracts/carnitrack.md to the edge of this gateway, after the commit."""
    tell_gateway(gateway_id, type_, payload)


def tell_every_edge(type_: str, payload: Any) -> None:
    """Say it to all edges, after the commit: `plu_updated`, `config_update`."""
    _after_commit(EVERY_EDGE, _say(type_, payload))


def tell_cuts(session_ids: Collection[str]) -> None:
    """Cuts of these work sessions (uuids as text) were stored, or were moved there or away: who shows them looks again."""
    for session_id in sorted(set(session_ids)):
        _after_commit(session_group(session_id), {"type": "session.cuts"})


def tell_session(session_id: str) -> None:
    """A work session began, paused, went on or ended: who shows it looks again, after the commit."""
    _after_commit(session_group(session_id), {"type": "session.changed"})


def end_gateway(gateway_id: int) -> None:
    """Close a gateway's socket, because its token is worth nothing any more."""
    _after_commit(gateway_group(gateway_id), {"type": "gateway.end"})


def tell_approved(mac_address: str) -> None:
    """A plain client that waits on the provisioning socket may have its token."""
    _after_commit(provisioning_group(mac_address), {"type": "gateway.approved"})


def tell_viewers(gateway_id: int, event: dict[str, Any]) -> None:
    """Tell the pages that watch; `event` is JSON with a `type`: `weighings` says that records of this gateway came."""
    _after_commit(VIEWERS, {"type": "viewers.event", "gateway": gateway_id, "event": event})


def carry_by(carrier: Carrier) -> None:
    """From now on notices of this process go to `carrier`, which may be called from any thread and does not wait."""
    _carriers.append(carrier)


def carry_no_more(carrier: Carrier) -> None:
    """The serving process stops."""
    _carriers.remove(carrier)


def _say(type_: str, payload: Any) -> dict[str, Any]:
    message = {"type": type_} if payload is None else {"type": type_, "payload": payload}
    return {"type": "gateway.say", "message": message}


def _after_commit(group: str, message: dict[str, Any]) -> None:
    transaction.on_commit(partial(_send, group, message), robust=True)


def _send(group: str, message: dict[str, Any]) -> None:
    try:
        if _carriers:
            _carriers[-1](group, message)
        else:
            async_to_sync(_send_now)(group, {**message, "to": group})
    except (OSError, RedisError, RuntimeError) as error:  # a loop that is closing raises RuntimeError
        log.warning("a notice to %s was not passed on: %s", group, error)


async def _send_now(group: str, message: dict[str, Any]) -> None:
    layer = get_channel_layer()
    if layer is not None:
        async with asyncio.timeout(SEND_TIMEOUT_S):
            await layer.group_send(group, message)
