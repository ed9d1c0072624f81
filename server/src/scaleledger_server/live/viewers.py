"""Who may see what is live: weights, whoever the pages are shown to, asked at the same door, and asked again while they
look; a session's cuts, whoever operates scales.
"""

from io import BytesIO

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse
from django_otp.middleware import OTPMiddleware

from scaleledger_server.limits import Message
from scaleledger_server.people.door import ASKED_BY_A_SCRIPT, IdleSessions, for_people
from scaleledger_server.shifts.operators import for_operators


@for_people
def _page(_request: HttpRequest) -> HttpResponse:
    return HttpResponse()


@for_operators
def _stream(_request: HttpRequest) -> HttpResponse:
    return HttpResponse()


_door = SessionMiddleware(AuthenticationMiddleware(OTPMiddleware(IdleSessions(_page))))
_operators_door = SessionMiddleware(AuthenticationMiddleware(OTPMiddleware(IdleSessions(_stream))))


def may_watch(scope: Message) -> bool:
    """Whether this handshake's session may see the pages now. Watching alone keeps no idle session alive."""
    return _answered(scope, _door) == 200


def may_follow(scope: Message) -> int:
    """Whether this request's session may operate scales now: 200, 401 without a login, 403 without the right."""
    status = _answered(scope, _operators_door)
    return status if status in {200, 403} else 401


def _answered(scope: Message, door: SessionMiddleware) -> int:
    asked = (ASKED_BY_A_SCRIPT.lower().encode(), b"1")
    kept = [pair for pair in scope["headers"] if pair[0] in {b"cookie", b"host"}]
    request = ASGIRequest({**scope, "type": "http", "method": "GET", "headers": [*kept, asked]}, BytesIO())
    answer = door(request)
    assert isinstance(answer, HttpResponse), "a synchronous chain answers at once"
    return answer.status_code
