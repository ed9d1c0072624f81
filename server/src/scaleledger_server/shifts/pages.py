"""The phone page of people who work at scales: the scales, and the session at one of them. What moves comes by script."""

from uuid import UUID

from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe

from scaleledger_server.shifts import queries
from scaleledger_server.shifts.operators import OperatorLogin, for_operators

SPECIES = ("Cattle", "Calf", "Pig", "Lamb", "Sheep", "Goat")

login = LoginView.as_view(template_name="shifts/login.html", authentication_form=OperatorLogin, next_page="shifts")


@require_safe
@for_operators
@ensure_csrf_cookie
def scales(request: HttpRequest) -> HttpResponse:
    """The scales to choose from."""
    return _page(request, "shifts/scales.html", {"scales": queries.scales_shown(timezone.now())})


@require_safe
@for_operators
@ensure_csrf_cookie
def scale(request: HttpRequest, scale_id: int) -> HttpResponse:
    """Where a session on one scale is started; leads to the session when one is under way."""
    found = queries.scale(scale_id)
    if found is None:
        return _page(request, "shifts/gone.html", {"what": "scale"}, status=404)
    working = queries.under_way([found]).get(found.pk)
    shown = queries.scale_shown(found, working, timezone.now())
    recent = queries.recent_animals()
    return _page(request, "shifts/start.html", {"scale": shown, "recent": recent, "species": SPECIES})


@require_safe
@for_operators
@ensure_csrf_cookie
def session(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """A session: its cuts as they come, and the buttons."""
    found = queries.session(session_id)
    if found is None:
        return _page(request, "shifts/gone.html", {"what": "session"}, status=404)
    shown = {"session": queries.session_shown(found), "started_at": found.started_at, "scale": found.scale}
    return _page(request, "shifts/session.html", shown)


def _page(request: HttpRequest, template: str, context: dict[str, object], status: int = 200) -> HttpResponse:
    answer = render(request, template, context, status=status)
    answer["Cache-Control"] = "no-store"
    return answer
