"""The languages a printer may understand, by the name they have in the configuration: one table."""

from collections.abc import Callable
from dataclasses import dataclass

from scaleledger.domain.printing import PrinterCard, PrinterState
from scaleledger.printing import escpos, escpos_status, tspl, tspl_status
from scaleledger.printing.document import Document
from scaleledger.printing.question import Question


@dataclass(frozen=True, slots=True)
class Language:
    """How a document is made, marked as a copy and repeated, and what can be asked. `details` and `model` may be missing."""

    codepage: str
    render: Callable[[Document, PrinterCard], bytes]
    mark: Callable[[bytes, str, PrinterCard], bytes]
    repeats: Callable[[bytes, int], int]
    status: Question[PrinterState]
    details: Question[PrinterState] | None = None
    model: Question[str] | None = None


def label_size(card: PrinterCard) -> tspl.LabelSize:
    """The labels in this printer."""
    return tspl.LabelSize(card.label_width_mm, card.label_height_mm, card.label_gap_mm)


LANGUAGES = {
    "tspl": Language(
        tspl.CODEPAGE,
        lambda document, card: tspl.render(document, label_size(card), codepage=card.codepage or tspl.CODEPAGE),
        lambda content, word, card: tspl.marked(
            content, word, label_size(card), codepage=card.codepage or tspl.CODEPAGE
        ),
        tspl.repeats,
        tspl_status.STATUS,
        tspl_status.DETAILS,
        tspl_status.MODEL,
    ),
    "escpos": Language(
        escpos.CODEPAGE,
        lambda document, card: escpos.render(document, columns=card.columns, codepage=card.codepage or escpos.CODEPAGE),
        lambda content, word, card: escpos.marked(
            content, word, columns=card.columns, codepage=card.codepage or escpos.CODEPAGE
        ),
        lambda _, label_count: label_count,
        escpos_status.STATUS,
    ),
}


def language_of(card: PrinterCard) -> Language:
    """What this printer understands."""
    return LANGUAGES[card.language]
