"""Records as a CSV file, in slices, so that memory does not grow with what is asked for. Weights stand as printed."""

from collections.abc import Iterator
from itertools import islice

from django.db.models import QuerySet

from scaleledger_server import spreadsheets
from scaleledger_server.spreadsheets import safe
from scaleledger_server.weighing import rows
from scaleledger_server.weighing.items import PRINTED_WEIGHT
from scaleledger_server.weighing.models import Cut, WeighingRecord

SLICE_ROWS = 500
HEADER = [
    "uuid", "gateway", "gateway_name", "station", "number", "kind", "refers_to", "measured_at", "received_at", "card",
    "weight", "unit", "amended", "weight_now", "unit_now", "card_now", "hash",
]  # fmt: skip

CUT_HEADER = [
    "uuid", "site", "edge", "scale", "session", "animal", "species", "told_session", "measured_at", "edge_received_at",
    "received_at", "plu", "product", "barcode", "net_g", "gross_g", "tare_g", "operator", "offline", "batch", "code", "company",
    "flags", "notes",
]  # fmt: skip


def written(records: QuerySet[WeighingRecord]) -> Iterator[str]:
    """The file's lines; one statement for the records and one per slice for what was said of them later."""
    return spreadsheets.lines(HEADER, _cells(records))


def _cells(records: QuerySet[WeighingRecord]) -> Iterator[list[str]]:
    found = records.select_related("gateway").defer("payload").iterator(SLICE_ROWS)
    while page := list(islice(found, SLICE_ROWS)):
        for row in rows.shown(page):
            yield _line(row)


def _line(row: rows.Shown) -> list[str]:
    record, now = row.record, row.now
    return [
        record.uuid,
        record.gateway.mac_address,
        safe(record.gateway.name),
        safe(record.station),
        "" if record.seq is None else str(record.seq),
        record.kind,
        safe(record.refers_to),
        record.measured_at.isoformat(),
        record.received_at.isoformat(),
        safe(record.rfid_uid),
        _weight(record.weight_text),
        safe(record.unit),
        now.amended,
        "" if row.void else _weight(now.weight_text),
        "" if row.void else safe(now.unit),
        "" if row.void else safe(now.rfid_uid),
        record.hash,
    ]


def _weight(text: str) -> str:
    """Printed digits are a number, also below zero; anything else is a text."""
    return text if PRINTED_WEIGHT.fullmatch(text) else safe(text)


def cuts_written(cuts: QuerySet[Cut]) -> Iterator[str]:
    """The file's lines of cuts, in whole grams; one statement."""
    found = cuts.select_related("scale__edge__site", "session").iterator(SLICE_ROWS)
    return spreadsheets.lines(CUT_HEADER, map(_cut_line, found))


def _cut_line(cut: Cut) -> list[str]:
    session, site, extras = cut.session, cut.scale.edge.site, cut.extras
    return [
        str(cut.record_uuid),
        safe(site.site_id if site else ""),
        str(cut.scale.edge_id),
        safe(cut.scale.device_id),
        str(session.pk) if session else "",
        safe(session.animal_tag if session else ""),
        safe(session.animal_species if session else ""),
        safe(cut.told_session),
        cut.measured_at.isoformat(),
        cut.edge_received_at.isoformat() if cut.edge_received_at else "",
        cut.received_at.isoformat(),
        safe(cut.plu_code),
        safe(cut.product_name),
        safe(cut.barcode),
        str(cut.net_grams),
        _grams(cut.gross_grams),
        _grams(cut.tare_grams),
        safe(cut.operator),
        "yes" if cut.offline else "",
        str(cut.batch_id) if cut.batch_id else "",
        *(safe(str(extras.get(name, ""))) for name in ("code", "company")),
        *(safe(",".join(extras.get(name, ()))) for name in ("flags", "notes")),
    ]


def _grams(value: int | None) -> str:
    return "" if value is None else str(value)
