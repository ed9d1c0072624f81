r"""The chain: every record's hash is taken over its predecessor's, so nothing before the newest hash can change unnoticed.

    hash(1) = SHA-256(32 zero bytes ‖ payload(1))        payload: canonical JSON, contracts/payload.schema.json
    hash(n) = SHA-256(hash(n-1)    ‖ payload(n))         head:    signed over "scaleledger-head-v1\n<mac>\n<n>\n<hash>"

A chain alone accepts a cut tail and a chain rebuilt from the start. A signature over the newest hash stops the second, a
head kept elsewhere stops the first; `verify` checks all three. Where a damaged disk or pruning took records away, a signed
checkpoint says after which number and hash the chain goes on; without one, a gap is a broken chain.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from scaleledger.domain.errors import ChainBroken, LedgerError
from scaleledger.domain.weighing import Draft, Head, Record

VERSION = 1
GENESIS = bytes(32)
PAYLOAD_BYTES_MAX = 16_384
SEQ_MAX = 2**53 - 1
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DAMAGED = "surrogateescape"
_UNNUMBERED = ',"seq":0,"software":'  # cannot stand inside a JSON string, where a quote is escaped
_parse = json.JSONDecoder().raw_decode
_write = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
_MEASURED = ("seq", "uuid", "card", "weight", "unit", "station", "measured_at")  # an Entry's first fields

Signed = Callable[[bytes, bytes], bool]
"""Whether a signature (second) over a message (first) is the gateway's."""


class Entry(NamedTuple):
    """A record as it lies in a store: the measured columns beside the payload. `signature` is empty but on a group's last.

    All fields are what was read, believed or not; text that is no UTF-8 comes with surrogate escapes.
    """

    seq: int
    uuid: str
    card: str
    weight: str
    unit: str
    station: str
    measured_at: str
    payload: str
    hash: bytes
    signature: bytes = b""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The ledger goes on after (`seq`, `hash`), though the record of that number is not held any more."""

    gateway: str
    seq: int
    hash: bytes
    reason: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class Verified:
    """What `verify` proved: how many records, the newest of them, how many heads were signed, how many gaps were declared."""

    records: int
    seq: int
    hash: str
    signed_heads: int
    checkpoints: int


def weight_text(weight: Decimal) -> str:
    """The weight as plain digits, every printed zero kept, never an exponent. Raises LedgerError when it is no number."""
    if not weight.is_finite():
        raise LedgerError(f"{weight} is not a weight")
    return format(weight, "f")


def time_text(at: datetime) -> str:
    """ISO 8601 in UTC with microseconds. Raises LedgerError for a time without a zone."""
    if at.tzinfo is None:
        raise LedgerError(f"{at.isoformat()} has no time zone")
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def payload_text(draft: Draft, *, seq: int, gateway: str, software: str) -> str:
    """The canonical text of a draft that becomes record `seq`. Raises LedgerError when it cannot be a record."""
    return numbered(payload_body(draft, gateway=gateway, software=software), seq)


def numbered(body: str, seq: int) -> str:
    """The canonical text of a body that got its number."""
    return body.replace(_UNNUMBERED, f',"seq":{seq},"software":', 1)


def payload_body(draft: Draft, *, gateway: str, software: str) -> str:
    """The canonical text of a draft that has no number yet: 0 stands in its place, and `numbered` puts the number there.

    So all but the number can be made, and refused, before the draft has its turn. Raises LedgerError when the draft cannot
    be a record.
    """
    if not _UUID.fullmatch(draft.uuid):
        raise LedgerError(f"{draft.uuid!r} is not a uuid in its usual form")
    if not 1 <= len(draft.station) <= 100 or len(draft.card) > 50 or len(draft.unit) > 8:
        raise LedgerError("a station has 1 to 100 characters, a card at most 50, a unit at most 8")
    fields = {
        "v": VERSION,
        "gateway": gateway,
        "seq": 0,
        "uuid": draft.uuid,
        "kind": draft.kind.value,
        "refers_to": draft.refers_to,
        "station": draft.station,
        "driver": draft.driver,
        "mode": draft.mode,
        "card": draft.card,
        "weight": weight_text(draft.weight),
        "unit": draft.unit,
        "role": draft.role.value if draft.role else "",
        "raw": draft.raw.hex(),
        "measured_at": time_text(draft.measured_at),
        "utc_offset_min": draft.utc_offset_min,
        "monotonic_ms": round(draft.monotonic_s * 1000),
        "boot_id": draft.boot_id,
        "evidence": dict(draft.evidence),
        "details": dict(draft.details),
        "software": software,
    }
    text = canonical(fields)
    try:
        size_bytes = len(text.encode()) + len(str(SEQ_MAX)) - 1
    except UnicodeEncodeError as error:
        raise LedgerError("a text of the weighing is not valid Unicode") from error
    if size_bytes > PAYLOAD_BYTES_MAX:
        raise LedgerError(f"the record would take {size_bytes} bytes, at most {PAYLOAD_BYTES_MAX} are kept")
    return text


def canonical(fields: Mapping[str, Any]) -> str:
    """JSON with sorted keys and no blanks, characters as they are."""
    return _write(fields)


def payload_fields(payload: str) -> dict[str, Any]:
    """The parsed payload. Raises LedgerError when it is not canonical JSON of an object (a key given twice is not)."""
    try:
        fields = json.loads(payload)
        same = isinstance(fields, dict) and canonical(fields) == payload
    except (ValueError, RecursionError):
        same = False
    if not same:
        raise LedgerError("the payload is not canonical JSON")
    found: dict[str, Any] = fields
    return found


def link(prev_hash: bytes, payload: str) -> bytes:
    """The hash (32 bytes) of a record that follows the one whose hash is `prev_hash`."""
    return hashlib.sha256(prev_hash + payload.encode("utf-8", _DAMAGED)).digest()


def head_message(mac: str, seq: int, hash_hex: str) -> bytes:
    """The bytes a gateway signs for its head."""
    return f"scaleledger-head-v1\n{mac}\n{seq}\n{hash_hex}".encode("utf-8", _DAMAGED)


def checkpoint_message(mac: str, seq: int, hash_hex: str, reason: str) -> bytes:
    """The bytes a gateway signs to say that its chain goes on after a hash whose record it does not hold."""
    return f"scaleledger-checkpoint-v1\n{mac}\n{seq}\n{hash_hex}\n{reason}".encode("utf-8", _DAMAGED)


def record_of(entry: Entry, prev_hash: bytes) -> Record:
    """The record of an entry that was proved."""
    return Record(
        seq=entry.seq,
        uuid=entry.uuid,
        card=entry.card,
        weight=Decimal(entry.weight),
        unit=entry.unit,
        station=entry.station,
        measured_at=datetime.fromisoformat(entry.measured_at),
        payload=entry.payload,
        hash=entry.hash.hex(),
        prev_hash=prev_hash.hex(),
    )


def check_link(entry: Entry, prev_hash: bytes) -> None:
    """Raise ChainBroken unless `entry` follows from `prev_hash` and its columns say what its payload says."""
    try:
        follows = link(prev_hash, entry.payload) == entry.hash
    except UnicodeEncodeError:  # lone surrogates, which no stored text can hold
        follows = False
    if not follows:
        raise ChainBroken(entry.seq, "its hash does not follow from its content and its predecessor")
    try:
        fields, end = _parse(entry.payload)
    except (ValueError, RecursionError):
        raise ChainBroken(entry.seq, "its payload is not JSON") from None
    if end != len(entry.payload):
        raise ChainBroken(entry.seq, "more than one JSON value is in its payload")
    if not isinstance(fields, dict):
        raise ChainBroken(entry.seq, "its payload is not an object")
    if tuple(map(fields.get, _MEASURED)) != entry[:7]:
        name, held = next((n, h) for n, h in zip(_MEASURED, entry, strict=False) if fields.get(n) != h)
        raise ChainBroken(entry.seq, f"the column for {name} says {held!r}, the payload {fields.get(name)!r}")


def check_signature(entry: Entry, signed: Signed) -> None:
    """Raise ChainBroken unless the head signature that `entry` carries is the gateway's."""
    mac = str(json.loads(entry.payload).get("gateway", ""))
    if not signed(head_message(mac, entry.seq, entry.hash.hex()), entry.signature):
        raise ChainBroken(entry.seq, "the signature of the head is not this gateway's")


def verify(
    entries: Iterable[Entry],
    *,
    signed: Signed | None = None,
    checkpoints: Iterable[Checkpoint] = (),
    head: Head | None = None,
    after: tuple[int, bytes] = (0, GENESIS),
    every_signature: bool = True,
) -> Verified:
    """Prove entries in order of `seq`, with constant memory. Raises ChainBroken at the first bad one.

    With `signed`, signatures are checked, a checkpoint counts only when signed, and the newest record must carry one. That
    one stands for all before it; with `every_signature` the older ones are checked too, which names the first bad record
    of a chain that was computed anew, and costs 70 µs each.
    `after` is the number and hash that the first entry must follow, when it is not the ledger's first.
    With `head` (kept elsewhere: at the centre, on paper) the ledger must hold exactly that hash at that number.
    """
    declared = {c.seq: c for c in checkpoints if signed is None or _is_signed(c, signed)}
    (last, prev), heads, used, count = after, 0, 0, 0
    signature = b""
    met = head is None or (head.seq == 0 and head.hash == GENESIS.hex())
    newest: Entry | None = None
    for entry in entries:
        if entry.seq != last + 1:
            checkpoint = declared.get(entry.seq - 1)
            if checkpoint is None or entry.seq <= last:
                raise ChainBroken(last + 1, f"it is missing; the next one held is {entry.seq}")
            prev, used = checkpoint.hash, used + 1
        check_link(entry, prev)
        signature = entry.signature
        if every_signature and signature and signed is not None:
            check_signature(entry, signed)
        heads += bool(signature)
        newest, last, prev, count = entry, entry.seq, entry.hash, count + 1
        met = met or _meets(head, last, prev)
    beyond = declared.get(max(declared, default=0))
    if beyond is not None and beyond.seq > last:
        last, prev, used, signature = beyond.seq, beyond.hash, used + 1, beyond.signature
        met = met or _meets(head, last, prev)
    if newest is not None and signature and signed is not None and not every_signature:
        check_signature(newest, signed)
    if last and signed is not None and not signature:
        raise ChainBroken(last, "it is the newest record and carries no signature; newer ones were cut off")
    if not met and head is not None:
        raise ChainBroken(max(last, 1), f"the ledger ends here; a head of {head.seq} was given")
    return Verified(count, last, prev.hex(), heads, used)


def _is_signed(checkpoint: Checkpoint, signed: Signed) -> bool:
    c = checkpoint
    return signed(checkpoint_message(c.gateway, c.seq, c.hash.hex(), c.reason), c.signature)


def _meets(head: Head | None, seq: int, found: bytes) -> bool:
    if head is None or seq != head.seq:
        return False
    if found.hex() != head.hash:
        raise ChainBroken(seq, "its hash is not the one in the head that was given")
    return True
