"""First setup, login, logout, passwords, and who else may come in."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from scaleledger.dashboard.desk import Desk
from scaleledger.dashboard.show import form, go
from scaleledger.web.access import Access, allow
from scaleledger.web.doorkeeper import Refused
from scaleledger.web.guard import VISITOR

UNLIKE = "The two passwords are not the same. Type them again."
ROLES = {"admin": Access.ADMIN, "viewer": Access.VIEWER}


def routes(desk: Desk) -> Sequence[BaseRoute]:
    """The pages of this file."""
    pages = _Account(desk)
    return (
        Route("/setup", pages.setup),
        Route("/setup", pages.set_up, methods=["POST"]),
        Route("/login", pages.login),
        Route("/login", pages.log_in, methods=["POST"]),
        Route("/logout", pages.log_out, methods=["POST"]),
        Route("/account", pages.account),
        Route("/account/password", pages.change_password, methods=["POST"]),
        Route("/account/logins", pages.add_login, methods=["POST"]),
        Route("/account/logins/remove", pages.remove_login, methods=["POST"]),
        Route("/account/tokens", pages.add_token, methods=["POST"]),
        Route("/account/tokens/remove", pages.remove_token, methods=["POST"]),
    )


class _Account:
    def __init__(self, desk: Desk) -> None:
        self._desk, self._door, self._page = desk, desk.door, desk.show.page

    @allow(Access.OPEN)
    async def setup(self, request: Request) -> Response:
        if not self._door.needs_setup:
            return go("/login")
        self._door.renew_code()
        return self._page(request, "setup.html", name="")

    @allow(Access.OPEN)
    async def set_up(self, request: Request) -> Response:
        told = await form(request)
        name = told.get("name", "").strip()
        password = told.get("password", "")
        if password != told.get("again", ""):
            return self._page(request, "setup.html", 422, wrong=UNLIKE, name=name)
        try:
            secret = await self._door.set_up(_address(request), told.get("code", ""), name, password)
        except Refused as refused:
            return self._page(request, "setup.html", _status(refused), wrong=str(refused), name=name)
        return self._with_cookie(go("/"), secret)

    @allow(Access.OPEN)
    async def login(self, request: Request) -> Response:
        if self._door.needs_setup:
            return go("/setup")
        return self._page(request, "login.html", name="", next=_local(request.query_params.get("next", "")))

    @allow(Access.OPEN)
    async def log_in(self, request: Request) -> Response:
        told = await form(request)
        name, after = told.get("name", "").strip(), _local(told.get("next", ""))
        try:
            secret = await self._door.log_in(_address(request), name, told.get("password", ""))
        except Refused as refused:
            page = self._page(request, "login.html", _status(refused), wrong=str(refused), name=name, next=after)
            if refused.wait_s:
                page.headers["retry-after"] = str(int(refused.wait_s) + 1)
            return page
        return self._with_cookie(go(after or "/"), secret)

    @allow(Access.VIEWER)
    async def log_out(self, request: Request) -> Response:
        self._door.sessions.end(request.cookies.get(self._desk.cookie, ""))
        answer = go("/login", "out")
        answer.delete_cookie(self._desk.cookie, secure=self._desk.is_secure, httponly=True, samesite="strict")
        return answer

    @allow(Access.VIEWER)
    async def account(self, request: Request) -> Response:
        return self._account(request)

    @allow(Access.VIEWER)
    async def change_password(self, request: Request) -> Response:
        told, visitor = await form(request), request.scope[VISITOR]
        if told.get("new", "") != told.get("again", ""):
            return self._account(request, 422, wrong=UNLIKE)
        try:
            await self._door.change_password(_address(request), visitor.name, told.get("old", ""), told.get("new", ""))
        except Refused as refused:
            return self._account(request, _status(refused), wrong=str(refused))
        return go("/login", "password")

    @allow(Access.ADMIN)
    async def add_login(self, request: Request) -> Response:
        told = await form(request)
        role = ROLES.get(told.get("role", ""), Access.VIEWER)
        try:
            await self._door.add(told.get("name", "").strip(), told.get("password", ""), role)
        except Refused as refused:
            return self._account(request, 422, wrong=str(refused))
        return go("/account", "added")

    @allow(Access.ADMIN)
    async def remove_login(self, request: Request) -> Response:
        try:
            await self._door.remove((await form(request)).get("name", ""))
        except Refused as refused:
            return self._account(request, 422, wrong=str(refused))
        return go("/account", "removed")

    @allow(Access.ADMIN)
    async def add_token(self, request: Request) -> Response:
        told = await form(request)
        role = ROLES.get(told.get("role", ""), Access.VIEWER)
        try:
            secret = await self._door.make_token(told.get("name", "").strip(), role)
        except Refused as refused:
            return self._account(request, 422, wrong=str(refused))
        return self._account(request, token=secret)

    @allow(Access.ADMIN)
    async def remove_token(self, request: Request) -> Response:
        await self._door.remove_token((await form(request)).get("name", ""))
        return go("/account", "removed")

    def _account(self, request: Request, status: int = 200, *, wrong: str = "", token: str = "") -> Response:
        return self._page(
            request,
            "account.html",
            status,
            wrong=wrong,
            token=token,
            people=self._door.people,
            tokens=self._door.tokens,
        )

    def _with_cookie(self, answer: Response, secret: str) -> Response:
        answer.set_cookie(
            self._desk.cookie,
            secret,
            max_age=int(self._door.sessions.lifetime_s),
            path="/",
            secure=self._desk.is_secure,
            httponly=True,
            samesite="strict",
        )
        return answer


def _address(request: Request) -> str:
    return request.client.host if request.client is not None else ""


def _status(refused: Refused) -> int:
    return 429 if refused.wait_s else 422


def _local(path: str) -> str:
    """A path of this place; "" for anything that a browser might take elsewhere."""
    good = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() and len(path) < 500
    return path if good else ""
