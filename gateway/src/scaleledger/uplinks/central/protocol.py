"""Records, batches and signs of life in the contract with the central server, sans-I/O: what is sent, and what came of it.

So 201 is believed (no portal creates anything), 200 only with the record's own uuid in it; see `exchange` for the theory.

    answer to a record              becomes
    201                             ACKED
    200 with the record's uuid      ACKED
    400 409 413 422, other 4xx      QUARANTINE, with the centre's words
    401 403 404 with a code         CredentialsRefused
    408 425 429                     LinkError, with Retry-After
    404 405, 3xx, 5xx, the rest     LinkError or Disbelieved

Of a receipt only the shape is looked at here: whether it is true of our own ledger, the store knows.

Source: contracts/README.md and its schemas.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scaleledger.domain.delivery import Batch, ItemOutcome, Outcome
from scaleledger.domain.errors import Disbelieved
from scaleledger.domain.ledger import GENESIS
from scaleledger.domain.standing import Alive, HostReport, Receipt, SignOfLife, StationRefused, StationReport
from scaleledger.domain.weighing import Head, Record
from scaleledger.uplinks.central.enrolment import GATEWAYS
from scaleledger.uplinks.central.exchange import is_hex, is_seq, no_answer, refuse_credentials, words
from scaleledger.uplinks.exchange import (
    LATER,
    Answer,
    Request,
    instant,
    is_html,
    is_json,
    json_text,
    object_in,
    plain,
    time_text,
)

HEARTBEAT = GATEWAYS + "heartbeat/"
RECORDS = "api/weighing/records/"
STATIONS_MAX = 256
VERSION_MAX = 64


@dataclass(frozen=True, slots=True)
class Taken:
    """What the centre made of a batch: an outcome for each record, and perhaps a receipt."""

    outcomes: list[ItemOutcome]
    receipt: Receipt | None = None


class BatchNotOffered(Exception):
    """The batch resource is not there (any more): send one record at a time."""


class BatchRefused(Exception):
    """The batch was refused as a whole, which says nothing of any one record: send it in smaller parts."""


class BatchTooLarge(BatchRefused):
    """The batch was refused for its size."""


def body_message(mac_address: str, body: bytes) -> bytes:
    """The bytes that a gateway signs for a delivery."""
    return f"scaleledger-body-v1\n{mac_address}\n{hashlib.sha256(body).hexdigest()}".encode()


def say_alive(sign: SignOfLife, token: str, *, reports: bool = True) -> Request:
    """The gateway lives, and its books stand so; `reports` False leaves out what an older centre does not read."""
    oldest = sign.oldest_queued_at
    fields: dict[str, Any] = {
        "version": sign.version[:40],
        "queued": sign.queued,
        "quarantined": sign.quarantined,
        "oldest_queued_at": time_text(oldest) if oldest else None,
        "sent_at": time_text(sign.sent_at),
    }
    if sign.head is not None and sign.head.seq:
        fields["head"] = _head(sign.head)
    if reports:
        fields |= _reported(sign)
    return Request("POST", HEARTBEAT, json_text(fields).encode(), token)


def _reported(sign: SignOfLife) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if sign.host is not None:
        fields |= _host(sign.host)
    if sign.clock_offset_ms is not None:
        fields["clock_offset_ms"] = sign.clock_offset_ms
    if sign.receipt_seq:
        fields["receipt_seq"] = sign.receipt_seq
    if sign.host is not None or sign.stations or sign.stations_refused:
        fields["stations"] = [_station(s) for s in sign.stations[:STATIONS_MAX]]
        fields["stations_refused"] = [_station_refused(s) for s in sign.stations_refused[:STATIONS_MAX]]
    return fields


def _host(host: HostReport) -> dict[str, Any]:
    return {
        "python": host.python[:40],
        "platform": host.platform[:100],
        "uptime_s": host.uptime_s,
        "disk_free_bytes": host.disk_free_bytes,
        "disk_total_bytes": host.disk_total_bytes,
    }


def _station(report: StationReport) -> dict[str, Any]:
    return {
        "name": report.name[:100],
        "source": report.source,
        "driver": report.driver[:40],
        "port": report.port[:200],
        "link": report.link,
        "state": report.state[:40],
        "detail": report.detail[:300],
        "saved": report.saved,
        "problems": report.problems,
    }


def _station_refused(refused: StationRefused) -> dict[str, Any]:
    return {"name": refused.name[:100], "reason": refused.reason[:300]}


def read_heartbeat(answer: Answer) -> Alive:
    """The sign of life was taken, and what the centre says with it. Raises CredentialsRefused, LinkError, Disbelieved."""
    what = "the heartbeat"
    refuse_credentials(answer)
    if answer.status not in {200, 201, 204}:
        raise no_answer(answer, what)
    found = object_in(answer)
    if answer.body and found is None:
        raise Disbelieved(f"{what} was answered {answer.status}, but not with JSON")
    said = found or {}
    versions = said.get("versions")
    versions = versions if isinstance(versions, dict) else {}
    return Alive(
        anchor=_anchor(said.get("anchor")),
        receipt=_receipt(said.get("receipt")),
        server_time=instant(said.get("server_time")),
        stations_version=_version(versions.get("stations")),
        market_version=_version(versions.get("market")),
    )


def _anchor(stated: Any) -> Head | None:
    """A head in the contract's form. Nothing is believed of it here: it must prove to be the gateway's own."""
    if not isinstance(stated, dict):
        return None
    seq, digest, signature = (stated.get(name) for name in ("seq", "hash", "signature"))
    good = is_seq(seq) and is_hex(digest, 64) and is_hex(signature, 128)
    return Head(seq, str(digest), str(signature)) if good and isinstance(seq, int) else None


def _receipt(stated: Any) -> Receipt | None:
    if not isinstance(stated, dict):
        return None
    seq, digest, at, signature = (stated.get(name) for name in ("upto_seq", "hash", "at", "signature"))
    numbered = is_seq(seq) or (type(seq) is int and seq == 0 and digest == GENESIS.hex())
    good = numbered and is_hex(digest, 64) and is_hex(signature, 128) and instant(at) is not None
    return Receipt(seq, str(digest), str(at), str(signature)) if good and isinstance(seq, int) else None


def _version(stated: Any) -> str:
    return stated if isinstance(stated, str) and len(stated) <= VERSION_MAX else ""


def post_record(record: Record, token: str, *, ledger: bool = True) -> Request:
    """One weighing; `ledger` False leaves out what a plain server does not know."""
    return Request("POST", RECORDS, _record(record, ledger=ledger).encode(), token, signed=True)


def post_batch(batch: Batch, path: str, token: str) -> Request:
    """Many weighings in order, and the ledger's head."""
    records = ",".join(_record(r, ledger=True) for r in batch.records)
    body = f'{{"records":[{records}],"head":{json_text(_head(batch.head))}}}'
    return Request("POST", path, body.encode(), token, signed=True)


def read_record(answer: Answer, record: Record) -> ItemOutcome:
    """What became of one record. Raises CredentialsRefused, LinkError, Disbelieved."""
    what = "a record"
    refuse_credentials(answer)
    if answer.status in {200, 201}:
        found = object_in(answer)
        if answer.status == 201 and not answer.body:
            return ItemOutcome(record.seq, Outcome.ACKED)
        named = None if found is None else found.get("uuid")
        believed = _same(named, record.uuid) or (answer.status == 201 and named is None and is_json(answer))
        if not believed:
            raise Disbelieved(f"{what} was answered {answer.status}, but not with that record")
        return ItemOutcome(record.seq, Outcome.ACKED)
    if answer.status in {401, 403, 404, 405} | LATER or not 400 <= answer.status < 500 or is_html(answer):
        raise no_answer(answer, what)
    return ItemOutcome(record.seq, Outcome.QUARANTINE, f"{answer.status}: {words(answer)}")


def read_batch(answer: Answer, records: Sequence[Record]) -> Taken:
    """What became of each record, in order. Raises BatchNotOffered, BatchRefused, CredentialsRefused, LinkError."""
    what = "a batch"
    refuse_credentials(answer)
    if answer.status in {404, 405}:
        raise BatchNotOffered
    if answer.status == 413:
        raise BatchTooLarge(words(answer))
    if answer.status in {400, 409, 422} and not is_html(answer):
        raise BatchRefused(words(answer))
    if answer.status != 200:
        raise no_answer(answer, what)
    found = object_in(answer) or {}
    results = found.get("results")
    if not isinstance(results, list):
        raise Disbelieved(f"{what} was answered 200, but without results")
    complete = len(results) == len(records)
    padded = results[: len(records)] + [None] * (len(records) - len(results))
    outcomes = [_item(result, record, complete=complete) for result, record in zip(padded, records, strict=True)]
    return Taken(outcomes, _receipt(found.get("receipt")))


def _item(result: Any, record: Record, *, complete: bool) -> ItemOutcome:
    """One entry; the centre may leave the uuid out of a refusal only where the place in the list is beyond doubt."""
    if not isinstance(result, dict):
        return ItemOutcome(record.seq, Outcome.RETRY, "the centre's answer leaves this record out")
    outcome, named = result.get("outcome"), result.get("uuid")
    ours = _same(named, record.uuid)
    if ours and outcome in ("created", "held"):
        return ItemOutcome(record.seq, Outcome.ACKED)
    if outcome in ("conflict", "invalid") and (ours or (named is None and complete)):
        return ItemOutcome(record.seq, Outcome.QUARANTINE, f"{outcome}: {plain(str(result.get('detail', '')))}")
    return ItemOutcome(record.seq, Outcome.RETRY, "the centre's answer for this record is not the contract's")


def _same(named: Any, uuid: str) -> bool:
    """Servers print a uuid with or without dashes, in either case."""
    return isinstance(named, str) and named.replace("-", "").lower() == uuid.replace("-", "").lower()


def _record(record: Record, *, ledger: bool) -> str:
    """The record as JSON text. The weight is written digit by digit as printed: it never becomes a binary fraction."""
    assert record.weight.is_finite(), "a weighing has a weight"
    outer = (
        f'"uuid":{json_text(record.uuid)},"rfid_uid":{json_text(record.card)},'
        f'"weight":{record.weight:f},"measured_at":{json_text(time_text(record.measured_at))}'
    )
    if not ledger:
        return f"{{{outer}}}"
    chain = f'"seq":{record.seq},"payload":{json_text(record.payload)},"hash":{json_text(record.hash)}'
    return f'{{{outer},"ledger":{{{chain}}}}}'


def _head(head: Head) -> dict[str, Any]:
    return {"seq": head.seq, "hash": head.hash, "signature": head.signature}
