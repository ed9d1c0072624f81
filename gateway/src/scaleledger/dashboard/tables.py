"""The database for an admin's eyes: its tables, and questions in SQL that can only read."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from scaleledger.dashboard.desk import Desk
from scaleledger.dashboard.show import form, number
from scaleledger.observe.log import get_logger
from scaleledger.store.browse import SQL_CHARACTERS_MAX, Answer, QueryRefused
from scaleledger.web.access import Access, allow
from scaleledger.web.guard import VISITOR

log = get_logger()
PAGE = 100


def routes(desk: Desk) -> Sequence[BaseRoute]:
    """The pages of this file."""
    browser, page = desk.browser, desk.show.page

    async def shown(request: Request, status: int = 200, **values: object) -> Response:
        settled: dict[str, object] = {"table": "", "answer": None, "older": None, "sql": "", "wrong": ""}
        tables = await browser.tables()
        return page(request, "database.html", status, tables=tables, sql_max=SQL_CHARACTERS_MAX, **(settled | values))

    @allow(Access.ADMIN)
    async def tables(request: Request) -> Response:
        return await shown(request)

    @allow(Access.ADMIN)
    async def table(request: Request) -> Response:
        name, told = request.path_params["name"], request.query_params.get("before", "")
        try:
            answer = await browser.table(name, number(told, 0) if told else None, PAGE)
        except QueryRefused as refused:
            return await shown(request, 404, wrong=str(refused))
        older = answer.rows[-1][0] if len(answer.rows) == PAGE else None
        return await shown(request, table=name, answer=answer, older=older)

    @allow(Access.ADMIN)
    async def ask(request: Request) -> Response:
        sql = (await form(request)).get("sql", "").strip()
        try:
            answer = await audited(desk, request, sql)
        except QueryRefused as refused:
            return await shown(request, 422, sql=sql[:SQL_CHARACTERS_MAX], wrong=str(refused))
        return await shown(request, sql=sql, answer=answer)

    return (
        Route("/database", tables),
        Route("/database", ask, methods=["POST"]),
        Route("/database/{name}", table),
    )


async def audited(desk: Desk, request: Request, sql: str) -> Answer:
    """Ask, and say in the log who asked what. Raises QueryRefused."""
    log.info("sys.queried", name=request.scope[VISITOR].name, sql=sql[:500])
    return await desk.browser.ask(sql)
