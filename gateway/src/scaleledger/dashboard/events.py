"""What was weighed: the ledger's newest records, one record with all that is known of it, and lines that could not be read."""

import json
from collections.abc import AsyncIterator, Sequence

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from scaleledger.dashboard.desk import Desk
from scaleledger.dashboard.show import number
from scaleledger.domain.errors import StoreError
from scaleledger.domain.viewing import EventFilter, Row
from scaleledger.web.access import Access, allow

STATES = ("sent", "queued", "kept", "quarantined")
PAGE = 50
EXPORT_ROWS_MAX = 10_000
NEWEST = 2**53


def routes(desk: Desk) -> Sequence[BaseRoute]:
    """The pages of this file."""
    pages = _Events(desk)
    return (
        Route("/events", pages.newest),
        Route("/events/{seq:int}", pages.one),
        Route("/rejected", pages.rejected),
        Route("/rejected.jsonl", pages.export),
    )


class _Events:
    def __init__(self, desk: Desk) -> None:
        self._overview, self._records, self._page = desk.overview, desk.overview.records, desk.show.page

    @allow(Access.VIEWER)
    async def newest(self, request: Request) -> Response:
        told = request.query_params
        wanted = EventFilter(
            device=told.get("device", "").strip()[:100],
            session=told.get("session", "").strip()[:100],
            state=told.get("state", "") if told.get("state", "") in STATES else "",
            before=number(told.get("before", ""), 0),
            limit=PAGE,
        )
        wrong = ""
        try:
            page = await self._records.events(wanted)
        except StoreError as error:
            page, wrong = None, f"{error}. Narrow the search down, or look at fewer records."
        return self._page(
            request, "events.html", 200 if page else 503, page=page, wanted=wanted, states=STATES, wrong=wrong
        )

    @allow(Access.VIEWER)
    async def one(self, request: Request) -> Response:
        seq = request.path_params["seq"]
        event = await self._records.event(seq) if seq < NEWEST else None
        if event is None:
            return self._page(request, "missing.html", 404, what=f"record {seq}", back="/events")
        first = await self._records.seq_of(event.refers_to) if event.refers_to else None
        return self._page(
            request, "event.html", event=event, corrections=await self._records.corrections(event), first=first
        )

    @allow(Access.VIEWER)
    async def rejected(self, request: Request) -> Response:
        before = number(request.query_params.get("before", ""), NEWEST)
        rows = await self._records.rejected(before, PAGE)
        older = rows[-1]["id"] if len(rows) == PAGE else None
        return self._page(request, "rejected.html", rows=rows, older=older)

    @allow(Access.VIEWER)
    async def export(self, _: Request) -> Response:
        headers = {"content-disposition": 'attachment; filename="rejected-lines.jsonl"'}
        return StreamingResponse(self._lines(), media_type="application/jsonl", headers=headers)

    async def _lines(self) -> AsyncIterator[bytes]:
        before, told = NEWEST, 0
        while told < EXPORT_ROWS_MAX and (rows := await self._records.rejected(before, 200)):
            for row in rows:
                yield json.dumps(as_json(row), ensure_ascii=True).encode() + b"\n"
            told, before = told + len(rows), int(rows[-1]["id"])


def as_json(row: Row) -> dict[str, object]:
    """A row with bytes as hex."""
    return {key: value.hex() if isinstance(value, bytes) else value for key, value in row.items()}
