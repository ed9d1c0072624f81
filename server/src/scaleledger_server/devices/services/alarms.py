"""Alarms: opened and closed by what gateways say, and by what they do not say; mailed once each.

What goes back and forth is one alarm: it closes only well on the other side of its limit, and when it comes back within a
quarter of an hour it is the same one again, which nobody is told of twice.
"""

import logging
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.mail import mail_managers
from django.db import transaction
from django.db.models import Q

from scaleledger_server.bodies import shown
from scaleledger_server.devices.models import Gateway, GatewayAlarm
from scaleledger_server.devices.services import cleaning

log = logging.getLogger(__name__)

Kind = GatewayAlarm.Kind
CLOCK_OFFSET_MAX_MS, CLOCK_OFFSET_FINE_MS = 60_000, 30_000
DISK_FREE_MIN, DISK_FREE_FINE = 10, 12  # percent
SAME_AGAIN = timedelta(minutes=15)
AT_ONCE_MAX = 1_000
MAIL_PAUSE_S = 60.0
_mail_again_s = {"at": 0.0}


def judge(gateway: Gateway, wanted: Mapping[Kind, str | None], now: datetime) -> None:
    """Open the alarms that have words and close those that have None; kinds that are not named stay as they are."""
    standing = {alarm.kind: alarm for alarm in GatewayAlarm.objects.filter(gateway=gateway, closed_at__isnull=True)}
    for kind, detail in wanted.items():
        alarm = standing.get(kind)
        if alarm is None and detail is not None:
            _open(gateway, kind, detail[:500], now)
        elif alarm is not None and detail is None:
            GatewayAlarm.objects.filter(pk=alarm.pk, closed_at__isnull=True).update(closed_at=now)
            log.info("gateway %s: over: %s", gateway.mac_address, kind.label)
        elif alarm is not None and detail is not None and alarm.detail != detail[:500]:
            GatewayAlarm.objects.filter(pk=alarm.pk).update(detail=detail[:500])


def _open(gateway: Gateway, kind: Kind, detail: str, now: datetime) -> None:
    with transaction.atomic():
        mine = GatewayAlarm.objects.filter(gateway=gateway, kind=kind)
        if mine.filter(closed_at__isnull=True).exists():
            return
        last = mine.filter(closed_at__gt=now - SAME_AGAIN).order_by("-closed_at").first()
        if last is not None:
            mine.filter(pk=last.pk).update(closed_at=None, detail=detail)
            return
        _, created = mine.get_or_create(
            closed_at=None, defaults={"gateway": gateway, "kind": kind, "detail": detail, "opened_at": now}
        )
    if created:
        log.warning("gateway %s: %s: %s", gateway.mac_address, kind.label, detail)


def judge_heartbeat(gateway: Gateway, reported: Mapping[str, Any], now: datetime) -> None:
    """It spoke, so it is not late; the rest follows from what it said. What it does not speak of stays as it is."""
    wanted: dict[Kind, str | None] = {Kind.LATE: None}
    offset_ms = reported.get("clock_offset_ms")
    if offset_ms is not None and abs(offset_ms) > CLOCK_OFFSET_MAX_MS:
        wanted[Kind.CLOCK] = f"Its clock is off by {offset_ms / 1000:.0f} s. Set the clock there."
    elif offset_ms is not None and abs(offset_ms) <= CLOCK_OFFSET_FINE_MS:
        wanted[Kind.CLOCK] = None
    free, total = reported.get("disk_free_bytes"), reported.get("disk_total_bytes")
    if free is not None and total and free * 100 < total * DISK_FREE_MIN:
        wanted[Kind.DISK] = f"{free * 100 // total} % of its disk is free. Make room there."
    elif free is not None and total and free * 100 >= total * DISK_FREE_FINE:
        wanted[Kind.DISK] = None
    if "quarantined" in reported:
        count = reported["quarantined"]
        wanted[Kind.QUARANTINED] = f"{count} records were refused and set aside there. Look at why." if count else None
    if "stations_refused" in reported:
        wanted[Kind.STATIONS_REFUSED] = _refused_words(reported["stations_refused"])
    judge(gateway, wanted, now)


def _refused_words(refused: list[dict[str, str]]) -> str | None:
    words = "; ".join(shown(f"{entry['name']}: {entry['reason']}", 400) for entry in refused[:5])
    return f"{words}. Correct the station here, or free its port there." if words else None


def watch(now: datetime, since: datetime | None = None) -> int:
    """Find who is late, mail what is new, forget what is over. Returns how many alarms are open. Any worker may call it.

    A gateway is late when it is active and its last sign of life is older than the setting says. `since` is from when on
    this server could have heard one: after a rest of its own nobody is late at once.
    """
    silent = timedelta(seconds=settings.LATE_S)
    if since is None or now - since >= silent:
        _find_late(now - silent, now)
    idle = GatewayAlarm.objects.filter(closed_at__isnull=True).exclude(gateway__status=Gateway.Status.ACTIVE)
    idle.exclude(kind=Kind.IDENTITY).update(closed_at=now)  # opened in the very moment in which it was put out of use
    _mail_new(now)
    cleaning.forget(now)
    return GatewayAlarm.objects.filter(closed_at__isnull=True).count()


def _find_late(limit: datetime, now: datetime) -> None:
    silent = Gateway.objects.filter(status=Gateway.Status.ACTIVE, last_heartbeat__lt=limit)
    told = GatewayAlarm.objects.filter(kind=Kind.LATE, closed_at__isnull=True)
    for gateway in silent.exclude(alarms__in=told).order_by("pk")[:AT_ONCE_MAX]:
        with transaction.atomic():
            if silent.select_for_update().filter(pk=gateway.pk).exists():  # it may have spoken meanwhile
                words = f"No sign of life since {gateway.last_heartbeat:%Y-%m-%d %H:%M:%S} UTC. "
                _open(gateway, Kind.LATE, words + "Look at its power and its network.", now)


def _mail_new(now: datetime) -> None:
    if not settings.MANAGERS or time.monotonic() < _mail_again_s["at"]:
        return
    fresh = GatewayAlarm.objects.filter(closed_at__isnull=True, told_at__isnull=True).select_related("gateway")
    mine = [
        alarm
        for alarm in fresh[:AT_ONCE_MAX]
        if GatewayAlarm.objects.filter(Q(pk=alarm.pk), told_at__isnull=True).update(told_at=now)
    ]  # whoever marks it first mails it
    if not mine:
        return
    lines = [
        f"{alarm.gateway}\n  {alarm.get_kind_display()}: {alarm.detail}\n  since {alarm.opened_at:%Y-%m-%d %H:%M:%S} UTC"
        for alarm in mine
    ]
    try:
        mail_managers(f"{len(mine)} new alarms" if len(mine) > 1 else "A new alarm", "\n\n".join(lines))
    except OSError as error:  # of which what an SMTP server says is one kind
        _mail_again_s["at"] = time.monotonic() + MAIL_PAUSE_S
        GatewayAlarm.objects.filter(pk__in=[alarm.pk for alarm in mine]).update(told_at=None)
        log.error("alarms could not be mailed; trying again in %.0f s: %s", MAIL_PAUSE_S, error)
