"""How things are written on a page. Every text is escaped by the template engine; nothing here makes markup."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse

from scaleledger import __version__
from scaleledger.web.guard import VISITOR
from scaleledger.web.sessions import Visitor

FOLDER = Path(__file__).parent
NAVIGATION = (
    ("/", "Status"),
    ("/live", "Live"),
    ("/devices", "Devices"),
    ("/events", "Events"),
    ("/sessions", "Sessions"),
    ("/printers", "Printers"),
    ("/plu", "Products"),
    ("/database", "Database"),
)
FOR_ADMINS = ("/database",)
DONE = {
    "saved": "Saved.",
    "removed": "Removed.",
    "added": "Added.",
    "settled": "Noted.",
    "printing": "The print job is waiting for its printer.",
    "password": "The password is changed. Log in with the new one.",
    "out": "You are logged out.",
}
HEX_BYTES_MAX = 1024


class Show:
    """Renders templates. Times are shown in `zone`. Where nothing `delivers`, records are kept, and wait for nobody."""

    def __init__(self, zone: tzinfo, title: str, delivers: Callable[[], bool]) -> None:
        self._zone = zone
        self._environment = Environment(
            loader=FileSystemLoader(FOLDER / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {
            "when": self.when,
            "size": size,
            "span": span,
            "lead": lead,
            "count": count,
            "hexdump": hexdump,
            "printable": printable,
        }
        self._environment.globals |= {
            "version": __version__,
            "gateway_title": title,
            "query": query,
            "delivery": lambda event: event.state if delivers() else "kept",
        }

    def page(self, request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """A page for whoever asks; `wrong` among the values is shown as what went wrong."""
        visitor: Visitor | None = request.scope.get(VISITOR)
        links = [
            (path, name)
            for path, name in NAVIGATION
            if visitor is not None and (path not in FOR_ADMINS or visitor.role.value == "admin")
        ]
        settled = {
            "wrong": "",
            "done": DONE.get(request.query_params.get("done", ""), ""),
            "visitor": visitor,
            "is_admin": visitor is not None and visitor.role.value == "admin",
            "csrf": visitor.csrf if visitor is not None else "",
            "links": links,
            "here": request.url.path,
        }
        return HTMLResponse(self._environment.get_template(template).render(settled | values), status)

    def when(self, at: datetime | str | None, *, day: bool = True) -> str:
        """A time in the site's zone; what cannot be read as one is shown as it stands."""
        if not at:
            return "–"
        try:
            read = at if isinstance(at, datetime) else datetime.fromisoformat(at)
        except ValueError:
            return str(at)
        read = read if read.tzinfo is not None else read.replace(tzinfo=UTC)
        return read.astimezone(self._zone).strftime("%Y-%m-%d %H:%M:%S" if day else "%H:%M:%S")


def go(path: str, done: str = "") -> RedirectResponse:
    """To another page after a write, so that a reload does not repeat it."""
    return RedirectResponse(f"{path}?{urlencode({'done': done})}" if done else path, 303)


async def form(request: Request) -> Mapping[str, str]:
    """The fields of a form; the last value of each. Not more than two hundred."""
    body = (await request.body()).decode("utf-8", "replace")
    try:
        return dict(parse_qsl(body, keep_blank_values=True, max_num_fields=200))
    except ValueError:
        return {}


def number(text: str, default: int) -> int:
    """A number from an address line; the default for what is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 17 else default


def query(**values: object) -> str:
    """The end of an address, from what is not empty."""
    return urlencode({key: value for key, value in values.items() if value not in {"", None, 0}})


def size(found: float) -> str:
    """Bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if found < 1000:
            return f"{found:.0f} {unit}" if found >= 10 or unit == "B" else f"{found:.1f} {unit}"
        found /= 1000
    return f"{found:.1f} TB"


def span(seconds: float | None) -> str:
    """A length of time for people."""
    if seconds is None:
        return "–"
    left = int(seconds)
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if left >= 2 * length or (unit == "min" and left >= length):
            return f"{left // length} {unit}"
    return f"{left} s"


def lead(seconds: float | None) -> str:
    """How far a clock is from ours, for people."""
    if seconds is None:
        return "not known yet"
    if abs(seconds) < 2:
        return "right"
    return f"{span(abs(seconds))} {'ahead' if seconds > 0 else 'behind'}"


def count(found: int) -> str:
    """A number with thin groups of thousands."""
    return f"{found:,}".replace(",", "\u202f")


def hexdump(raw: bytes) -> str:
    """Sixteen bytes a line: offset, hex, text."""
    lines = []
    for at in range(0, min(len(raw), HEX_BYTES_MAX), 16):
        part = raw[at : at + 16]
        lines.append(f"{at:04x}  {part.hex(' '):<47}  {printable(part)}")
    if len(raw) > HEX_BYTES_MAX:
        lines.append(f"… and {len(raw) - HEX_BYTES_MAX} bytes more")
    return "\n".join(lines)


def printable(raw: bytes) -> str:
    """ASCII as it is, a dot for every other byte."""
    return "".join(chr(byte) if 32 <= byte < 127 else "·" for byte in raw)
