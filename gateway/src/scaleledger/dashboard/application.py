"""Puts the pages and the API together and the guard before them."""

from collections.abc import Collection

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from scaleledger import __version__
from scaleledger.app.overview import Overview
from scaleledger.app.viewers import Viewers
from scaleledger.dashboard import account, devices, events, live, printers, products, status, tables
from scaleledger.dashboard.api import add_api
from scaleledger.dashboard.desk import Desk
from scaleledger.dashboard.files import add_files
from scaleledger.dashboard.show import Show
from scaleledger.domain.errors import ScaleLedgerError
from scaleledger.store.browse import Browser, QueryRefused
from scaleledger.web.doorkeeper import Doorkeeper
from scaleledger.web.guard import Guard

FAULTS_SHOWN = 20


class Dashboard:
    """The pages behind their guard: an ASGI application. `routes` and `guard` are there to be looked at."""

    def __init__(self, inner: FastAPI, guard: Guard) -> None:
        self.inner, self.guard = inner, guard
        self.routes = inner.routes

    async def __call__(self, scope: object, receive: object, send: object) -> None:
        await self.guard(scope, receive, send)  # type: ignore[arg-type]


def create_application(
    overview: Overview,
    door: Doorkeeper,
    viewers: Viewers,
    browser: Browser,
    *,
    hosts: Collection[str] = (),
    port: int = 0,
    is_secure: bool = False,
) -> Dashboard:
    """The dashboard of one gateway. `hosts` are the names by which it may be called, beside loopback and its address."""
    inner = FastAPI(
        title="ScaleLedger gateway",
        version=__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        exception_handlers={ScaleLedgerError: _failed, QueryRefused: _refused, RequestValidationError: _invalid},
    )
    cookie = f"__Host-scaleledger-{port}" if is_secure else f"scaleledger-{port}"
    show = Show(overview.zone, overview.gateway().name, lambda: bool(overview.uplinks) or overview.has_cloud)
    desk = Desk(overview, door, viewers, browser, show, cookie, is_secure)
    for pages in (account, status, devices, events, live, printers, products, tables):
        inner.router.routes.extend(pages.routes(desk))
    add_files(inner)
    add_api(inner, desk)
    return Dashboard(inner, Guard(inner, inner.routes, door, hosts, cookie))


async def _failed(_: Request, error: Exception) -> Response:
    return PlainTextResponse(f"{error}\nGo back and try again; the gateway itself goes on.", 503)


async def _refused(_: Request, error: Exception) -> Response:
    return PlainTextResponse(str(error), 422)


async def _invalid(_: Request, error: Exception) -> Response:
    """Which fields are wrong and why, but never what was sent: it may be long, secret, or no text at all."""
    assert isinstance(error, RequestValidationError), "registered for this error alone"
    faults = [
        {"loc": [_plain(part) for part in fault["loc"]], "msg": _plain(fault["msg"]), "type": fault["type"]}
        for fault in list(error.errors())[:FAULTS_SHOWN]
    ]
    return JSONResponse(
        {"error": "; ".join(f"{fault['loc'][-1]}: {fault['msg']}" for fault in faults), "detail": faults}, 422
    )


def _plain(text: object) -> str:
    return str(text)[:100].encode("utf-8", "backslashreplace").decode()
