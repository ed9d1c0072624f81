"""All that proves one record, each check made anew: its place in the chain, the gateway's signature near it, our receipt."""

from collections.abc import Collection
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from scaleledger_server.devices.identity import Head
from scaleledger_server.devices.models import Gateway
from scaleledger_server.signing import server_key
from scaleledger_server.weighing import lookups
from scaleledger_server.weighing.chain import altered_column
from scaleledger_server.weighing.items import GENESIS, Item
from scaleledger_server.weighing.lookups import ITEM_COLUMNS, item_of
from scaleledger_server.weighing.models import Amendment, LedgerState, SignedHead, WeighingRecord
from scaleledger_server.weighing.receipts import message


@dataclass(frozen=True, slots=True)
class Effective:
    """How a record should be read after all that was said about it: `amended` is "" or void or correction."""

    weight_text: str
    unit: str
    rfid_uid: str
    amended: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The last receipt given to the gateway, when it covers the record."""

    upto_seq: int
    hash: str
    at: str
    signature: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Evidence:
    """One record and its proofs. A check is None where there is nothing to check (a client without a ledger or a key).

    `follows`: the hash is SHA-256(prev_hash ‖ payload). `agrees`: the columns are what the payload says. `signed`: the
    gateway's key signed `head`, the next head at or above the record. `reaches`: hash by hash, the chain leads from the
    record to that head. `prev_hash` is "" when the record before is not held.
    """

    record: WeighingRecord
    gateway: Gateway
    prev_hash: str
    follows: bool | None
    agrees: bool | None
    head: SignedHead | None
    signed: bool | None
    reaches: bool | None
    receipt: Receipt | None
    amendments: list[Amendment] = field(default_factory=list)

    @property
    def effective(self) -> Effective:
        return amended(self.record, self.amendments[-1] if self.amendments else None)


REACH_ROWS_MAX = 1000


def evidence(uuid: str) -> Evidence | None:
    """The evidence for the record of this uuid; None when none is held. A fixed number of statements."""
    place = lookups.places([uuid]).get(uuid)
    if place is None:
        return None
    record = WeighingRecord.objects.select_related("gateway").get(id=place[0], received_at=place[1])
    gateway = record.gateway
    amendments = list(Amendment.objects.filter(record_uuid=uuid).select_related("user").order_by("number"))
    if record.seq is None:
        return Evidence(record, gateway, "", None, None, None, None, None, None, amendments)
    item = _item(record)
    prev_hash = _hash_before(gateway, record.seq)
    head = SignedHead.objects.filter(gateway=gateway, seq__gte=record.seq).order_by("seq").first()
    return Evidence(
        record,
        gateway,
        prev_hash,
        item.follows(prev_hash) if prev_hash else None,
        not altered_column(item, gateway.mac_address),
        head,
        Head(head.seq, head.hash, head.signature).signed_by(gateway.public_key, gateway.mac_address) if head else None,
        _reaches(item, head) if head else None,
        _receipt(gateway, record.seq),
        amendments,
    )


def _item(record: WeighingRecord) -> Item:
    return item_of([getattr(record, name) for name in ITEM_COLUMNS])


def _hash_before(gateway: Gateway, seq: int) -> str:
    if seq == 1:
        return GENESIS
    row = WeighingRecord.objects.filter(gateway=gateway, seq=seq - 1).values_list("hash", flat=True).first()
    return row or ""


def _reaches(item: Item, head: SignedHead) -> bool:
    """Whether the held records lead from this one to the head, which is never far: each batch brings one."""
    seq, digest = item.seq or 0, item.hash
    rows = (
        WeighingRecord.objects.filter(gateway_id=head.gateway_id, seq__gt=seq, seq__lte=head.seq)
        .order_by("seq")
        .values_list(*ITEM_COLUMNS)[:REACH_ROWS_MAX]
    )
    for row in rows:
        after = item_of(row)
        if after.seq != seq + 1 or not after.follows(digest):
            return False
        seq, digest = seq + 1, after.hash
    return (seq, digest) == (head.seq, head.hash)


def _receipt(gateway: Gateway, seq: int) -> Receipt | None:
    state = LedgerState.objects.filter(gateway=gateway, receipt_seq__gte=seq).first()
    if state is None or state.receipt_at is None:
        return None
    at = state.receipt_at.isoformat(timespec="microseconds")
    text = message(gateway.mac_address, state.receipt_seq, state.receipt_hash, at)
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(server_key()))
        key.verify(bytes.fromhex(state.receipt_signature), text.encode())
        holds = True
    except (InvalidSignature, ValueError):
        holds = False
    return Receipt(state.receipt_seq, state.receipt_hash, at, state.receipt_signature, holds)


def amended(record: WeighingRecord, newest: Amendment | None) -> Effective:
    """The record as its newest amendment lets it read."""
    if newest is None or newest.kind == Amendment.Kind.VOID:
        return Effective(record.weight_text, record.unit, record.rfid_uid, newest.kind if newest else "")
    return Effective(newest.weight_text, newest.unit, newest.rfid_uid, newest.kind)


def effective(records: Collection[WeighingRecord]) -> dict[str, Effective]:
    """How each of these records should be read now, by uuid; one statement for all of them.

    A void keeps the values it had: a corrected record that is voided afterwards shows its recorded ones.
    """
    newest = {
        amendment.record_uuid: amendment
        for amendment in Amendment.objects.filter(record_uuid__in=[r.uuid for r in records]).order_by("number")
    }
    return {record.uuid: amended(record, newest.get(record.uuid)) for record in records}
