"""Forgetting what is over: used challenges, old tokens and codes, gateways that nobody approved, alarms of long ago."""

from datetime import datetime, timedelta

from scaleledger_server.devices.models import ClaimCode, Gateway, GatewayAlarm, UsedChallenge
from scaleledger_server.devices.services.tokens import purge_tokens

PENDING_KEPT = timedelta(hours=24)
CHALLENGES_KEPT = timedelta(hours=1)  # longer than they are good for: the clocks of two workers may differ
CODES_KEPT = timedelta(days=30)
ALARMS_KEPT = timedelta(days=365)


def forget_waiting(now: datetime) -> None:
    """Gateways that wait for approval and were not heard for a day; none that anybody has given stations to."""
    silent = Gateway.objects.filter(status=Gateway.Status.PENDING, updated_at__lt=now - PENDING_KEPT)
    silent.filter(anchor_seq=0, head_alarms=None, tokens=None, stations=None).delete()


def forget(now: datetime) -> None:
    """Everything that is over at `now`."""
    forget_waiting(now)
    purge_tokens(now)
    UsedChallenge.objects.filter(expires_at__lt=now - CHALLENGES_KEPT).delete()
    ClaimCode.objects.filter(expires_at__lt=now - CODES_KEPT).delete()
    GatewayAlarm.objects.filter(closed_at__lt=now - ALARMS_KEPT).delete()
