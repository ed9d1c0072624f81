"""Who may work at scales: people with the right "operate", and staff; with their second factor where they have one.

These pages do things, so the setting that opens pages to everybody on a closed network does not open them. Who operates need
not be an administrator, so there is a login of their own.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from scaleledger_server.people import factors
from scaleledger_server.people.door import to_factor
from scaleledger_server.people.forms import LoginForm

View = Callable[..., HttpResponse]


class OperatorLogin(LoginForm):
    """Name and password of anybody who is active; what they may do is asked afterwards."""

    def confirm_login_allowed(self, user: Any) -> None:
        if not user.is_active:
            raise self.get_invalid_login_error()


def may_operate(user: Any) -> bool:
    """Whether this person may start and end sessions."""
    return bool(user.is_active and (user.is_staff or user.has_perm("shifts.operate")))


def lacking(user: Any) -> str:
    """What keeps a person from these pages: "login", "setup" or "verify" of the second factor, "right", or "" for nothing."""
    if not user.is_authenticated:
        return "login"
    return factors.missing(user) or ("" if may_operate(user) else "right")


def for_operators(view: View) -> View:
    """A page for people who may operate; others are led to the login, the second factor, or told whom to ask (403)."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        lacks = lacking(request.user)
        if lacks == "login":
            return redirect_to_login(request.get_full_path(), reverse("shifts-login"))
        if lacks == "right":
            return render(request, "shifts/no_right.html", status=403)
        return to_factor(request, lacks) if lacks else view(request, *args, **kwargs)

    return guarded
