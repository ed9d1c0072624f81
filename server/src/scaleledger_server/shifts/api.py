"""What the phone page asks and does, as JSON: for a logged-in person's browser, with the CSRF token in `X-CSRFToken`.

A refusal is {"code", "detail"}, and `detail` is fit to be shown. Codes beside the usual: `login_needed` (401), `no_right`,
`csrf` (403), `session_under_way`, `session_over`, `session_conflict` (409), `session_unknown`, `scale_unknown` (404).
"""

from typing import Annotated, Any, Literal
from uuid import UUID

from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from ninja import NinjaAPI, Schema
from ninja.errors import HttpError, ValidationError
from ninja.utils import check_csrf
from pydantic import ConfigDict, StringConstraints

from scaleledger_server import rates
from scaleledger_server.errors import Invalid, Refusal, busy, refused
from scaleledger_server.shifts import queries, services
from scaleledger_server.shifts.operators import lacking

STEPS_PER_MINUTE = 120  # per person: thumbs are not that fast


def _operating(request: HttpRequest) -> Any:
    """The person who asks. Raises Refusal."""
    lacks = lacking(request.user)
    if lacks == "right":
        raise Refusal(403, "no_right", _("You may not operate scales. An administrator can allow it."))
    if lacks:
        raise Refusal(401, "login_needed", _("Log in again."))
    if request.method == "POST":
        if check_csrf(request) is not None:
            raise Refusal(403, "csrf", _("This page is too old. Reload it."))
        rates.spend("steps", str(request.user.pk), STEPS_PER_MINUTE)
    return request.user


api = NinjaAPI(
    title="ScaleLedger work sessions",
    version="1",
    urls_namespace="shifts-api",
    docs_url=None,
    openapi_url=None,  # for whoever develops: contracts/openapi-shifts.json
    auth=_operating,
)


@api.exception_handler(Refusal)
def on_refusal(_request: HttpRequest, refusal: Any) -> HttpResponse:
    """The request was turned away."""
    return refused(refusal)


@api.exception_handler(ValidationError)
def on_invalid(_request: HttpRequest, error: Any) -> HttpResponse:
    """The body, or a part of the path, is not what the description says."""
    first = error.errors[0]
    field = str(first["loc"][-1])
    return refused(Invalid(f"{field}: {first['msg']}.", field))


@api.exception_handler(HttpError)
def on_unreadable(_request: HttpRequest, _error: Any) -> HttpResponse:
    """The body is no JSON."""
    return refused(Refusal(400, "invalid", "The body is no JSON."))


@api.exception_handler(OperationalError)
def on_database_trouble(_request: HttpRequest, _error: Any) -> HttpResponse:
    """The database is away: nothing was changed."""
    return busy()


Words = Annotated[str, StringConstraints(strip_whitespace=True, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")]


class Strict(Schema):
    """A body that may hold nothing that is not named."""

    model_config = ConfigDict(extra="forbid")


class SessionShown(Schema):
    """A session; times in ISO 8601."""

    id: UUID
    scale: int
    animal_tag: str
    animal_id: str
    species: str
    operator: str
    status: Literal["pending", "active", "paused", "ended"]
    started_at: str
    ended_at: str | None
    end_reason: str


class ScaleShown(Schema):
    """A scale, and the session under way there."""

    id: int
    device_id: str
    name: str
    site: str
    standing: Literal["online", "idle", "stale", "disconnected", "unknown", "silent"]
    seen_at: str | None
    session: SessionShown | None


class RecentAnimal(Schema):
    """An ear tag that was worked on lately."""

    tag: str
    species: str


class ScaleList(Schema):
    """The scales in use, and the newest ear tags."""

    now: str
    scales: list[ScaleShown]
    recent: list[RecentAnimal]


class Start(Strict):
    """`session_id` is made by the client; the same again is the same session."""

    session_id: UUID
    scale: int
    animal_tag: Annotated[Words, StringConstraints(min_length=1)]
    animal_id: Words = ""
    species: Words = ""


class End(Strict):
    """How the session ended."""

    reason: Literal["completed", "cancelled"] = "completed"


def _answer(value: dict[str, Any], status: int = 200) -> JsonResponse:
    response = JsonResponse(value, status=status)
    response["Cache-Control"] = "no-store"
    return response


@api.get("scales/", response=ScaleList, operation_id="scales", summary="The scales, and what is worked on at each")
def scales(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - ninja's signature
    """All scales of edges that are in use."""
    now = timezone.now()
    recent = queries.recent_animals()
    return _answer({"now": now.isoformat(), "scales": queries.scales_shown(now), "recent": recent})


@api.post("sessions/", response=SessionShown, operation_id="start", summary="Start a session")
def start(request: HttpRequest, asked: Start) -> HttpResponse:
    """The session, new or started by this very request before."""
    scale = queries.scale(asked.scale) if 0 < asked.scale < 2**63 else None
    if scale is None:
        raise Refusal(404, "scale_unknown", _("There is no such scale in use. Go back to the scales and look there."))
    animal = services.Animal(asked.animal_tag, asked.animal_id, asked.species)
    session = services.start(scale, animal, request.user, timezone.now(), asked.session_id)
    return _answer(queries.session_shown(session))


@api.get("sessions/{uuid:session_id}/", response=SessionShown, operation_id="session", summary="One session")
def session(request: HttpRequest, session_id: UUID) -> HttpResponse:  # noqa: ARG001 - ninja's signature
    """The session as it stands."""
    found = queries.session(session_id)
    if found is None:
        raise Refusal(404, "session_unknown", _("There is no such session. Go back to the scales and look there."))
    return _answer(queries.session_shown(found))


@api.post("sessions/{uuid:session_id}/pause/", response=SessionShown, operation_id="pause", summary="Pause")
def pause(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """Cuts belong to no session until it goes on; pausing what is paused changes nothing."""
    return _answer(queries.session_shown(services.pause(session_id, request.user, timezone.now())))


@api.post("sessions/{uuid:session_id}/resume/", response=SessionShown, operation_id="resume", summary="Go on")
def resume(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """The session goes on; going on with what goes on changes nothing."""
    return _answer(queries.session_shown(services.resume(session_id, request.user, timezone.now())))


@api.post("sessions/{uuid:session_id}/end/", response=SessionShown, operation_id="end", summary="End a session")
def end(request: HttpRequest, session_id: UUID, asked: End) -> HttpResponse:
    """The session is over; ending what is over changes nothing."""
    return _answer(queries.session_shown(services.end(session_id, asked.reason, request.user, timezone.now())))
