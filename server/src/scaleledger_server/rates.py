"""How often somebody may ask: fixed windows of a minute, counted in the cache (shared by all workers when Redis is there)."""

from django.core.cache import cache

from scaleledger_server.errors import Refusal

WINDOW_S = 60


def spend(scope: str, who: str, per_minute: int) -> None:
    """Count one more request. Raises Refusal `rate_limited` beyond `per_minute` in this window."""
    key = f"rate:{scope}:{who}"
    cache.add(key, 0, WINDOW_S)
    try:
        count = cache.incr(key)
    except ValueError:  # the window ended between the two calls
        return
    if count > per_minute:
        raise Refusal(429, "rate_limited", f"Too many requests ({scope}). Try again later.", retry_after_s=WINDOW_S)
