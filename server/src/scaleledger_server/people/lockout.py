"""Guessing gets slower: a growing wait per account and address, counted in the cache.

A try is counted before it is judged, so that many at once gain nothing. The pair of account and address locks soonest;
an address alone later, so that one shared by a whole office is not shut by one typist; an account alone latest and only
for a minute, so that nobody can lock out a person from afar.
"""

import hashlib
import logging
from time import time
from typing import NamedTuple

from django.core.cache import cache
from django.utils.translation import gettext as _
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

MEMORY_S = 3600


class Allowance(NamedTuple):
    """Tries that cost nothing, and the longest wait after more."""

    tries: int
    longest_s: int


PAIR, ADDRESS, ACCOUNT = Allowance(5, 900), Allowance(20, 900), Allowance(50, 60)


class Locked(Exception):
    """Too many tries. `wait_s` whole seconds are left."""

    def __init__(self, wait_s: int) -> None:
        super().__init__(_("Too many tries. Wait {seconds} s and try again.").format(seconds=wait_s))
        self.wait_s = wait_s


def count_try(account: str, address: str) -> None:
    """Call before a password or a code is judged. Raises Locked while the wait lasts; the try is then not counted."""
    now_s = time()
    try:
        keys = _keys(account, address)
        until_s = max((float(cache.get(f"{key}:until") or 0) for key in keys), default=0)
        if until_s > now_s:
            raise Locked(int(until_s - now_s) + 1)
        for key, allowance in keys.items():
            _count(key, allowance, now_s)
    except (OSError, RedisError) as error:
        log.warning("tries cannot be counted while the cache is away: %s", error)


def forget(account: str, address: str) -> None:
    """The try was right: this account is free again. What the address did elsewhere is remembered."""
    try:
        for key, allowance in _keys(account, address).items():
            if allowance is not ADDRESS:
                cache.delete_many([key, f"{key}:until"])
    except (OSError, RedisError) as error:
        log.warning("tries cannot be forgotten while the cache is away: %s", error)


def _count(key: str, allowance: Allowance, now_s: float) -> None:
    cache.add(key, 0, MEMORY_S)
    try:
        tries = cache.incr(key)
    except ValueError:  # forgotten between the two calls
        return
    if tries >= allowance.tries:
        wait_s = min(allowance.longest_s, 2 ** min(tries - allowance.tries, 20))
        cache.set(f"{key}:until", now_s + wait_s, MEMORY_S)


def _keys(account: str, address: str) -> dict[str, Allowance]:
    name = account.strip().casefold()
    parts = {f"pair\n{name}\n{address}": PAIR, f"address\n{address}": ADDRESS, f"account\n{name}": ACCOUNT}
    return {f"tries:{hashlib.sha256(part.encode()).hexdigest()}": allowance for part, allowance in parts.items()}
