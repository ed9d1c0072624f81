"""The only writer of gateways: registration, approval, signs of life, anchors."""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F, Model

from scaleledger_server.devices.identity import Head
from scaleledger_server.devices.models import Gateway, HeadAlarm, IdentityConflict
from scaleledger_server.errors import Refusal
from scaleledger_server.limits import ALARM_ROWS_MAX, PENDING_GATEWAYS_MAX

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Registration:
    """What a gateway says of itself. `remote_address` is where it was heard from."""

    mac_address: str
    hostname: str
    ip_address: str
    name: str
    public_key: str
    remote_address: str


@transaction.atomic
def _register(asked: Registration) -> tuple[Gateway, bool, bool]:
    gateway = Gateway.objects.filter(mac_address=asked.mac_address).first()
    if gateway is None:
        if Gateway.objects.filter(status=Gateway.Status.PENDING).count() >= PENDING_GATEWAYS_MAX:
            raise Refusal(429, "rate_limited", "Too many gateways wait for approval already.", retry_after_s=600)
        return *_create(asked), False
    if gateway.public_key != asked.public_key:
        if gateway.public_key or gateway.status != Gateway.Status.PENDING:
            return gateway, False, True
        gateway.public_key = asked.public_key
    gateway.hostname, gateway.ip_address = asked.hostname, asked.ip_address
    gateway.save(update_fields=["hostname", "ip_address", "public_key", "updated_at"])
    return gateway, False, False


def _create(asked: Registration) -> tuple[Gateway, bool]:
    return Gateway.objects.get_or_create(
        mac_address=asked.mac_address,
        defaults={
            "hostname": asked.hostname,
            "ip_address": asked.ip_address,
            "name": asked.name,
            "public_key": asked.public_key,
        },
    )


def register(asked: Registration, now: datetime) -> tuple[Gateway, bool]:
    """The gateway's row and whether it is new. A repeated registration renews hostname and address, nothing else.

    A gateway's key is bound at registration. Another key, or none where one is known, or one that comes only after the
    approval, raises Refusal `mac_conflict` and leaves an IdentityConflict for a person. Raises `rate_limited` when too
    many wait for approval.
    """
    gateway, created, conflict = _register(asked)
    if not conflict:
        return gateway, created
    keep_alarm(
        IdentityConflict,
        {"gateway": gateway, "public_key": asked.public_key},
        {"hostname": asked.hostname, "ip_address": asked.ip_address, "remote_address": asked.remote_address},
        now,
    )
    log.warning("gateway %s was claimed with another key from %s", gateway.mac_address, asked.remote_address)
    raise Refusal(
        409, "mac_conflict", "This MAC address is registered with another key. An administrator has to decide."
    )


def keep_alarm(model: type[Model], key: dict[str, Any], facts: dict[str, Any], now: datetime) -> None:
    """One row per distinct alarm, counted; no new rows beyond the bound (the log still has them)."""
    rows = model._default_manager  # noqa: SLF001 - Django's public way to a model's rows
    with transaction.atomic():
        if rows.filter(**key).update(last_seen=now, times=F("times") + 1):
            return
        if rows.count() < ALARM_ROWS_MAX:
            rows.get_or_create(**key, defaults={**facts, "first_seen": now, "last_seen": now})


def approve(gateway: Gateway) -> None:
    """From now on the gateway gets its token and may write."""
    _set(gateway, status=Gateway.Status.ACTIVE)


def deactivate(gateway: Gateway) -> None:
    """Its token is recognised and refused; its records stay."""
    _set(gateway, status=Gateway.Status.INACTIVE)


def rotate_token(gateway: Gateway) -> None:
    """The present token ends at once; the next SYNC gives the new one."""
    _set(gateway, token_generation=F("token_generation") + 1)


def describe(gateway: Gateway, name: str, description: str) -> None:
    """A person's own words for the gateway."""
    _set(gateway, name=name, description=description)


def note_heartbeat(gateway: Gateway, reported: dict[str, Any], now: datetime) -> None:
    """The gateway lives. An empty report leaves the last one standing."""
    if reported:
        _set(gateway, last_heartbeat=now, reported=reported)
    else:
        _set(gateway, last_heartbeat=now)


def _set(gateway: Gateway, **fields: Any) -> None:
    Gateway.objects.filter(pk=gateway.pk).update(**fields)
    gateway.refresh_from_db()


def raise_anchor(gateway: Gateway, head: Head, now: datetime) -> None:
    """Keep the highest head of a ledger. A lower one changes nothing.

    A head with a wrong signature (when the key is known), or another hash at the anchor's own number, is not believed:
    it is kept as a HeadAlarm and logged. Updates `gateway`'s anchor in place.
    """
    if gateway.public_key and not head.signed_by(gateway.public_key, gateway.mac_address):
        alarm_head(gateway, head, HeadAlarm.Kind.SIGNATURE, "", now)
        return
    higher = Gateway.objects.filter(pk=gateway.pk, anchor_seq__lt=head.seq)
    if higher.update(anchor_seq=head.seq, anchor_hash=head.hash, anchor_signature=head.signature):
        gateway.anchor_seq, gateway.anchor_hash, gateway.anchor_signature = head.seq, head.hash, head.signature
        return
    gateway.refresh_from_db(fields=["anchor_seq", "anchor_hash", "anchor_signature"])
    if gateway.anchor_seq == head.seq and gateway.anchor_hash != head.hash:
        alarm_head(gateway, head, HeadAlarm.Kind.CONFLICT, gateway.anchor_hash, now)


def alarm_head(gateway: Gateway, head: Head, kind: HeadAlarm.Kind, held_hash: str, now: datetime) -> None:
    """Keep and log a head that cannot be believed."""
    key = {"gateway": gateway, "kind": kind, "seq": head.seq, "hash": head.hash}
    keep_alarm(HeadAlarm, key, {"held_hash": held_hash}, now)
    log.warning("gateway %s: head %d is not believed (%s)", gateway.mac_address, head.seq, kind.label)
