"""Product files for the scales, to be carried there on a stick."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from scaleledger.dashboard.desk import Desk
from scaleledger.web.access import Access, allow


def routes(desk: Desk) -> Sequence[BaseRoute]:
    """The pages of this file."""
    overview = desk.overview

    @allow(Access.VIEWER)
    async def files(request: Request) -> Response:
        rows = await overview.records.rows("plu_files") if overview.files is not None else None
        return desk.show.page(request, "plu.html", files=rows)

    @allow(Access.VIEWER)
    async def download(request: Request) -> Response:
        number = request.path_params["number"]
        found = await overview.files.content(number) if overview.files is not None and number < 2**53 else None
        if found is None or overview.files is None:
            return desk.show.page(request, "missing.html", 404, what="product file", back="/plu")
        await overview.files.note_download(number)
        name, content = found
        headers = {"content-disposition": f'attachment; filename="{_plain(name)}"'}
        return Response(content, media_type="application/octet-stream", headers=headers)

    return Route("/plu", files), Route("/plu/{number:int}/download", download, methods=["POST"])


def _plain(name: str) -> str:
    return "".join(letter if letter.isascii() and (letter.isalnum() or letter in "._-") else "_" for letter in name)
