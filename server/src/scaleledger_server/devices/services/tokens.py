"""Tokens: random, told once, kept as a hash, a bounded number side by side."""

import secrets
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q

from scaleledger_server.devices.identity import token_digest
from scaleledger_server.devices.models import AccessToken, Gateway

LIVE_TOKENS_MAX = 8
USE_NOTED_EVERY = timedelta(minutes=1)
OVER_KEPT = timedelta(days=7)  # so long a token whose time is over is still told apart from an unknown one


def token_ends_at(how: str, now: datetime) -> datetime | None:
    """When a token given out now ends. A client that proves no key cannot renew, so its token lasts until it is ended."""
    if how in {AccessToken.How.PLAIN, AccessToken.How.SHOWN}:
        return None
    return now + timedelta(hours=settings.TOKEN_HOURS)


@transaction.atomic
def issue_token(gateway: Gateway, how: str, now: datetime) -> str:
    """A new token for this gateway: 43 characters, not to be had again. `how` is one of AccessToken.How.

    The gateway's others go on, but at most 8 that were given out in the same way live side by side: never-used ones go
    first, then those unused for longest. So whoever knows a MAC address ends none that an administrator handed out.
    """
    token = secrets.token_urlsafe(32)
    Gateway.objects.select_for_update().get(pk=gateway.pk)  # so that two at once do not both count seven
    mine = AccessToken.objects.filter(gateway=gateway)
    mine.filter(expires_at__lt=now - OVER_KEPT).delete()
    live = mine.filter(Q(expires_at__isnull=True) | Q(expires_at__gt=now), how=how)
    staying = F("last_used_at").desc(nulls_last=True), "-issued_at", "-pk"
    leaving = live.order_by(*staying).values_list("pk", flat=True)[LIVE_TOKENS_MAX - 1 :]
    mine.filter(pk__in=list(leaving)).delete()
    AccessToken.objects.create(
        gateway=gateway, digest=token_digest(token), how=how, issued_at=now, expires_at=token_ends_at(how, now)
    )
    return token


def end_tokens(gateway: Gateway) -> None:
    """None of its tokens is known any more."""
    AccessToken.objects.filter(gateway=gateway).delete()


def note_use(token: AccessToken, now: datetime) -> None:
    """Remember, to the minute, that the token was used."""
    if token.last_used_at is None or now - token.last_used_at >= USE_NOTED_EVERY:
        AccessToken.objects.filter(pk=token.pk).update(last_used_at=now)


def purge_tokens(now: datetime) -> None:
    """Forget tokens that have been over for a week."""
    AccessToken.objects.filter(expires_at__lt=now - OVER_KEPT).delete()
