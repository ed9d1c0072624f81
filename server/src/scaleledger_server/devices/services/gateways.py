"""Gateways: asked for, approved, revoked, replaced; and their signs of life."""

import logging
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from scaleledger_server import notices, rates
from scaleledger_server.bodies import shown
from scaleledger_server.devices.models import Gateway, GatewayAlarm, IdentityConflict, ScannedPort, Station
from scaleledger_server.devices.services import alarms
from scaleledger_server.devices.services.cleaning import forget_waiting
from scaleledger_server.devices.services.stations import fresh_mark
from scaleledger_server.devices.services.tokens import end_tokens
from scaleledger_server.errors import Refusal
from scaleledger_server.limits import CONFLICTS_PER_GATEWAY_MAX, PENDING_GATEWAYS_MAX, PENDING_PER_NETWORK_MAX

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


def register(asked: Registration, now: datetime, *, claimed: bool = False) -> tuple[Gateway, bool]:
    """The gateway's row and whether it is new. A repeated registration renews hostname and addresses, nothing else.

    A gateway's key is bound at registration. Another key, or none where one is known, or one that comes only after the
    approval, raises Refusal `mac_conflict` and leaves an IdentityConflict for a person. Raises `rate_limited` when too
    many wait for approval, here or from the same network; who shows a claim code (`claimed`) does not wait. One that
    waits is forgotten when it was not heard for a day.
    """
    asked = replace(
        asked,
        hostname=shown(asked.hostname, 255),
        ip_address=shown(asked.ip_address, 39),
        name=shown(asked.name, 100),
    )
    gateway, created, conflict = _register(asked, now, claimed=claimed)
    if not conflict:
        return gateway, created
    _keep_conflict(gateway, asked, now)
    log.warning("gateway %s was claimed with another key from %s", gateway.mac_address, asked.remote_address)
    raise Refusal(
        409, "mac_conflict", "This MAC address is registered with another key. An administrator has to decide."
    )


@transaction.atomic
def _register(asked: Registration, now: datetime, *, claimed: bool) -> tuple[Gateway, bool, bool]:
    known = Gateway.objects.filter(mac_address=asked.mac_address).exclude(status=Gateway.Status.REPLACED)
    gateway = known.select_for_update().first()
    network = rates.network_of(asked.remote_address)
    labels = {"hostname": asked.hostname, "ip_address": asked.ip_address, "remote_network": network}
    if gateway is None:
        if not claimed:
            _check_room(network, now)
        gateway, created = Gateway.objects.exclude(status=Gateway.Status.REPLACED).get_or_create(
            mac_address=asked.mac_address, defaults={**labels, "name": asked.name, "public_key": asked.public_key}
        )
        return gateway, created, gateway.public_key != asked.public_key
    if gateway.public_key != asked.public_key:
        if gateway.public_key or gateway.status != Gateway.Status.PENDING:
            return gateway, False, True
        gateway = _take_over(gateway, asked.public_key)
    change(gateway, **labels)
    return gateway, False, False


def _check_room(network: str, now: datetime) -> None:
    """So that whoever floods from one place leaves room for the others."""
    forget_waiting(now)
    waiting = Gateway.objects.filter(status=Gateway.Status.PENDING)
    near = waiting.filter(remote_network=network).count()
    if near >= PENDING_PER_NETWORK_MAX or waiting.count() >= PENDING_GATEWAYS_MAX:
        raise Refusal(429, "rate_limited", "Too many gateways wait for approval already.", retry_after_s=600)


def _take_over(old: Gateway, public_key: str) -> Gateway:
    """One that waits without a key is followed by one that has it, in a row of its own.

    Were the key written into the row, a person who looks at the old one might approve a key that was never shown.
    """
    Gateway.objects.filter(pk=old.pk).update(status=Gateway.Status.REPLACED)
    new = _follow(old, public_key=public_key)
    ScannedPort.objects.filter(gateway=old).update(gateway=new)
    old.delete()
    return new


def _follow(old: Gateway, **fields: Any) -> Gateway:
    """A gateway that waits in the place of `old`, with its names and its stations."""
    new = Gateway.objects.create(
        mac_address=old.mac_address,
        name=old.name,
        description=old.description,
        stations_version=old.stations_version + 1,
        stations_mark=fresh_mark(),
        **fields,
    )
    Station.objects.filter(gateway=old).update(gateway=new)
    return new


@transaction.atomic
def _keep_conflict(gateway: Gateway, asked: Registration, now: datetime) -> None:
    """Keep who claimed this gateway's MAC address, counted by key; the newest of them when there are too many."""
    known = Gateway.objects.select_for_update().filter(pk=gateway.pk).exclude(status=Gateway.Status.REPLACED)
    if not known.exists():
        return  # it was replaced at this very moment; whoever asks again is judged anew
    facts = {
        "hostname": asked.hostname,
        "ip_address": asked.ip_address,
        "remote_address": asked.remote_address,
        "proved": asked.proved,
    }
    mine = IdentityConflict.objects.filter(gateway=gateway)
    row, created = mine.get_or_create(
        public_key=asked.public_key, defaults={**facts, "gateway": gateway, "first_seen": now, "last_seen": now}
    )
    if not created:
        newer = facts if asked.proved or not row.proved else {}
        mine.filter(pk=row.pk).update(last_seen=now, times=F("times") + 1, **newer)
    over = mine.order_by("-proved", "-last_seen", "-pk").values_list("pk", flat=True)[CONFLICTS_PER_GATEWAY_MAX:]
    mine.filter(pk__in=list(over)).delete()
    alarms.judge(gateway, {GatewayAlarm.Kind.IDENTITY: f"Claimed with another key from {asked.remote_address}."}, now)


def _locked(gateway: Gateway) -> Gateway:
    """The row as it is now; nobody else changes it until the transaction ends. Raises Refusal when it is gone."""
    found = Gateway.objects.select_for_update().filter(pk=gateway.pk).first()
    if found is None:
        raise Refusal(404, "gateway_unknown", "This gateway is not there any more. Look at the list again.")
    return found


def _in_place(gateway: Gateway) -> Gateway:
    """The row, locked. Raises Refusal when it was replaced."""
    found = _locked(gateway)
    if found.status == Gateway.Status.REPLACED:
        raise Refusal(409, "gateway_inactive", "This gateway was replaced. Look at the one that took its place.")
    return found


@transaction.atomic
def approve(gateway: Gateway, name: str = "") -> None:
    """From now on the gateway may have a token and write. What it was given before it was put out of use stays ended.

    Raises Refusal for one that was replaced, or is gone.
    """
    if _in_place(gateway).status == Gateway.Status.INACTIVE:
        end_tokens(gateway)
    change(gateway, status=Gateway.Status.ACTIVE, **({"name": name} if name else {}))
    if not gateway.public_key:
        notices.tell_approved(gateway.mac_address)


@transaction.atomic
def revoke(gateway: Gateway) -> None:
    """Put it out of use: its tokens are refused at once and for good, its socket is closed; its records stay.

    Raises Refusal for one that was replaced, or is gone. Who claims to be it is still to be decided, so that alarm stays.
    """
    _in_place(gateway)
    change(gateway, status=Gateway.Status.INACTIVE)
    over = [kind for kind in GatewayAlarm.Kind if kind != GatewayAlarm.Kind.IDENTITY]
    alarms.judge(gateway, dict.fromkeys(over), timezone.now())
    notices.end_gateway(gateway.pk)


@transaction.atomic
def rotate(gateway: Gateway) -> None:
    """All its tokens end at once; it proves its key again for a new one. Raises Refusal for one that was replaced."""
    _in_place(gateway)
    end_tokens(gateway)
    notices.end_gateway(gateway.pk)


def still_waits(gateway: Gateway, now: datetime) -> None:
    """A client that waits on an open socket is not one that nobody has heard of."""
    Gateway.objects.filter(pk=gateway.pk, status=Gateway.Status.PENDING).update(updated_at=now)


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
    over to the new one. Raises Refusal when somebody else has decided meanwhile.
    """
    old = _locked(conflict.gateway)
    if not IdentityConflict.objects.filter(pk=conflict.pk).exists():
        raise Refusal(409, "mac_conflict", "This claim was decided meanwhile. Look at the list again.")
    assert old.status != Gateway.Status.REPLACED, "the conflicts of a replaced gateway are gone"
    change(old, status=Gateway.Status.REPLACED)
    end_tokens(old)
    notices.end_gateway(old.pk)
    alarms.judge(old, dict.fromkeys(GatewayAlarm.Kind), now)
    new = _follow(
        old,
        public_key=conflict.public_key,
        hostname=conflict.hostname,
        ip_address=conflict.ip_address,
        remote_network=rates.network_of(conflict.remote_address),
    )
    old.identity_conflicts.all().delete()
    log.warning(
        "gateway %s was replaced: key %s took the place of %s", new.mac_address, new.fingerprint, old.fingerprint
    )
    return new


def change(gateway: Gateway, **fields: Any) -> None:
    """Write these fields alone, and read the row again."""
    Gateway.objects.filter(pk=gateway.pk).update(**fields, updated_at=timezone.now())
    gateway.refresh_from_db()
