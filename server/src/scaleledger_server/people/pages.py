"""Showing a second factor, and setting one up."""

from typing import Any

import django_otp
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import mark_safe
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from scaleledger_server.people import factors, lockout
from scaleledger_server.people.audit import address_of, event
from scaleledger_server.people.forms import CodeForm

WRONG = "This code is not right, or was used already. Wait for the next one and type that."


def _next(request: HttpRequest) -> str:
    asked = request.POST.get("next", request.GET.get("next", ""))
    ours = url_has_allowed_host_and_scheme(asked, {request.get_host()}, require_https=request.is_secure())
    return asked if ours else reverse("admin:index")


def _counted(request: HttpRequest, form: CodeForm) -> str:
    """The code to judge, once the try is counted; "" and an error in the form when there is none."""
    if not form.is_valid():
        return ""
    try:
        lockout.count_try(_account(request), address_of(request))
    except lockout.Locked as locked:
        form.add_error("code", str(locked))
        return ""
    return str(form.cleaned_data["code"])


def _account(request: HttpRequest) -> str:
    """Codes are counted apart from passwords: who knows the password must not begin anew with codes by logging in again."""
    return f"{request.user.get_username()}\ncode"


def _let_in(request: HttpRequest, device: Any, what: str) -> None:
    lockout.forget(_account(request), address_of(request))
    django_otp.login(request, device)
    request.session.cycle_key()
    event(what, request.user, request)


@never_cache
@require_http_methods(["GET", "POST"])
@login_required(login_url="admin:login")
def verify(request: HttpRequest) -> HttpResponse:
    """Show the second factor."""
    if factors.missing(request.user) != "verify":
        return HttpResponseRedirect(_next(request))
    form = CodeForm(request.POST or None)
    if request.method == "POST" and (code := _counted(request, form)):
        device = factors.verified(request.user, code)
        if device is not None:
            _let_in(request, device, "second factor shown")
            return HttpResponseRedirect(_next(request))
        event("second factor wrong", request.user, request)
        form.add_error("code", WRONG)
    return render(request, "people/verify.html", {"form": form, "next": _next(request)})


@never_cache
@require_http_methods(["GET", "POST"])
@login_required(login_url="admin:login")
def setup(request: HttpRequest) -> HttpResponse:
    """Set up an authenticator: the first one, or another in its place by a person who has shown the present one."""
    if factors.missing(request.user) == "verify":
        return redirect_to_login(request.get_full_path(), reverse("second-factor-verify"))
    form = CodeForm(request.POST or None)
    if request.method == "POST" and (code := _counted(request, form)):
        done = factors.confirm(request.user, code)
        if done is not None:
            device, codes = done
            _let_in(request, device, "second factor set up")
            return render(request, "people/recovery.html", {"codes": codes, "next": _next(request)})
        form.add_error("code", WRONG)
    device = factors.offered(request.user)
    drawn = mark_safe(factors.picture(device))  # noqa: S308 - drawn by us, holds no text from outside
    context = {"form": form, "next": _next(request), "picture": drawn, "secret": factors.secret_text(device)}
    return render(request, "people/setup.html", context)
