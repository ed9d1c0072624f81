"""How often somebody may ask: fixed windows of a minute, counted in the cache (shared by all workers when Redis is there).

Counting is a protection, not a promise: while the cache is away nobody is turned away for it, and it is not waited for.
"""

import logging
import time
from functools import lru_cache
from ipaddress import ip_address, ip_network

from django.conf import settings
from django.core.cache import cache
from redis import Redis
from redis.exceptions import RedisError

from scaleledger_server.errors import Refusal

log = logging.getLogger(__name__)

WINDOW_S = 60
ANSWER_WITHIN_S = 1.0
AWAY_S = 10.0
_away_until_s = {"cache": 0.0}


def network_of(address: str) -> str:
    """Whom to count an address as: itself, or for IPv6 its /64, of which one customer has them all."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "unknown"
    return str(ip_network((parsed, 64), strict=False)) if parsed.version == 6 else str(parsed)


def spend(scope: str, who: str, per_minute: int) -> None:
    """Count one more request. Raises Refusal `rate_limited` beyond `per_minute` in this window."""
    if time.monotonic() < _away_until_s["cache"]:
        return
    try:
        count = _counted(f"rate:{scope}:{who}")
    except (OSError, RedisError) as error:
        _away_until_s["cache"] = time.monotonic() + AWAY_S
        log.warning("requests are not counted for %d s, the cache is away: %s", AWAY_S, error)
        return
    if count > per_minute:
        raise Refusal(429, "rate_limited", f"Too many requests ({scope}). Try again later.", retry_after_s=WINDOW_S)


@lru_cache(maxsize=4)
def _redis(url: str) -> Redis:
    return Redis.from_url(url, socket_timeout=ANSWER_WITHIN_S, socket_connect_timeout=ANSWER_WITHIN_S)


def _counted(key: str) -> int:
    """By Redis in one round trip, where Django's cache would take three; in one piece, so that no count lasts for ever."""
    if settings.REDIS_URL:
        both = _redis(settings.REDIS_URL).pipeline(transaction=True)
        both.set(key, 0, ex=WINDOW_S, nx=True)
        both.incr(key)
        return int(both.execute()[1])
    cache.add(key, 0, WINDOW_S)
    try:
        return int(cache.incr(key))
    except ValueError:  # the window ended between the two calls
        return 1
