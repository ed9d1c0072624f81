"""All paths: the contract's API, the page, the admin."""

import logging
import time
from typing import Any

from django.contrib import admin
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from scaleledger_server.devices.api import router as devices
from scaleledger_server.errors import Refusal, busy, refused
from scaleledger_server.market.api import router as market
from scaleledger_server.schemas import ContractApi
from scaleledger_server.weighing.api import plain_router as plain_weighing
from scaleledger_server.weighing.api import router as weighing

log = logging.getLogger(__name__)

SAY_AGAIN_S = 10.0
_said = {"until_s": 0.0}

api = ContractApi(title="ScaleLedger", version="1", docs_url=None, openapi_url="api/openapi.json")
api.add_router("devices/api/", devices)
api.add_router("api/weighing/", weighing)
api.add_router("weighing/api/", plain_weighing)
api.add_router("market/api/", market)


@api.exception_handler(Refusal)
def on_refusal(_request: HttpRequest, refusal: Any) -> HttpResponse:
    """A request was turned away."""
    return refused(refusal)


@api.exception_handler(OperationalError)
def on_database_trouble(_request: HttpRequest, error: Any) -> HttpResponse:
    """Away, locked for too long, or a full disk: nothing was committed."""
    if time.monotonic() >= _said["until_s"]:
        _said["until_s"] = time.monotonic() + SAY_AGAIN_S
        log.error("the database refuses requests (said again in %.0f s if it goes on): %s", SAY_AGAIN_S, error)
    return busy()


handler500 = "scaleledger_server.errors.failed"


urlpatterns = [
    path("", include("scaleledger_server.weighing.urls")),
    path("admin/second-factor/", include("scaleledger_server.people.urls")),
    path("", include("scaleledger_server.live.urls")),
    path("", include("scaleledger_server.shifts.urls")),
    path("", include("scaleledger_server.edges.urls")),
    path("admin/", admin.site.urls),
    re_path(r"^admin$", RedirectView.as_view(pattern_name="admin:index")),
    path("", api.urls),
]
