"""Who is logged in: in memory, so a restart of the gateway ends every login."""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from scaleledger.web.access import Access

SESSIONS_MAX = 500
IDLE_S = 4 * 3600.0


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who a request comes from. `csrf` must come back with every write; it is empty for a token, which needs none."""

    name: str
    role: Access
    csrf: str = ""

    def may(self, access: Access) -> bool:
        """Whether a route of this kind is for this visitor."""
        return access is not Access.ADMIN or self.role is Access.ADMIN


@dataclass(slots=True)
class _Session:
    visitor: Visitor
    ends_at: float
    used_at: float


class Sessions:
    """Logins under way, by the hash of their cookie. `lifetime_s` is absolute; an idle one ends after four hours."""

    def __init__(self, monotonic: Callable[[], float], lifetime_s: float) -> None:
        self._monotonic = monotonic
        self.lifetime_s = lifetime_s
        self._sessions: dict[str, _Session] = {}

    def begin(self, name: str, role: Access) -> str:
        """A new login; returns what the cookie holds."""
        now = self._monotonic()
        for key in [key for key, kept in self._sessions.items() if self._is_over(kept, now)]:
            del self._sessions[key]
        while len(self._sessions) >= SESSIONS_MAX:
            del self._sessions[min(self._sessions, key=lambda key: self._sessions[key].used_at)]
        secret = secrets.token_urlsafe(32)
        visitor = Visitor(name, role, secrets.token_urlsafe(24))
        self._sessions[_key(secret)] = _Session(visitor, now + self.lifetime_s, now)
        return secret

    def visitor(self, secret: str) -> Visitor | None:
        """Whose login this cookie stands for; None when it is none, or over."""
        found, now = self._sessions.get(_key(secret)), self._monotonic()
        if found is None:
            return None
        if self._is_over(found, now):
            del self._sessions[_key(secret)]
            return None
        found.used_at = now
        return found.visitor

    def end(self, secret: str) -> None:
        """Log out."""
        self._sessions.pop(_key(secret), None)

    def end_all_of(self, name: str) -> None:
        """End every login of a person, as after a change of the password."""
        for key in [key for key, kept in self._sessions.items() if kept.visitor.name == name]:
            del self._sessions[key]

    @staticmethod
    def _is_over(kept: _Session, now: float) -> bool:
        return now >= kept.ends_at or now - kept.used_at > IDLE_S


def same(told: str, wanted: str) -> bool:
    """Compare two secrets in constant time; an empty one is equal to nothing."""
    return bool(wanted) and hmac.compare_digest(told.encode("utf-8", "replace"), wanted.encode())


def _key(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
