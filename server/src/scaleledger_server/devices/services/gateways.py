"""Gateways: asked for, approved, revoked, replaced; and their signs of life."""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from scaleledger_server import notices
from scaleledger_server.devices.models import Gateway, GatewayAlarm, IdentityConflict, Station
from scaleledger_server.devices.services import alarms
from scaleledger_server.devices.services.anchors import keep_alarm
from scaleledger_server.devices.services.cleaning import forget_waiting
from scaleledger_server.devices.services.tokens import end_tokens
from scaleledger_server.errors import Refusal
from scaleledger_server.limits import PENDING_GATEWAYS_MAX

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Registration:
    """What a gateway says of itself. `remote_address` is where it was heard from; `proved`: it showed that it holds the key."""

    mac_address: str
    hostname: str
    ip_address: str
    name: str
    public_key: str
    remote_address: str
    proved: bool = False


def register(asked: Registration, now: datetime) -> tuple[Gateway, bool]:
    """The gateway's row and whether it is new. A repeated registration renews hostname and address, nothing else.

    A gateway's key is bound at registration. Another key, or none where one is known, or one that comes only after the
    approval, raises Refusal `mac_conflict` and leaves an IdentityConflict for a person. Raises `rate_limited` when too
    many wait for approval; one that waits is forgotten when it was not heard for a day.
    """
    gateway, created, conflict = _register(asked, now)
    if not conflict:
        return gateway, created
    keep_alarm(
        IdentityConflict,
        {"gateway": gateway, "public_key": asked.public_key},
        {
            "hostname": asked.hostname,
            "ip_address": asked.ip_address,
            "remote_address": asked.remote_address,
            "proved": asked.proved,
        },
        now,
    )
    if asked.proved:
        gateway.identity_conflicts.filter(public_key=asked.public_key).update(proved=True)
    alarms.judge(gateway, {GatewayAlarm.Kind.IDENTITY: f"Claimed with another key from {asked.remote_address}."}, now)
    log.warning("gateway %s was claimed with another key from %s", gateway.mac_address, asked.remote_address)
    raise Refusal(
        409, "mac_conflict", "This MAC address is registered with another key. An administrator has to decide."
    )


@transaction.atomic
def _register(asked: Registration, now: datetime) -> tuple[Gateway, bool, bool]:
    gateway = present(asked.mac_address)
    if gateway is None:
        forget_waiting(now)
        if Gateway.objects.filter(status=Gateway.Status.PENDING).count() >= PENDING_GATEWAYS_MAX:
            raise Refusal(429, "rate_limited", "Too many gateways wait for approval already.", retry_after_s=600)
        gateway, created = Gateway.objects.exclude(status=Gateway.Status.REPLACED).get_or_create(
            mac_address=asked.mac_address,
            defaults={
                "hostname": asked.hostname,
                "ip_address": asked.ip_address,
                "name": asked.name,
                "public_key": asked.public_key,
            },
        )
        return gateway, created, gateway.public_key != asked.public_key
    if gateway.public_key != asked.public_key:
        if gateway.public_key or gateway.status != Gateway.Status.PENDING:
            return gateway, False, True
        gateway.public_key = asked.public_key
    gateway.hostname, gateway.ip_address = asked.hostname, asked.ip_address
    gateway.save(update_fields=["hostname", "ip_address", "public_key", "updated_at"])
    return gateway, False, False


def present(mac_address: str) -> Gateway | None:
    """The row that bears this MAC address now."""
    return Gateway.objects.filter(mac_address=mac_address).exclude(status=Gateway.Status.REPLACED).first()


@transaction.atomic
def approve(gateway: Gateway, name: str = "") -> None:
    """From now on the gateway may have a token and write. What it was given before it was put out of use stays ended."""
    if gateway.status == Gateway.Status.REPLACED:
        raise Refusal(409, "gateway_inactive", "This gateway was replaced. Approve the one that took its place.")
    if gateway.status == Gateway.Status.INACTIVE:
        end_tokens(gateway)
    change(gateway, status=Gateway.Status.ACTIVE, **({"name": name} if name else {}))
    if not gateway.public_key:
        notices.tell_approved(gateway.mac_address)


@transaction.atomic
def revoke(gateway: Gateway) -> None:
    """Put it out of use: its tokens are refused at once and for good, its socket is closed; its records stay."""
    if gateway.status == Gateway.Status.REPLACED:
        return
    change(gateway, status=Gateway.Status.INACTIVE)
    alarms.judge(gateway, dict.fromkeys(GatewayAlarm.Kind), timezone.now())
    notices.end_gateway(gateway.pk)


@transaction.atomic
def rotate(gateway: Gateway) -> None:
    """All its tokens end at once; it proves its key again for a new one."""
    end_tokens(gateway)
    notices.end_gateway(gateway.pk)


def describe(gateway: Gateway, name: str, description: str) -> None:
    """A person's own words for the gateway."""
    change(gateway, name=name, description=description)


def note_heartbeat(gateway: Gateway, reported: dict[str, Any], now: datetime) -> None:
    """The gateway lives; alarms open and close by what it says. An empty report leaves the last one standing."""
    Gateway.objects.filter(pk=gateway.pk).update(last_heartbeat=now, **({"reported": reported} if reported else {}))
    gateway.last_heartbeat = now
    gateway.reported = reported or gateway.reported
    alarms.judge_heartbeat(gateway, reported, now)


@transaction.atomic
def keep_identity(conflict: IdentityConflict, now: datetime) -> None:
    """The known gateway stays what it is; the claim is dropped. It comes again if somebody claims again."""
    gateway = conflict.gateway
    conflict.delete()
    if not gateway.identity_conflicts.exists():
        alarms.judge(gateway, {GatewayAlarm.Kind.IDENTITY: None}, now)


@transaction.atomic
def replace_identity(conflict: IdentityConflict, now: datetime) -> Gateway:
    """The claim is right: the machine behind this MAC address is another one now. Returns it, to be approved.

    The old row keeps its records and its own key, and loses its tokens, its socket and the MAC address; the stations go
    over to the new one.
    """
    old = Gateway.objects.select_for_update().get(pk=conflict.gateway_id)
    assert old.status != Gateway.Status.REPLACED, "the conflicts of a replaced gateway are gone"
    change(old, status=Gateway.Status.REPLACED)
    end_tokens(old)
    notices.end_gateway(old.pk)
    alarms.judge(old, dict.fromkeys(GatewayAlarm.Kind), now)
    new = Gateway.objects.create(
        mac_address=old.mac_address,
        public_key=conflict.public_key,
        hostname=conflict.hostname,
        ip_address=conflict.ip_address,
        name=old.name,
        description=old.description,
        stations_version=old.stations_version + 1,
    )
    Station.objects.filter(gateway=old).update(gateway=new)
    old.identity_conflicts.all().delete()
    log.warning(
        "gateway %s was replaced: key %s took the place of %s", new.mac_address, new.fingerprint, old.fingerprint
    )
    return new


def change(gateway: Gateway, **fields: Any) -> None:
    """Write these fields alone, and read the row again."""
    Gateway.objects.filter(pk=gateway.pk).update(**fields, updated_at=timezone.now())
    gateway.refresh_from_db()
