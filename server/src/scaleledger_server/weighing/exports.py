"""Records as a CSV file, in slices, so that memory does not grow with what is asked for. Weights stand as printed."""

from collections.abc import Iterator
from itertools import islice

from django.db.models import QuerySet

from scaleledger_server import spreadsheets
from scaleledger_server.spreadsheets import safe
from scaleledger_server.weighing import rows
from scaleledger_server.weighing.items import PRINTED_WEIGHT
from scaleledger_server.weighing.models import WeighingRecord

SLICE_ROWS = 500
HEADER = [
    "uuid", "gateway", "gateway_name", "station", "number", "kind", "refers_to", "measured_at", "received_at", "card",
    "weight", "unit", "amended", "weight_now", "unit_now", "card_now", "hash",
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
