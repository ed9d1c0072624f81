"""Printers and what they are to print; what nobody can know, a person decides here."""

import ipaddress
import re
from collections.abc import Awaitable, Mapping, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from scaleledger.app.overview import ActionRefused, FoundPrinter, PrintDesk
from scaleledger.dashboard.desk import Desk
from scaleledger.dashboard.show import form, go, number
from scaleledger.domain.errors import ScaleLedgerError
from scaleledger.domain.printing import LANGUAGES, ROLES, PrinterCard
from scaleledger.observe.log import get_logger
from scaleledger.web.access import Access, allow
from scaleledger.web.guard import VISITOR

log = get_logger()
JOBS = 100
ACTIONS = ("printed", "copy", "cancel")
_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_NEAR = [ipaddress.ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")]


def routes(desk: Desk) -> Sequence[BaseRoute]:
    """The pages of this file."""
    pages = _Printers(desk)
    return (
        Route("/printers", pages.all_of_them),
        Route("/printers", pages.add, methods=["POST"]),
        Route("/printers/remove", pages.remove, methods=["POST"]),
        Route("/printers/test", pages.test, methods=["POST"]),
        Route("/printers/discover", pages.discover, methods=["POST"]),
        Route("/printers/jobs", pages.settle, methods=["POST"]),
    )


class _Printers:
    def __init__(self, desk: Desk) -> None:
        self._overview, self._page = desk.overview, desk.show.page

    @allow(Access.VIEWER)
    async def all_of_them(self, request: Request) -> Response:
        return await self._shown(request)

    @allow(Access.ADMIN)
    async def add(self, request: Request) -> Response:
        told = await form(request)
        try:
            card = card_of(told)
            return await self._act(request, self._desk().add(card), f"add {card.printer_id}", "added")
        except ScaleLedgerError as refused:
            return await self._shown(request, 422, wrong=str(refused))

    @allow(Access.ADMIN)
    async def remove(self, request: Request) -> Response:
        printer_id = (await form(request)).get("printer", "")
        return await self._act(request, self._desk().remove(printer_id), f"remove {printer_id}", "removed")

    @allow(Access.ADMIN)
    async def test(self, request: Request) -> Response:
        printer_id = (await form(request)).get("printer", "")
        return await self._act(request, self._desk().test(printer_id), f"test {printer_id}", "printing")

    @allow(Access.ADMIN)
    async def settle(self, request: Request) -> Response:
        told = await form(request)
        job, action = told.get("job", ""), told.get("action", "")
        if action not in ACTIONS:
            return await self._shown(request, 422, wrong=f"A job can be settled as {', '.join(ACTIONS)}.")
        return await self._act(request, self._desk().settle(job, action), f"{action} {job}", "settled")

    @allow(Access.ADMIN)
    async def discover(self, request: Request) -> Response:
        network = (await form(request)).get("network", "").strip()
        try:
            found = await self._desk().discover(network_of(network))
        except ScaleLedgerError as refused:
            return await self._shown(request, 422, wrong=str(refused), network=network)
        return await self._shown(request, found=found, network=network)

    def _desk(self) -> PrintDesk:
        if self._overview.printing is None:
            raise ActionRefused("Printing is not set up on this gateway. Add a [[printer]] section first.")
        return self._overview.printing

    async def _act(self, request: Request, action: Awaitable[object], what: str, done: str) -> Response:
        try:
            await action
        except ScaleLedgerError as refused:
            return await self._shown(request, 422, wrong=str(refused))
        log.info("sys.page_action", name=request.scope[VISITOR].name, action=what[:200])
        return go("/printers", done)

    async def _shown(
        self,
        request: Request,
        status: int = 200,
        *,
        wrong: str = "",
        found: Sequence[FoundPrinter] | None = None,
        network: str = "",
    ) -> Response:
        desk = self._overview.printing
        return self._page(
            request,
            "printers.html",
            status,
            printers=desk.printers() if desk is not None else None,
            jobs=await desk.jobs(JOBS) if desk is not None else (),
            wrong=wrong,
            found=found,
            network=network,
            roles=ROLES,
            languages=LANGUAGES,
        )


def card_of(told: Mapping[str, str]) -> PrinterCard:
    """A printer from a form's fields. Raises ActionRefused."""
    printer_id, host = told.get("printer", "").strip(), told.get("host", "").strip()
    port = number(told.get("port", ""), 0)
    role, language = told.get("role", ""), told.get("language", "")
    if not _ID.fullmatch(printer_id):
        raise ActionRefused("A printer's id has 1 to 64 letters, digits, dots, dashes or underscores.")
    if not is_near(host) or not 1 <= port <= 65535:
        raise ActionRefused(
            "A printer needs an address of a private network, as 192.168.1.50, and a port, mostly 9100. One that is not "
            "in a private network, or is known by a name only, goes into the gateway's configuration."
        )
    if role not in ROLES or language not in LANGUAGES:
        raise ActionRefused(f"A printer has a role ({', '.join(ROLES)}) and a language ({', '.join(LANGUAGES)}).")
    name = told.get("name", "").strip()
    if len(name) > 100 or not name.isprintable():
        raise ActionRefused("A printer's name has at most 100 printable characters.")
    return PrinterCard(printer_id, host, port, language, role, name)


def is_near(host: str) -> bool:
    """Whether this is an address of a private network: a page sends nothing to this machine itself nor to the internet."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in _NEAR)


def network_of(text: str) -> str:
    """A network of at most 256 private addresses; empty for the gateway's own ones. Raises ActionRefused."""
    if not text:
        return ""
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ActionRefused(f"{text!r} is not a network. Write it as 192.168.1.0/24.") from None
    if network.num_addresses > 256 or not network.is_private:
        raise ActionRefused(f"{network} is not searched: only private networks of at most 256 addresses are.")
    return str(network)
