"""What somebody wants printed, judged and made into bytes before it becomes a job."""

from scaleledger.app.printers import Printers, PrinterView
from scaleledger.domain.errors import PrintRefused
from scaleledger.domain.printing import JobSource, PrintRequest
from scaleledger.printing import tspl
from scaleledger.printing.document import Document, Line
from scaleledger.printing.languages import language_of

CONTENT_MAX, LABELS_MAX = 2_000_000, 500
PRINTER_MAX, ROLE_MAX, GLOBAL_ID_MAX = 64, 20, 100


def content_of(request: PrintRequest, printers: Printers) -> bytes:
    """The bytes to print. Raises PrintRefused, in words.

    A job of the cloud may name a printer or a role that is not here yet; anybody else is told so at once.
    """
    content = _bytes_of(request, _target(request, printers))
    if not 0 < len(content) <= CONTENT_MAX:
        raise PrintRefused(f"a print job has 1 to {CONTENT_MAX} bytes, this one has {len(content)}")
    return content


def _target(request: PrintRequest, printers: Printers) -> PrinterView | None:
    if not 1 <= request.label_count <= LABELS_MAX:
        raise PrintRefused(f"a print job is for 1 to {LABELS_MAX} labels, not {request.label_count}")
    printer, role = request.target_printer, request.target_role
    if not printer and not role:
        raise PrintRefused("name the printer, or the role of the printer, that is to print this")
    if len(printer) > PRINTER_MAX or len(role) > ROLE_MAX or len(request.global_job_id) > GLOBAL_ID_MAX:
        raise PrintRefused(
            f"a printer's name has at most {PRINTER_MAX} characters, a role {ROLE_MAX}, a job's id {GLOBAL_ID_MAX}"
        )
    found = printers.choose(printer=printer, role=role)
    if found is None and request.source is not JobSource.CLOUD:
        wanted = f"printer {printer!r}" if printer else f"printer for the role {role!r}"
        raise PrintRefused(f"there is no {wanted}, or it is switched off")
    return found


def _bytes_of(request: PrintRequest, target: PrinterView | None) -> bytes:
    if isinstance(request.content, bytes):
        return request.content
    card = target.card if target is not None else None
    try:
        if card is not None and card.language == "escpos":
            return language_of(card).render(Document(tuple(map(Line, request.content.splitlines()))), card)
        return tspl.from_text(request.content, (card.codepage if card else "") or tspl.CODEPAGE)
    except ValueError as wrong:
        raise PrintRefused(str(wrong)) from wrong
