"""Who is let through to the pages: by network, by second factor, and not after half an hour away."""

import ipaddress
from collections.abc import Callable
from functools import wraps
from time import time
from typing import Any

from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse

from scaleledger_server.people import factors
from scaleledger_server.people.audit import address_of, event

ADMIN = "/admin"
OPEN_ADMIN_PATHS = ("/admin/login/", "/admin/logout/", "/admin/jsi18n/", "/admin/second-factor/")
SEEN_AT, SEEN_STEP_S = "seen_at", 60
ASKED_BY_A_SCRIPT = "X-Refresh"

Next = Callable[[HttpRequest], HttpResponse]
View = Callable[..., HttpResponse]


def of_admin(request: HttpRequest) -> bool:
    """Whether a path belongs to the administration."""
    return request.path == ADMIN or request.path.startswith(f"{ADMIN}/")


class AdminNetworks:
    """Middleware: for an address outside ADMIN_NETWORKS there is no administration."""

    def __init__(self, get_response: Next) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.ADMIN_NETWORKS and of_admin(request) and not _within(address_of(request)):
            raise Http404
        return self._get_response(request)


def _within(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return any((mapped or found) in network for network in settings.ADMIN_NETWORKS)


class IdleSessions:
    """Middleware: ends a session that nobody used for SESSION_IDLE_S (0: never). A page's own refreshing is no use."""

    def __init__(self, get_response: Next) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.SESSION_IDLE_S and request.user.is_authenticated:
            now_s, seen_s = int(time()), request.session.get(SEEN_AT, 0)
            if seen_s and now_s - seen_s > settings.SESSION_IDLE_S:
                event("idle session ended", request.user, request)
                logout(request)
            elif ASKED_BY_A_SCRIPT not in request.headers and now_s - seen_s > SEEN_STEP_S:
                request.session[SEEN_AT] = now_s
        return self._get_response(request)


class SecondFactor:
    """Middleware: no page of the administration before the second factor is shown, or set up where it is required."""

    def __init__(self, get_response: Next) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if of_admin(request) and not request.path.startswith(OPEN_ADMIN_PATHS) and request.user.is_authenticated:
            lacking = factors.missing(request.user)
            if lacking:
                return to_factor(request, lacking)
        return self._get_response(request)


def to_factor(request: HttpRequest, lacking: str) -> HttpResponse:
    """To the page where the second factor is shown or set up, and back here after it."""
    return redirect_to_login(request.get_full_path(), reverse(f"second-factor-{lacking}"))


def for_people(view: View) -> View:
    """A page that needs a login, with the second factor where there is one, unless OPEN_PAGES is set.

    Who may not see it is led to the login; a script that refreshes a page gets 401 instead.
    """

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if settings.OPEN_PAGES:
            return view(request, *args, **kwargs)
        known = request.user.is_authenticated
        lacking = factors.missing(request.user) if known else "login"
        if not lacking:
            return view(request, *args, **kwargs)
        if ASKED_BY_A_SCRIPT in request.headers:
            return HttpResponse("Log in again.", status=401, content_type="text/plain")
        if known:
            return to_factor(request, lacking)
        return redirect_to_login(request.get_full_path(), reverse("admin:login"))

    return guarded
