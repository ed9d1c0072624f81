"""Refusals, in the one form the contract knows: {"code", "detail"} and sometimes "field".

Refusal          a request is turned away, with status and code
└── Invalid      it is JSON but breaks the schema (422); also used for one item of a batch

A gateway believes a refusal only in this form, so everything under the API's paths answers in it, also what Django itself
turns away. A failure of our own is not a refusal and must not look like one: it stays a bare 500 and is tried again.
"""

import sys
from collections.abc import Callable

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse

API_PATHS = ("/devices/api", "/api", "/market/api", "/weighing/api", "/shifts/api")


class Refusal(Exception):
    """A request is turned away. `code` is one of contracts/error.schema.json; `retry_after_s` becomes Retry-After."""

    def __init__(self, status: int, code: str, detail: str, *, field: str = "", retry_after_s: int = 0) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.field = field
        self.retry_after_s = retry_after_s


class Invalid(Refusal):
    """JSON that breaks the schema, and which field of it."""

    def __init__(self, detail: str, field: str = "") -> None:
        super().__init__(422, "invalid", detail, field=field)


def refused(refusal: Refusal) -> JsonResponse:
    """The answer that a refusal becomes."""
    body = {"code": refusal.code, "detail": refusal.detail}
    if refusal.field:
        body["field"] = refusal.field
    response = JsonResponse(body, status=refusal.status)
    response["Content-Length"] = str(len(response.content))
    if refusal.retry_after_s:
        response["Retry-After"] = str(refusal.retry_after_s)
    return response


def busy() -> JsonResponse:
    """The answer while the database cannot take a write: nothing was kept, and the same request is welcome later."""
    return refused(Refusal(503, "rate_limited", "The server cannot write at the moment. Try again.", retry_after_s=5))


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · ScaleLedger</title></head>
<body><h1>{title}</h1><p>{words}</p></body></html>
"""
_AWAY = (
    "The database does not answer",
    (
        "Nothing was changed by what you just did, unless you see it done when you look again. Wait a minute and reload this page. "
        "If it stays, look whether the database runs and its disk has room; the server's log has the reason."
    ),
)
_FAILED = (
    "The server failed at this page",
    (
        "This is a mistake of the server, not yours. Go back and look what was done. If it happens again, send the last lines of "
        "the server's log to whoever looks after it."
    ),
)


def failed(request: HttpRequest) -> HttpResponse:
    """The answer to what nobody caught (`handler500`): words for people, 503 while it is only the database that is away."""
    away = isinstance(sys.exc_info()[1], (OperationalError, InterfaceError))
    if request.path.startswith(API_PATHS):
        return busy() if away else HttpResponse("Server error", status=500, content_type="text/plain")
    title, words = _AWAY if away else _FAILED
    response = HttpResponse(_PAGE.format(title=title, words=words), status=503 if away else 500)
    response["Cache-Control"] = "no-store"
    return response


_BY_STATUS = {
    400: ("invalid", "This request is not accepted. Is the server's name in SCALELEDGER_SERVER_ALLOWED_HOSTS?"),
    404: ("not_found", "There is nothing at this path. Trailing slashes matter."),
    405: ("not_found", "This path does not know this method."),
    413: ("body_too_large", "The body is too large."),
}

Next = Callable[[HttpRequest], HttpResponse]


class ContractErrors:
    """Middleware: what Django turns away under the API's paths gets the contract's form."""

    def __init__(self, get_response: Next) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        ours = response.headers.get("Content-Type", "").startswith("application/json")
        if response.status_code not in _BY_STATUS or ours or not request.path.startswith(API_PATHS):
            return response
        code, detail = _BY_STATUS[response.status_code]
        answer = refused(Refusal(response.status_code, code, detail))
        if "Allow" in response.headers:
            answer["Allow"] = response.headers["Allow"]
        return answer


OWN_FILES_ONLY = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
OF_ADMIN = "object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
SECOND_FACTOR_PATHS = "/admin/second-factor/"


class ContentPolicy:
    """Middleware: a page may load only from this server. The admin's widgets need inline scripts, so it is held less tightly."""

    def __init__(self, get_response: Next) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        tight = not request.path.startswith("/admin") or request.path.startswith(SECOND_FACTOR_PATHS)
        response.headers.setdefault("Content-Security-Policy", OWN_FILES_ONLY if tight else OF_ADMIN)
        return response
