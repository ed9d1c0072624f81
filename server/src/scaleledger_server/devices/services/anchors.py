"""How far a gateway's ledger reaches: the highest signed head, and the alarms about heads that cannot be believed."""

import logging
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F, Model

from scaleledger_server.devices.identity import Head
from scaleledger_server.devices.models import Gateway, HeadAlarm
from scaleledger_server.limits import ALARM_ROWS_MAX

log = logging.getLogger(__name__)


def keep_alarm(model: type[Model], key: dict[str, Any], facts: dict[str, Any], now: datetime) -> None:
    """One row per distinct alarm, counted; no new rows beyond the bound (the log still has them)."""
    rows = model._default_manager  # noqa: SLF001 - Django's public way to a model's rows
    with transaction.atomic():
        if rows.filter(**key).update(last_seen=now, times=F("times") + 1):
            return
        if rows.count() < ALARM_ROWS_MAX:
            rows.get_or_create(**key, defaults={**facts, "first_seen": now, "last_seen": now})


def raise_anchor(gateway: Gateway, head: Head, now: datetime) -> bool:
    """Keep the highest head of a ledger. A lower one changes nothing. Returns whether the head is believed.

    A head with a wrong signature (when the key is known), or another hash at the anchor's own number, is not believed:
    it is kept as a HeadAlarm and logged. Updates `gateway`'s anchor in place.
    """
    if gateway.public_key and not head.signed_by(gateway.public_key, gateway.mac_address):
        alarm_head(gateway, head, HeadAlarm.Kind.SIGNATURE, "", now)
        return False
    higher = Gateway.objects.filter(pk=gateway.pk, anchor_seq__lt=head.seq)
    if higher.update(anchor_seq=head.seq, anchor_hash=head.hash, anchor_signature=head.signature):
        gateway.anchor_seq, gateway.anchor_hash, gateway.anchor_signature = head.seq, head.hash, head.signature
        return True
    gateway.refresh_from_db(fields=["anchor_seq", "anchor_hash", "anchor_signature"])
    if gateway.anchor_seq == head.seq and gateway.anchor_hash != head.hash:
        alarm_head(gateway, head, HeadAlarm.Kind.CONFLICT, gateway.anchor_hash, now)
        return False
    return True


def alarm_head(gateway: Gateway, head: Head, kind: HeadAlarm.Kind, held_hash: str, now: datetime) -> None:
    """Keep and log a head that cannot be believed."""
    key = {"gateway": gateway, "kind": kind, "seq": head.seq, "hash": head.hash}
    keep_alarm(HeadAlarm, key, {"held_hash": held_hash}, now)
    log.warning("gateway %s: head %d is not believed (%s)", gateway.mac_address, head.seq, kind.label)
