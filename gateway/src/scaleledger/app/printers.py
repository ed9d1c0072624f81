"""The printers of the site: which there are, how each stands, and which one a job goes to."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from scaleledger.app.ports import Clock
from scaleledger.app.print_ports import Connect, PrinterShelf
from scaleledger.domain.cloud import PrinterOffer
from scaleledger.domain.errors import LinkError, PrintRefused
from scaleledger.domain.printing import LANGUAGES, ROLES, Condition, Fault, PrinterCard, PrinterState, Warning  # noqa: A004
from scaleledger.observe.log import get_logger
from scaleledger.printing.languages import language_of
from scaleledger.printing.slip import TEXTS

log = get_logger()
PRINTERS_MAX = 64
ID_MAX, NAME_MAX = 64, 100
_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_HOST = re.compile(r"[A-Za-z0-9_.:-]{1,255}")
RANK = {"online": 0, "warning": 0, "unknown": 1, "error": 2}


@dataclass(frozen=True, slots=True)
class PrinterView:
    """A printer as people are shown it. `status` is online, warning, error or unknown; `words` says more."""

    card: PrinterCard
    status: str = "unknown"
    words: str = "not looked at yet"
    faults: tuple[Fault, ...] = ()
    warnings: tuple[Warning, ...] = ()
    printing: bool = False
    model: str = ""
    last_seen_at: datetime | None = None
    last_error: str = ""


class Printers:
    """The registry, kept on the disk, and the health of each printer, kept in memory."""

    def __init__(self, shelf: PrinterShelf, clock: Clock, connect: Connect) -> None:
        self._shelf, self._clock, self._connect = shelf, clock, connect
        self._views: dict[str, PrinterView] = {}
        self._mute: set[str] = set()  # answers no more than the short question
        self.on_change: list[Callable[[], None]] = []

    async def load(self, configured: Sequence[PrinterCard] = ()) -> None:
        """Take the stored printers, and the configured ones as they are configured now. Raises StoreError."""
        stored = {card.printer_id: card for card in await self._shelf.printers()}
        wanted = {card.printer_id: card for card in configured}
        for card in stored.values():
            if card.source == "config" and card.printer_id not in wanted:
                await self._shelf.drop_printer(card.printer_id)
            elif card.printer_id not in wanted:
                wanted[card.printer_id] = card
        for printer_id, card in wanted.items():
            known = stored.get(printer_id)
            if known is not None and known is not card:
                card = replace(card, enabled=known.enabled, global_id=known.global_id)  # noqa: PLW2901
            if known != card:
                await self._shelf.keep_printer(card)
            self._views[printer_id] = PrinterView(card)
        self._changed()

    # -- who there is

    @property
    def ids(self) -> frozenset[str]:
        """All printers."""
        return frozenset(self._views)

    def views(self) -> list[PrinterView]:
        """All printers as they stand, by id."""
        return [self._views[printer_id] for printer_id in sorted(self._views)]

    def view(self, printer_id: str) -> PrinterView | None:
        """One printer; None if there is none of this id."""
        return self._views.get(printer_id)

    def offers(self) -> list[PrinterOffer]:
        """All enabled printers as the cloud is told of them."""
        return [
            PrinterOffer(
                view.card.printer_id,
                view.card.role,
                view.card.host,
                view.card.port,
                view.model,
                view.status,
                view.last_seen_at,
                view.last_error,
                tuple(warning.value for warning in view.warnings),
            )
            for view in self.views()
            if view.card.enabled
        ]

    def choose(self, *, printer: str = "", role: str = "") -> PrinterView | None:
        """Where a job goes: the named printer (by our id or the cloud's), else the role's best: healthy, then by priority.

        None while there is none that is enabled.
        """
        able = [view for view in self.views() if view.card.enabled]
        if printer:
            return next((view for view in able if printer in {view.card.printer_id, view.card.global_id}), None)
        fitting = [view for view in able if view.card.role == role]
        return min(fitting, key=lambda v: (RANK[v.status], v.card.priority, v.card.printer_id), default=None)

    # -- what a person does

    async def add(self, card: PrinterCard) -> None:
        """Add a printer, or change one that a person added. Raises PrintRefused in words, StoreError."""
        _judge(card)
        known = self._views.get(card.printer_id)
        if known is not None and known.card.source == "config":
            raise PrintRefused(f"the printer {card.printer_id!r} stands in the configuration file: change it there")
        if known is None and len(self._views) >= PRINTERS_MAX:
            raise PrintRefused(f"there are {PRINTERS_MAX} printers already: remove one")
        card = replace(card, source="page", global_id=known.card.global_id if known else "")
        await self._shelf.keep_printer(card)
        self._views[card.printer_id] = PrinterView(card)
        self._changed()

    async def remove(self, printer_id: str) -> None:
        """Forget a printer that a person added. Raises PrintRefused in words, StoreError."""
        view = self._known(printer_id)
        if view.card.source == "config":
            raise PrintRefused(f"the printer {printer_id!r} stands in the configuration file: remove it there")
        await self._shelf.drop_printer(printer_id)
        self._views.pop(printer_id, None)
        self._changed()

    async def enable(self, printer_id: str, *, enabled: bool) -> None:
        """Let a printer take jobs, or not. Raises PrintRefused, StoreError."""
        await self._keep(replace(self._known(printer_id).card, enabled=enabled))

    async def name_globally(self, names: Mapping[str, str]) -> None:
        """The cloud's ids of our printers. Raises StoreError."""
        for printer_id, global_id in names.items():
            view = self._views.get(printer_id)
            if view is not None and view.card.global_id != global_id:
                await self._keep(replace(view.card, global_id=global_id[:100]))

    # -- how it stands

    def hear(self, printer_id: str, state: PrinterState, details: PrinterState | None = None) -> None:
        """A printer said how it stands. Where its short answer tells no warnings, those of its last `details` stay."""
        view = self._views.get(printer_id)
        if view is None:
            return
        short = language_of(view.card).details is not None
        warnings = details.warnings if details is not None else view.warnings if short else state.warnings
        faults = state.faults or (details.faults if details is not None else ())
        words = replace(state, faults=faults).words
        status = "error" if faults else "warning" if warnings else "online"
        self._show(
            replace(
                view,
                status=status,
                words=", ".join(warnings) if status == "warning" else words,
                faults=faults,
                warnings=warnings,
                printing=state.condition is Condition.PRINTING,
                last_seen_at=self._clock.now(),
                last_error=words if faults else "",
            )
        )

    def lose(self, printer_id: str, why: str) -> None:
        """A printer could not be reached, or did not answer."""
        view = self._views.get(printer_id)
        if view is not None:
            self._mute.discard(printer_id)
            self._show(replace(view, status="error", words=why, faults=(), printing=False, last_error=why))

    async def look(self, printer_id: str) -> None:
        """Ask a printer how it stands; one that does not answer is lost."""
        card = self._known(printer_id).card
        language = language_of(card)
        heard = False
        try:
            async with self._connect(card.host, card.port) as line:
                state = await line.ask(language.status)
                self.hear(printer_id, state)
                heard = True
                if printer_id in self._mute or language.details is None:
                    return
                self._mute.add(printer_id)  # until it answers
                details = await line.ask(language.details)
                self._mute.discard(printer_id)
                self.hear(printer_id, state, details)
                view = self._views.get(printer_id)
                if language.model is not None and view is not None and not view.model:
                    self._show(replace(view, model="unknown"))  # asked once, whether it answers or not
                    model = await line.ask(language.model)
                    self._show(replace(self._views.get(printer_id, view), model=model or "unknown"))
        except LinkError as fault:
            if not heard:
                self.lose(printer_id, str(fault))

    # -- inside

    def _known(self, printer_id: str) -> PrinterView:
        view = self._views.get(printer_id)
        if view is None:
            raise PrintRefused(f"there is no printer {printer_id!r}")
        return view

    async def _keep(self, card: PrinterCard) -> None:
        await self._shelf.keep_printer(card)
        if (view := self._views.get(card.printer_id)) is not None:
            self._views[card.printer_id] = replace(view, card=card)
        self._changed()

    def _show(self, view: PrinterView) -> None:
        """Put the new view in the old one's place; tell those who want to know when it differs in more than its time."""
        printer_id = view.card.printer_id
        before = self._views.get(printer_id)
        if before is None:
            return
        self._views[printer_id] = view
        if replace(view, last_seen_at=before.last_seen_at) == before:
            return
        if (view.status, view.words) != (before.status, before.words):
            log.info("hw.printer", printer=printer_id, status=view.status, what=view.words)
        self._changed()

    def _changed(self) -> None:
        for call in self.on_change:
            call()


def _judge(card: PrinterCard) -> None:
    """Raises PrintRefused for a card that cannot be one."""
    wrong = (
        (_ID.fullmatch(card.printer_id) is None, "its id has 1 to 64 letters, digits, dots, dashes and underscores"),
        (_HOST.fullmatch(card.host) is None, "its address is a host name or an IP address"),
        (not 1 <= card.port <= 65535, "its port is from 1 to 65535; printers listen on 9100"),
        (card.language not in LANGUAGES, f"its language is one of {', '.join(LANGUAGES)}"),
        (card.role not in ROLES, f"its role is one of {', '.join(ROLES)}"),
        (card.texts not in TEXTS, f"its texts are in one of {', '.join(TEXTS)}"),
        (len(card.name) > NAME_MAX, f"its name has at most {NAME_MAX} characters"),
        (not 0 <= card.priority <= 1000, "its priority is from 0 to 1000"),
        (not 16 <= card.columns <= 64, "a slip has 16 to 64 columns"),
        (
            not 20 <= card.label_width_mm <= 200 or not 15 <= card.label_height_mm <= 300,
            "that is no label's size, in mm",
        ),
        (not 0 <= card.label_gap_mm <= 30, "the gap between labels is 0 to 30 mm"),
        (not _is_codepage(card.codepage), f"there is no code page {card.codepage!r}"),
    )
    for is_wrong, words in wrong:
        if is_wrong:
            raise PrintRefused(f"the printer {card.printer_id[:ID_MAX]!r} cannot be taken: {words}")


def _is_codepage(name: str) -> bool:
    try:
        "".encode(name or "ascii")
    except (LookupError, ValueError):
        return False
    return True
