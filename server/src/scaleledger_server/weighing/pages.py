"""The one plain page: gateways and the newest weighings. Read-only; a script asks for the lists again every 2 s."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from scaleledger_server.devices import queries as devices
from scaleledger_server.weighing import queries

RECORDS_SHOWN = 50


def _lists() -> dict[str, Any]:
    return {"gateways": devices.newest_seen(), "records": queries.newest(RECORDS_SHOWN), "now": timezone.now()}


@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """The whole page."""
    return render(request, "weighing/overview.html", _lists())


@require_safe
def lists(request: HttpRequest) -> HttpResponse:
    """Only the part that changes."""
    return render(request, "weighing/lists.html", _lists())
