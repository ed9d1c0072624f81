"""Refusals, in the one form the contract knows: {"code", "detail"} and sometimes "field".

Refusal          a request is turned away, with status and code
└── Invalid      it is JSON but breaks the schema (422); also used for one item of a batch

A gateway believes a refusal only in this form, so everything under the API's paths answers in it, also what Django itself
turns away. A failure of our own is not a refusal and must not look like one: it stays a bare 500 and is tried again.
"""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse

API_PATHS = ("/devices/api", "/api", "/market/api", "/weighing/api")


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


OWN_FILES_ONLY = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'"


class ContentPolicy:
    """Middleware: a page may load only from this server. The admin is left out, its widgets need inline scripts."""

    def __init__(self, get_response: Next) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        if not request.path.startswith("/admin"):
            response["Content-Security-Policy"] = OWN_FILES_ONLY
        return response
