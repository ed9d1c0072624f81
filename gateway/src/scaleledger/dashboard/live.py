"""What the scales show right now: a page, and the stream of values that it draws."""

import json
from collections.abc import AsyncIterator, Sequence

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from scaleledger.app.viewers import TooManyViewers
from scaleledger.dashboard.desk import Desk
from scaleledger.domain.channel import LiveWeight
from scaleledger.web.access import Access, allow


def routes(desk: Desk) -> Sequence[BaseRoute]:
    """The pages of this file."""

    @allow(Access.VIEWER)
    async def live(request: Request) -> Response:
        return desk.show.page(request, "live.html", stations=[shown.name for shown in desk.overview.shown])

    @allow(Access.VIEWER)
    async def stream(request: Request) -> Response:
        watching = desk.viewers.watch()
        session = request.cookies.get(desk.cookie, "")
        token = request.headers.get("authorization", "").partition(" ")[2].strip()

        def may_look() -> bool:
            return (desk.door.bearer(token) if token else desk.door.sessions.visitor(session)) is not None

        async def frames() -> AsyncIterator[bytes]:
            try:
                async for weights in watching:
                    if not may_look():
                        return
                    yield _frame(weights)
            except TooManyViewers:
                yield b"event: full\ndata: {}\n\n"
            finally:
                await watching.aclose()

        return StreamingResponse(frames(), media_type="text/event-stream", headers={"x-accel-buffering": "no"})

    return Route("/live", live), Route("/live/stream", stream)


def _frame(weights: Sequence[LiveWeight]) -> bytes:
    if not weights:
        return b": still here\n\n"
    shown = [
        {
            "station": live.station,
            "weight": str(live.weight) if live.weight is not None else None,
            "unit": live.unit,
            "stable": live.stable,
            "state": live.state,
            "link": live.link,
        }
        for live in weights
    ]
    return b"data: " + json.dumps(shown).encode() + b"\n\n"
