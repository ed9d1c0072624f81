"""The quick way from a batch's bytes to items: one typed decode, no dictionary and no object per field.

It may only shorten the way, never decide otherwise than `items.read_item`: whatever is not plainly in order (a field more,
a payload that is not canonical, a number written unusually) is left to the careful reading, which also words the refusal.
A test compares the two on many bodies.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Meta, UnsetType

from scaleledger_server.bodies import HASH, SEQ_MAX, read_instant
from scaleledger_server.devices.identity import Head, read_head
from scaleledger_server.errors import Invalid
from scaleledger_server.limits import BATCH_RECORDS_MAX, PAYLOAD_CHARS_MAX
from scaleledger_server.weighing.items import PRINTED_WEIGHT, UUID, Item

PLAIN_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]{0,13})(?:\.[0-9]{1,6})?", re.ASCII)
ESCAPED_ASCII = re.compile(rb"\\u00[0-7]", re.ASCII)
QUOTES_PER_RECORD, QUOTES_AROUND = 2 * (8 + 5), 2 * (5 + 2)  # every name and every text has two
EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)


class _Ledger(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    seq: Annotated[int, Meta(ge=1, le=SEQ_MAX)]
    payload: Annotated[str, Meta(max_length=PAYLOAD_CHARS_MAX)]
    hash: str


class _Record(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    uuid: str
    rfid_uid: Annotated[str, Meta(max_length=50)]
    weight: msgspec.Raw
    measured_at: Annotated[str, Meta(max_length=40)]
    ledger: _Ledger


class _Head(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    seq: int
    hash: str
    signature: str


class _Batch(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    records: Annotated[list[_Record], Meta(min_length=1, max_length=BATCH_RECORDS_MAX)]
    head: _Head


class _Payload(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    card: str
    driver: str
    gateway: str
    kind: Literal["weighing", "void", "correction"]
    measured_at: Annotated[str, Meta(max_length=40)]
    mode: str
    raw: str
    role: str
    seq: int
    station: Annotated[str, Meta(min_length=1, max_length=100)]
    unit: Annotated[str, Meta(max_length=8)]
    uuid: str
    v: Literal[1]
    weight: str
    boot_id: str | UnsetType = UNSET
    details: dict[str, str] | UnsetType = UNSET
    evidence: dict[str, str] | UnsetType = UNSET
    monotonic_ms: int | UnsetType = UNSET
    refers_to: Annotated[str, Meta(max_length=100)] | UnsetType = UNSET
    software: str | UnsetType = UNSET
    utc_offset_min: int | UnsetType = UNSET


_BATCH = msgspec.json.Decoder(_Batch)
_PAYLOAD = msgspec.json.Decoder(_Payload)
_CANONICAL = msgspec.json.Encoder(order="sorted")


class Quick(NamedTuple):
    """A batch of which every item, or None in its place, was read."""

    items: Sequence[Item | None]
    head: Head


def read_batch(body: bytes, mac_address: str, now: datetime) -> Quick | None:
    """`weighing_batch` from this gateway; None, or None in an item's place, where it must be read carefully.

    Raises Invalid for a head that is none.
    """
    try:
        batch = _BATCH.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if not _each_key_stands_once(body, len(batch.records)):
        return None
    head = read_head(msgspec.structs.asdict(batch.head))
    payloads = _canonical([record.ledger.payload for record in batch.records])
    read = zip(batch.records, payloads, strict=True)
    items = [_item(record, stated, mac_address, now) if stated is not None else None for record, stated in read]
    return Quick(items, head)


def _canonical(texts: list[str]) -> Sequence[_Payload | None]:
    """The payloads that are written canonically, None for the others.

    All at once, a line each: as what is encoded has no line end within a line, equal bytes mean that each line is equal.
    """
    try:
        lines = "\n".join([*texts, ""]).encode()
        read: list[_Payload] = _PAYLOAD.decode_lines(lines)
        if len(read) == len(texts) and _CANONICAL.encode_lines(read) == lines:
            return read
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        pass  # one of them; which, the look at each tells
    return [_canonical_one(text) for text in texts]


def _canonical_one(text: str) -> _Payload | None:
    try:
        read: _Payload = _PAYLOAD.decode(text)
        return read if _CANONICAL.encode(read) == text.encode() else None
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def _each_key_stands_once(body: bytes, records: int) -> bool:
    """Whether no key stands twice: all names are there, so one more would show in the number of quotes.

    Quotes inside a text are escaped and left out; where a backslash is escaped before a quote, that cannot be told.
    """
    if b'\\\\"' in body or (b"\\u00" in body and ESCAPED_ASCII.search(body)):
        return False  # the second: a character that no database takes may be written so
    return body.count(b'"') - body.count(b'\\"') == records * QUOTES_PER_RECORD + QUOTES_AROUND


def _item(record: _Record, stated: _Payload, mac_address: str, now: datetime) -> Item | None:
    ledger = record.ledger
    number, printed = bytes(record.weight), stated.weight
    if not (
        stated.gateway == mac_address
        and stated.seq == ledger.seq
        and stated.uuid == record.uuid
        and stated.card == record.rfid_uid
        and UUID.fullmatch(record.uuid)
        and HASH.fullmatch(ledger.hash)
        and PRINTED_WEIGHT.fullmatch(printed)
        and PLAIN_NUMBER.fullmatch(number)
    ):
        return None
    text = number.decode()
    weight = Decimal(text)
    measured_at = _instant(stated.measured_at, now)
    if measured_at is None or (text != printed and weight != Decimal(printed)):
        return None
    if record.measured_at != stated.measured_at and measured_at != _instant(record.measured_at, now):
        return None
    refers_to = stated.refers_to
    return Item(
        record.uuid, record.rfid_uid, weight, printed, measured_at, ledger.seq, ledger.payload, ledger.hash, stated.station,
        stated.unit, stated.kind, "" if refers_to is UNSET else refers_to,
    )  # fmt: skip


def _instant(text: str, now: datetime) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is UTC and EARLIEST <= moment <= now + timedelta(days=1):
            return moment
        return read_instant(text, "measured_at", now)
    except (ValueError, Invalid):
        return None
