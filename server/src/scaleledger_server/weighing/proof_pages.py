"""Pages to read and to print: a record's evidence, voiding or correcting it, and a gateway's account."""

from functools import wraps
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import AbstractBaseUser
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from scaleledger_server.devices.models import Gateway, HeadAlarm
from scaleledger_server.errors import OWN_FILES_ONLY, Refusal
from scaleledger_server.weighing import accounts, chain, services
from scaleledger_server.weighing.evidence import Evidence, evidence
from scaleledger_server.weighing.reconciliation import reconcile
from scaleledger_server.weighing.steps import steps

AMEND = "weighing.add_amendment"


def staff(view: Any) -> Any:
    """A page of the administration: for its people only, never cached, loading only from here."""

    @wraps(view)
    def guarded(request: HttpRequest, **which: Any) -> HttpResponse:
        response: HttpResponse = view(request, **which)
        response["Content-Security-Policy"] = OWN_FILES_ONLY
        return response

    return admin.site.admin_view(guarded)


def _evidence_or_404(uuid: Any) -> Evidence:
    found = evidence(str(uuid))
    if found is None:
        raise Http404
    return found


@require_safe
@permission_required("weighing.view_weighingrecord", raise_exception=True)
def show(request: HttpRequest, uuid: Any) -> HttpResponse:
    """What was weighed, and what proves it."""
    found = _evidence_or_404(uuid)
    made = found.effective.amended
    context = {"found": found, "record": found.record, "now": found.effective, "steps": steps(found), "made": made}
    context |= {"at": timezone.now(), "may_amend": made != "void" and request.user.has_perm(AMEND)}
    return render(request, "weighing/evidence.html", context)


class VoidForm(forms.Form):
    """Why a record counts no more."""

    reason = forms.CharField(
        max_length=500, widget=forms.Textarea(attrs={"rows": 3}), help_text="Is kept for good, with your name."
    )


class CorrectionForm(VoidForm):
    """What a record should read, and why."""

    field_order = ("weight_text", "unit", "rfid_uid", "reason")
    weight_text = forms.CharField(label="Weight", max_length=30)
    unit = forms.CharField(max_length=8, required=False)
    rfid_uid = forms.CharField(label="Card", max_length=50, required=False)


@require_http_methods(["GET", "POST"])
@permission_required(AMEND, raise_exception=True)
def void(request: HttpRequest, uuid: Any) -> HttpResponse:
    """Void a record: a reason, a look at what will be, then it is done."""
    return _amend(request, _evidence_or_404(uuid), VoidForm(request.POST or None), "void")


@require_http_methods(["GET", "POST"])
@permission_required(AMEND, raise_exception=True)
def correct(request: HttpRequest, uuid: Any) -> HttpResponse:
    """Correct a record: other values and a reason, a look at what will be, then it is done."""
    found = _evidence_or_404(uuid)
    now = found.effective
    initial = {"weight_text": now.weight_text, "unit": now.unit, "rfid_uid": now.rfid_uid}
    return _amend(request, found, CorrectionForm(request.POST or None, initial=initial), "correct")


def _amend(request: HttpRequest, found: Evidence, form: forms.Form, act: str) -> HttpResponse:
    preview = False
    if request.method == "POST" and form.is_valid():
        preview = "back" not in request.POST
        if "confirmed" in request.POST:
            assert isinstance(request.user, AbstractBaseUser), "the decorator let nobody else in"
            try:
                _done(found.record.uuid, request.user, form.cleaned_data, act)
                return HttpResponseRedirect(reverse("evidence", args=[found.record.uuid]))
            except Refusal as refusal:
                form.add_error(refusal.field if refusal.field in form.fields else None, refusal.detail)
                preview = False
    context = {"found": found, "record": found.record, "now": found.effective, "form": form, "act": act}
    return render(request, "weighing/amend.html", {**context, "preview": preview})


def _done(uuid: str, user: AbstractBaseUser, stated: dict[str, str], act: str) -> None:
    if act == "void":
        services.void(uuid, user, stated["reason"], timezone.now())
    else:
        values = {name: stated[name] for name in ("weight_text", "unit", "rfid_uid")}
        services.correct(uuid, user, stated["reason"], timezone.now(), **values)


@require_http_methods(["GET", "POST"])
@permission_required(["devices.view_gateway", "weighing.view_weighingrecord"], raise_exception=True)
def account(request: HttpRequest, pk: int) -> HttpResponse:
    """A gateway's account; with POST every hash is computed anew first."""
    gateway = get_object_or_404(Gateway, pk=pk)
    report = chain.check(gateway) if request.method == "POST" else None
    found = reconcile(gateway)
    lines = accounts.entries(gateway, found, HeadAlarm.objects.filter(gateway=gateway).count())
    context = {"gateway": gateway, "found": found, "entries": lines, "report": report, "at": timezone.now()}
    return render(request, "weighing/account.html", context)
