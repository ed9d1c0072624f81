"""What gateways fetch: each list, or all three at one moment."""

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.utils.http import parse_etags
from ninja import Router

from scaleledger_server.devices.queries import admitted
from scaleledger_server.market import queries
from scaleledger_server.schemas import operation

router = Router(tags=["market"])


def _answer(request: HttpRequest, resource: str) -> HttpResponse:
    admitted(request)
    version = queries.version()
    response: HttpResponse
    if _has(request.headers.get("If-None-Match", ""), version):
        response = HttpResponseNotModified()
    else:
        version, body = queries.bodies.of(resource, version)
        response = HttpResponse(body, content_type="application/json")
    response["ETag"] = f'"{version}"'
    response["Cache-Control"] = "private, no-cache"
    return response


def _has(header: str, version: str) -> bool:
    """Whether the client holds this version: one tag, a list of tags, weak ones, or `*`."""
    tags = [tag.removeprefix("W/") for tag in parse_etags(header)]
    return "*" in tags or f'"{version}"' in tags


@router.get(
    "species/",
    summary="Kinds of goods",
    operation_id="species",
    openapi_extra=operation({200: "species", 304: ""}),
)
def species(request: HttpRequest) -> HttpResponse:
    """Bearer. 200 `species` with ETag, 304."""
    return _answer(request, "species")


@router.get(
    "producers/",
    summary="Producers",
    operation_id="producers",
    openapi_extra=operation({200: "producers", 304: ""}),
)
def producers(request: HttpRequest) -> HttpResponse:
    """Bearer. 200 `producers` with ETag, 304."""
    return _answer(request, "producers")


@router.get(
    "rfid-cards/",
    summary="Cards",
    operation_id="rfid_cards",
    openapi_extra=operation({200: "rfid_cards", 304: ""}),
)
def rfid_cards(request: HttpRequest) -> HttpResponse:
    """Bearer. 200 `rfid_cards` with ETag, 304."""
    return _answer(request, "rfid-cards")


@router.get(
    "catalogue/",
    summary="All market data at one moment",
    operation_id="catalogue",
    openapi_extra=operation({200: "catalogue", 304: ""}),
)
def catalogue(request: HttpRequest) -> HttpResponse:
    """Bearer. 200 `catalogue` with ETag, 304."""
    return _answer(request, "catalogue")
