"""Records as a list shows them: the weighing as it was measured, beside it what a person said about it later."""

from collections.abc import Collection, Iterable
from typing import NamedTuple
from uuid import UUID

from scaleledger_server.weighing.models import Amendment, WeighingRecord


class Shown(NamedTuple):
    """A record and what it reads now: void, or other values ("" where the measured one stands)."""

    record: WeighingRecord
    void: bool = False
    weight_text: str = ""
    unit: str = ""
    rfid_uid: str = ""


def amended(uuids: Collection[str]) -> dict[str, Amendment]:
    """The newest amendment of each of these records, in one query; records without one are left out."""
    found = Amendment.objects.filter(record_uuid__in=[UUID(uuid) for uuid in uuids]).order_by("number")
    return {str(amendment.record_uuid): amendment for amendment in found}


def shown(records: Iterable[WeighingRecord]) -> list[Shown]:
    """The records of one page, with what became of them; two queries in all."""
    page = list(records)
    later = amended([record.uuid for record in page]) if page else {}
    return [_shown(record, later.get(record.uuid)) for record in page]


def _shown(record: WeighingRecord, amendment: Amendment | None) -> Shown:
    if amendment is None:
        return Shown(record)
    if amendment.kind == Amendment.Kind.VOID:
        return Shown(record, void=True)
    other = amendment.rfid_uid if amendment.rfid_uid != record.rfid_uid else ""
    same = (amendment.weight_text, amendment.unit) == (record.weight_text, record.unit)
    weight_text = "" if same else amendment.weight_text
    return Shown(record, False, weight_text, amendment.unit or record.unit, other)
