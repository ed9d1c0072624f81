"""Proving that what is held is a gateway's ledger, whole: numbers without gaps, every hash recomputed, the anchor met.

The columns people read are compared with the payload too, so a row altered beside the ledger is found.
"""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from scaleledger_server.bodies import parse
from scaleledger_server.devices.models import Gateway
from scaleledger_server.weighing.amendments import wrong
from scaleledger_server.weighing.items import GENESIS, Item
from scaleledger_server.weighing.lookups import ITEM_COLUMNS, item_of
from scaleledger_server.weighing.models import Amendment, WeighingRecord


@dataclass(frozen=True, slots=True)
class Bad:
    """The first record that is not as it must be."""

    seq: int
    why: str


@dataclass(slots=True)
class ChainReport:
    """What the walk over one gateway's records found. `pending`: records the anchor promises that have not come."""

    mac_address: str
    records: int = 0
    last_seq: int = 0
    anchor_seq: int = 0
    pending: int = 0
    bad: Bad | None = None

    @property
    def ok(self) -> bool:
        return self.bad is None

    def described(self) -> dict[str, Any]:
        return {**asdict(self), "ok": self.ok}


def check(gateway: Gateway) -> ChainReport:
    """Walk a gateway's numbered records in order, to the end or to the first bad one."""
    gateway.refresh_from_db(fields=["anchor_seq", "anchor_hash"])
    report = ChainReport(gateway.mac_address, anchor_seq=gateway.anchor_seq)
    rows = WeighingRecord.objects.filter(gateway=gateway, seq__isnull=False).order_by("seq").values_list(*ITEM_COLUMNS)
    prev_hash = GENESIS
    for row in rows.iterator(chunk_size=1000):
        item = item_of(row)
        why = _wrong(item, report.last_seq, prev_hash, gateway)
        if why:
            report.bad = Bad(item.seq if why != "is missing" else report.last_seq + 1, why)  # type: ignore[arg-type]
            return report
        report.records += 1
        report.last_seq, prev_hash = item.seq or 0, item.hash
    report.pending = max(0, gateway.anchor_seq - report.last_seq)
    return report


@dataclass(slots=True)
class AmendmentsReport:
    """What the walk over all amendments found."""

    amendments: int = 0
    bad: Bad | None = None

    @property
    def ok(self) -> bool:
        return self.bad is None

    def described(self) -> dict[str, Any]:
        return {**asdict(self), "ok": self.ok}


def check_amendments() -> AmendmentsReport:
    """Walk the chain of amendments, to the end or to the first bad one."""
    report, prev_hash = AmendmentsReport(), GENESIS
    for amendment in Amendment.objects.order_by("number").iterator(chunk_size=1000):
        why = wrong(amendment, report.amendments + 1, prev_hash)
        if why:
            report.bad = Bad(report.amendments + 1, why)
            return report
        report.amendments, prev_hash = amendment.number, amendment.hash
    return report


def _wrong(item: Item, last_seq: int, prev_hash: str, gateway: Gateway) -> str:
    if item.seq != last_seq + 1:
        return "is missing"
    if not item.follows(prev_hash):
        return "hash does not follow from its payload and the record before it"
    if item.seq == gateway.anchor_seq and item.hash != gateway.anchor_hash:
        return "is not the one that the gateway's signed head named"
    altered = altered_column(item, gateway.mac_address)
    return f"{altered} was altered: it is not what the payload says" if altered else ""


def altered_column(item: Item, mac_address: str) -> str:
    """The first column that is not what the payload says; "" when all are."""
    try:
        stated = parse(item.payload)
        measured_at = datetime.fromisoformat(stated["measured_at"]).astimezone(UTC)
        weight = Decimal(stated["weight"])
    except (ValueError, KeyError, TypeError, InvalidOperation):
        return "payload"
    expected = {
        "gateway": (stated.get("gateway"), mac_address),
        "uuid": (stated.get("uuid"), item.uuid),
        "rfid_uid": (stated.get("card"), item.rfid_uid),
        "weight_text": (weight, item.weight),
        "unit": (stated.get("unit"), item.unit),
        "station": (stated.get("station"), item.station),
        "measured_at": (measured_at, item.measured_at),
        "seq": (stated.get("seq"), item.seq),
    }
    return next((name for name, (said, held) in expected.items() if said != held), "")
