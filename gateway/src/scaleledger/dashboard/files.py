"""The few static files, read once and served from memory: no path of a request ever reaches the disk."""

import hashlib

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from scaleledger.dashboard.show import FOLDER
from scaleledger.web.access import Access, allow

_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


def add_files(app: FastAPI) -> None:
    """Serve what lies in `static` under /static/, open to everybody: the login page needs it too."""
    found = {path.name: path.read_bytes() for path in (FOLDER / "static").iterdir() if path.suffix in _TYPES}
    tags = {name: f'"{hashlib.sha256(content).hexdigest()[:16]}"' for name, content in found.items()}

    @allow(Access.OPEN)
    async def file(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in found:
            return Response(status_code=404)
        headers = {"etag": tags[name], "cache-control": "no-cache"}
        if request.headers.get("if-none-match") == tags[name]:
            return Response(status_code=304, headers=headers)
        kind = _TYPES[f".{name.rpartition('.')[2]}"]
        return Response(found[name], media_type=kind, headers=headers)

    app.router.routes.append(Route("/static/{name}", file))
