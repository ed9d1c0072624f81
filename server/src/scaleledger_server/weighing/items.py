"""One offered record, from JSON to checked values. Pure: `now` is an argument.

The outer fields are what a server without a ledger would keep; with a ledger they only repeat the payload, and a record
whose two halves disagree is refused.
"""

import hashlib
import json
import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from scaleledger_server.bodies import HASH, parse, read_count, read_fields, read_instant, read_match, read_text
from scaleledger_server.errors import Invalid
from scaleledger_server.limits import PAYLOAD_CHARS_MAX

UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
PRINTED_WEIGHT = re.compile(r"-?[0-9]{1,14}(?:\.[0-9]{1,6})?", re.ASCII)
WEIGHT_MAX, WEIGHT_STEP = Decimal(10) ** 14, Decimal("0.000001")
KINDS = frozenset({"weighing", "void", "correction"})
GENESIS = "0" * 64
RECORD_FIELDS = ("uuid", "rfid_uid", "weight", "measured_at")
PLAIN_FIELDS = ("uuid", "rfid_card_uid", "weight", "measured_at")
SUSPECT_AHEAD = timedelta(minutes=5)
PAYLOAD_FIELDS = ("v", "gateway", "seq", "uuid", "kind", "station", "card", "weight", "unit", "measured_at")


class Item(msgspec.Struct, frozen=True, gc=False):
    """A record that may be stored. `seq` is None and `payload` and `hash` are "" when the client keeps no ledger.

    The fields bear the names of the columns they go to.
    """

    uuid: str
    rfid_uid: str
    weight: Decimal
    weight_text: str
    measured_at: datetime
    seq: int | None = None
    payload: str = ""
    hash: str = ""
    station: str = ""
    unit: str = ""
    kind: str = "weighing"
    refers_to: str = ""

    def same_content(self, other: "Item") -> bool:
        """Whether both tell the same weighing: by the ledger's hash if both have one, else by what was measured."""
        if self.hash and other.hash:
            return self.hash == other.hash
        return (self.rfid_uid, self.weight, self.measured_at) == (other.rfid_uid, other.weight, other.measured_at)

    def follows(self, prev_hash: str) -> bool:
        """Whether `hash` is the one that this payload has after a record with `prev_hash`."""
        return link(prev_hash, self.payload) == self.hash


def link(prev_hash: str, payload: str) -> str:
    """hex(SHA-256(prev ‖ payload)): contracts/README.md, the ledger in a record."""
    return hashlib.sha256(bytes.fromhex(prev_hash) + payload.encode()).hexdigest()


def read_item(value: Any, mac_address: str, now: datetime) -> Item:
    """`weighing_record` of the contract, from the gateway with this MAC address. Raises Invalid.

    The hash's place in the chain is not judged here: that needs what is held already.
    """
    fields = read_fields(value, RECORD_FIELDS, ("ledger",))
    uuid = read_match(fields["uuid"], "uuid", UUID, "a UUID in lower case")
    weight = _weight(fields["weight"])
    item = Item(
        uuid,
        read_text(fields["rfid_uid"], "rfid_uid", 50),
        weight,
        format(weight, "f"),
        read_instant(fields["measured_at"], "measured_at", now),
    )
    return _with_ledger(item, fields["ledger"], mac_address, now) if "ledger" in fields else item


def read_plain_item(value: Any, now: datetime) -> Item:
    """`plain_record` of the contract. Raises Invalid.

    The first clients write the site's local time and label it UTC, so the time is taken as stated and `time_is_suspect`
    tells it from a credible one.
    """
    fields = read_fields(value, PLAIN_FIELDS)
    weight = _weight(fields["weight"])
    return Item(
        read_match(fields["uuid"], "uuid", UUID, "a UUID in lower case"),
        read_text(fields["rfid_card_uid"], "rfid_card_uid", 50),
        weight,
        format(weight, "f"),
        read_instant(fields["measured_at"], "measured_at", now),
    )


def time_is_suspect(measured_at: datetime, received_at: datetime) -> bool:
    """Whether a weighing claims to come from the future: a clock or an offset is wrong."""
    return measured_at > received_at + SUSPECT_AHEAD


def _weight(value: Any) -> Decimal:
    if type(value) is int:
        value = Decimal(value)
    if not isinstance(value, Decimal) or not value.is_finite():
        raise Invalid("weight must be a finite number.", "weight")
    if abs(value) >= WEIGHT_MAX or value != value.quantize(WEIGHT_STEP):
        raise Invalid("weight must have at most 14 digits before the point and 6 after it.", "weight")
    return value if value.as_tuple().exponent >= -6 else value.quantize(WEIGHT_STEP)  # type: ignore[operator]


def _with_ledger(item: Item, value: Any, mac_address: str, now: datetime) -> Item:
    fields = read_fields(value, ("seq", "payload", "hash"), field="ledger")
    seq = read_count(fields["seq"], "ledger.seq", 1)
    digest = read_match(fields["hash"], "ledger.hash", HASH, "64 hex digits")
    payload = read_text(fields["payload"], "ledger.payload", PAYLOAD_CHARS_MAX, 2)
    try:
        stated = parse(payload)
    except ValueError as error:
        raise Invalid("ledger.payload is no JSON.", "ledger.payload") from error
    if not isinstance(stated, dict) or not all(name in stated for name in PAYLOAD_FIELDS):
        raise Invalid(f"ledger.payload must hold {', '.join(PAYLOAD_FIELDS)}.", "ledger.payload")
    _agree("v", stated["v"], 1)
    _agree("gateway", stated["gateway"], mac_address)
    _agree("seq", stated["seq"], seq)
    _agree("uuid", stated["uuid"], item.uuid)
    _agree("card", stated["card"], item.rfid_uid)
    printed = read_match(stated["weight"], "payload.weight", PRINTED_WEIGHT, "printed digits")
    _agree("weight", Decimal(printed), item.weight)
    _agree("measured_at", read_instant(stated["measured_at"], "payload.measured_at", now), item.measured_at)
    if not isinstance(stated["kind"], str) or stated["kind"] not in KINDS:
        raise Invalid("payload.kind must be weighing, void or correction.", "payload.kind")
    return msgspec.structs.replace(
        item,
        weight_text=printed,
        seq=seq,
        payload=payload,
        hash=digest,
        station=read_text(stated["station"], "payload.station", 100, 1),
        unit=read_text(stated["unit"], "payload.unit", 8),
        kind=stated["kind"],
        refers_to=read_text(stated.get("refers_to", ""), "payload.refers_to", 100),
    )


def _agree(name: str, stated: Any, outside: Any) -> None:
    if type(stated) is not type(outside) or stated != outside:
        raise Invalid(f"payload.{name} does not agree with the record.", f"payload.{name}")


def offered_text(item: Item) -> str:
    """An item as one JSON text, for a person to look at and to tell one offer from another."""
    facts = msgspec.structs.asdict(item) | {"weight": item.weight_text, "measured_at": item.measured_at.isoformat()}
    return json.dumps(facts, ensure_ascii=False, sort_keys=True)


def stored_json(item: Item, received_at: datetime) -> str:
    """`stored_record` of the contract. Written by hand, as the weight keeps its printed digits and is no float."""
    body = {
        "uuid": item.uuid,
        "rfid_uid": item.rfid_uid,
        "weight": 0,
        "measured_at": item.measured_at.isoformat(),
        "received_at": received_at.isoformat(),
    }
    if item.seq is not None:
        body["ledger"] = {"seq": item.seq, "payload": item.payload, "hash": item.hash}
    return _with_number(body, item)


def plain_json(item: Item, received_at: datetime) -> str:
    """What the first clients read after an upload: their own words, and when it was received."""
    body = {
        "uuid": item.uuid,
        "rfid_card_uid": item.rfid_uid,
        "weight": 0,
        "measured_at": item.measured_at.isoformat(),
        "received_at": received_at.isoformat(),
    }
    return _with_number(body, item)


def _with_number(body: dict[str, Any], item: Item) -> str:
    number = format(Decimal(item.weight_text), "f")
    return json.dumps(body).replace('"weight": 0', f'"weight": {number}', 1)
