"""Logins in the log: who, from where, how it ended. Never a password, nor a name that may be one typed in the wrong field."""

import logging
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, User
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.http import HttpRequest

log = logging.getLogger(__name__)


def address_of(request: HttpRequest | None) -> str:
    """Where a request came from; behind a proxy, what the proxy says."""
    return str(request.META.get("REMOTE_ADDR", "")) if request else ""


def event(what: str, user: Any, request: HttpRequest | None) -> None:
    """One line about a person's account."""
    log.info("%s: %s from %s", what, user.get_username() if user else "nobody", address_of(request) or "here")


def listen() -> None:
    """Hear of every login, whichever way it comes."""
    user_logged_in.connect(_logged_in, dispatch_uid="audit")
    user_logged_out.connect(_logged_out, dispatch_uid="audit")
    user_login_failed.connect(_login_failed, dispatch_uid="audit")


def _logged_in(user: AbstractBaseUser, request: HttpRequest | None = None, **_: Any) -> None:
    event("login", user, request)


def _logged_out(user: AbstractBaseUser | None, request: HttpRequest | None = None, **_: Any) -> None:
    event("logout", user, request)


def _login_failed(credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    name = str(credentials.get("username", ""))[:150]
    known = "\0" not in name and User.objects.filter(username=name).exists()
    log.warning("login refused: %s from %s", name if known else "an unknown account", address_of(request) or "here")
