"""The phone page of people who work at scales: the scales, and the session at one of them. What moves comes by script."""

from uuid import UUID

from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone, translation
from django.utils.translation import gettext_lazy as _
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe

from scaleledger_server.shifts import queries
from scaleledger_server.shifts.operators import OperatorLogin, for_operators
from scaleledger_server.shifts.words import for_scripts, in_their_language

SPECIES = (_("Cattle"), _("Calf"), _("Pig"), _("Lamb"), _("Sheep"), _("Goat"))

login = in_their_language(
    LoginView.as_view(template_name="shifts/login.html", authentication_form=OperatorLogin, next_page="shifts")
)


@require_safe
@in_their_language
@for_operators
@ensure_csrf_cookie
def scales(request: HttpRequest) -> HttpResponse:
    """The scales to choose from."""
    return _page(request, "shifts/scales.html", {"scales": queries.scales_shown(timezone.now())})


@require_safe
@in_their_language
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
    return _page(request, "shifts/start.html", {"scale": shown, "recent": recent, "species": _offered()})


@require_safe
@in_their_language
@for_operators
@ensure_csrf_cookie
def session(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """A session: its cuts as they come, and the buttons."""
    found = queries.session(session_id)
    if found is None:
        return _page(request, "shifts/gone.html", {"what": "session"}, status=404)
    shown = {"session": queries.session_shown(found), "started_at": found.started_at, "scale": found.scale}
    shown["species"] = _species(found.animal_species)
    return _page(request, "shifts/session.html", shown)


def _offered() -> list[tuple[str, str]]:
    """What is kept, and what people read: the plant's own words, or the usual ones in their language."""
    if own := queries.species():
        return [(name, name) for name in own]
    with translation.override("en"):
        kept = [str(name) for name in SPECIES]
    return list(zip(kept, map(str, SPECIES), strict=True))


def _species(kept: str) -> str:
    return dict(_offered()).get(kept, kept)


def _page(request: HttpRequest, template: str, context: dict[str, object], status: int = 200) -> HttpResponse:
    answer = render(request, template, {**context, "words": for_scripts()}, status=status)
    answer["Cache-Control"] = "no-store"
    return answer
