"""The product list over REST."""

from datetime import datetime

from django.http import HttpRequest, HttpResponse
from django.urls import path

from scaleledger_server.edges.api import edge_call, tagged
from scaleledger_server.plu import queries
from scaleledger_server.shifts.models import Edge


@edge_call("GET")
def products(request: HttpRequest, _edge: Edge, _now: datetime) -> HttpResponse:
    """`version, items[]`. While nothing changed, one statement and no body."""
    version = queries.version()
    return tagged(request, f"plu-{version}", lambda: {"version": version, "items": queries.items()})


urlpatterns = [path("api/v1/edge/plu", products)]
