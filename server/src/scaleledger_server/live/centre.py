"""What the sockets ask of the database, each in a thread of its own and bounded in number."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from channels.db import database_sync_to_async
from django.conf import settings
from django.utils import timezone

from scaleledger_server import rates
from scaleledger_server.devices import queries, services
from scaleledger_server.devices.identity import normal_mac
from scaleledger_server.devices.models import AccessToken, Gateway
from scaleledger_server.errors import Invalid, Refusal
from scaleledger_server.live.messages import Identity

QUERIES_AT_ONCE_MAX = 8

_P = ParamSpec("_P")
_R = TypeVar("_R")
_at_once = asyncio.Semaphore(QUERIES_AT_ONCE_MAX)


async def ask(question: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
    """Run a function that uses the database in a thread; so many at once, the others wait."""
    async with _at_once:
        return await database_sync_to_async(question, thread_sensitive=False)(*args, **kwargs)


def plain_clients() -> bool:
    """Whether clients that prove no key are taken here."""
    return bool(settings.PLAIN_CLIENTS)


async def may_connect(gateway_id: int, credentials: str) -> bool:
    """Whether this Authorization header (or none, of a plain client) may speak for this gateway."""
    return await ask(_may_connect, gateway_id, credentials)


def _may_connect(gateway_id: int, credentials: str) -> bool:
    if credentials:
        try:
            return queries.by_authorization(credentials).pk == gateway_id
        except Refusal:
            return False
    if not settings.PLAIN_CLIENTS:
        return False
    return Gateway.objects.filter(pk=gateway_id, status=Gateway.Status.ACTIVE, public_key="").exists()


async def keep_scan(gateway_id: int, ports: list[dict[str, object]]) -> None:
    """Keep the ports a gateway found."""
    await ask(_keep_scan, gateway_id, ports)


def _keep_scan(gateway_id: int, ports: list[dict[str, object]]) -> None:
    gateway = Gateway.objects.filter(pk=gateway_id).first()
    if gateway is not None:
        services.keep_scan(gateway, ports, timezone.now())


async def register(identity: Identity, address: str) -> str:
    """Register a plain client as pending; its MAC address in normal form. Raises Refusal."""
    return await ask(_register, identity, address)


def _register(identity: Identity, address: str) -> str:
    rates.spend("registrations", rates.network_of(address), settings.REGISTRATIONS_PER_MINUTE)
    mac_address = normal_mac(identity.mac_address)
    if mac_address is None:
        raise Invalid("mac_address must be six bytes in hex, such as 02:5a:1e:d6:e4:01.", "mac_address")
    name = identity.hostname[:100]
    asked = services.Registration(mac_address, identity.hostname, identity.ip_address, name, "", address)
    services.register(asked, timezone.now())
    return mac_address


async def plain_token(mac_address: str) -> str:
    """A token for a plain client once an administrator has approved it; "" until then."""
    return await ask(_plain_token, mac_address)


def _plain_token(mac_address: str) -> str:
    gateway = queries.by_mac(mac_address)
    if not settings.PLAIN_CLIENTS or gateway is None or gateway.public_key:
        return ""
    if gateway.status != Gateway.Status.ACTIVE:
        services.still_waits(gateway, timezone.now())
        return ""
    return services.issue_token(gateway, AccessToken.How.PLAIN, timezone.now())
