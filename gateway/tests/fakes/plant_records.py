"""Records of dialled-in scales, as a ledger holds them."""

import hashlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from scaleledger.domain.ledger import payload_text
from scaleledger.domain.weighing import Draft, Kind, Record

START = datetime(2026, 11, 21, 2, 10, tzinfo=UTC)


def event_uuid(number, at=START):
    """A version 8 uuid: the scale's stamp in ms, then what tells events apart."""
    stamp = int((at + timedelta(seconds=number)).timestamp() * 1000)
    return f"{stamp >> 16:08x}-{stamp & 0xFFFF:04x}-8000-8000-{number:012x}"


def scale_event(seq, device="SCALE-01", *, number=None, weight="1250", unit="g", kind=Kind.WEIGHING, **details):
    """Record `seq`: an event of a scale; a correction of event `number` if so asked."""
    number = seq if number is None else number
    at = START + timedelta(seconds=number)
    said = {
        "device": device,
        "listener": "hall",
        "peer": "192.0.2.31",
        "product": "KIYMA",
        "plu": "000000000001",
        "gross": "1300",
        "tare": "50",
        "operator": "Ayşe",
        "company": "Örnek Et",
        "flags": "2,0,N",
        "received_at": (at + timedelta(seconds=1)).isoformat(),
    } | details
    draft = Draft(
        uuid=event_uuid(number) if kind is Kind.WEIGHING else f"0192f0c1-7a00-7000-8000-{seq:012d}",
        station=device,
        driver="dp401-csv",
        mode="event",
        weight=Decimal(weight),
        unit=unit,
        measured_at=at,
        details=tuple((key, value) for key, value in said.items() if value),
        kind=kind,
        refers_to="" if kind is Kind.WEIGHING else event_uuid(number),
    )
    return record_of(draft, seq)


def record_of(draft, seq):
    """The record that a draft becomes."""
    payload = payload_text(draft, seq=seq, gateway="02:5a:1e:d6:e4:01", software="0.1.0")
    digest = hashlib.sha256(payload.encode()).hexdigest()
    return Record(
        seq,
        draft.uuid,
        draft.card,
        draft.weight,
        draft.unit,
        draft.station,
        draft.measured_at,
        payload,
        digest,
        "0" * 64,
    )
