"""The overview: gateways, alarms and the newest weighings. Read-only; a script asks for the lists again every 2 s."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from scaleledger_server.devices import queries as devices
from scaleledger_server.devices.models import GatewayAlarm
from scaleledger_server.people.door import for_people
from scaleledger_server.shifts.operators import may_operate
from scaleledger_server.weighing import queries, rows

RECORDS_SHOWN = 50


def _lists() -> dict[str, Any]:
    alarms = list(devices.open_alarms())
    return {
        "gateways": devices.newest_seen(),
        "alarms": alarms,
        "late": {alarm.gateway_id for alarm in alarms if alarm.kind == GatewayAlarm.Kind.LATE},
        "records": rows.shown(queries.newest(RECORDS_SHOWN)),
        "now": timezone.now(),
    }


def _auction() -> str:
    """Where the auction page is; the app above this one has it."""
    try:
        return reverse("auction")
    except NoReverseMatch:
        return ""


@require_safe
@for_people
def overview(request: HttpRequest) -> HttpResponse:
    """The whole page."""
    links = {"auction": _auction(), "may_operate": may_operate(request.user)}
    return render(request, "weighing/overview.html", {**_lists(), **links})


@require_safe
@for_people
def lists(request: HttpRequest) -> HttpResponse:
    """Only the part that changes."""
    return render(request, "weighing/lists.html", _lists())
