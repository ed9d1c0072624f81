"""The contract with the central server, sans-I/O: requests as values, answers read into outcomes.

Theory: an answer counts only as far as the contract's own form carries it. Between the gateway and its centre stand
portals, proxies and half-started servers, and each of them can say 200, 401 or 404. So 201 is believed (no portal creates
anything), 200 only with the record's own uuid in it, a refusal of the credentials only with one of the contract's codes;
a page of HTML is never believed. What is not believed changes nothing and is tried again.

    answer to a record              becomes
    201                             ACKED
    200 with the record's uuid      ACKED
    400 409 413 422, other 4xx      QUARANTINE, with the centre's words
    401 403 404 with a code         CredentialsRefused
    408 425 429                     LinkError, with Retry-After
    404 405, 3xx, 5xx, the rest     LinkError or Disbelieved

Source: contracts/README.md and its schemas; servers of the first product description have no `status`, `batch` or `code`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from scaleledger.domain.delivery import Batch, ItemOutcome, Outcome
from scaleledger.domain.errors import CredentialsRefused, Disbelieved, LinkError, RegistrationRefused
from scaleledger.domain.ledger import SEQ_MAX
from scaleledger.domain.standing import Introduction, SignOfLife, Standing, Status
from scaleledger.domain.weighing import Head, Record

GATEWAYS = "devices/api/gateways/"
HEARTBEAT = GATEWAYS + "heartbeat/"
RECORDS = "api/weighing/records/"
BATCH_MAX = 500
TOKEN_MAX = 512
WORDS_MAX = 300
RETRY_AFTER_MAX_S = 3600
CREDENTIAL_CODES = frozenset({"gateway_unknown", "token_missing", "token_unknown", "gateway_inactive"})
LATER = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be sent; `path` is relative to the server's address, an empty `token` sends none."""

    method: str
    path: str
    body: bytes = b""
    token: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: header names in lower case, and the wall clock at which it came."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    at: datetime


@dataclass(frozen=True, slots=True)
class Offer:
    """What the centre can do: `batch_path` is empty when it takes one record at a time; `ledger` when it keeps chains."""

    batch_path: str = ""
    max_records: int = 1
    ledger: bool = True


class BatchNotOffered(Exception):
    """The batch resource is not there (any more): send one record at a time."""


class BatchRefused(Exception):
    """The batch was refused as a whole, which says nothing of any one record: send it in smaller parts."""


class BatchTooLarge(BatchRefused):
    """The batch was refused for its size."""


def ask_status(mac_address: str) -> Request:
    """How does this gateway stand?"""
    return Request("GET", f"{GATEWAYS}{mac_address}/")


def ask_registration(introduction: Introduction) -> Request:
    """Please register this gateway."""
    fields = {
        "mac_address": introduction.mac_address,
        "hostname": introduction.hostname,
        "ip_address": introduction.ip_address,
        "name": introduction.name,
    }
    if introduction.public_key:
        fields["public_key"] = introduction.public_key
    return Request("POST", GATEWAYS, _json(fields).encode())


def say_alive(sign: SignOfLife, token: str) -> Request:
    """The gateway lives, and its books stand so."""
    oldest = sign.oldest_queued_at
    fields: dict[str, Any] = {
        "version": sign.version,
        "queued": sign.queued,
        "quarantined": sign.quarantined,
        "oldest_queued_at": _time(oldest) if oldest else None,
        "sent_at": _time(sign.sent_at),
    }
    if sign.head is not None and sign.head.seq:
        fields["head"] = _head(sign.head)
    return Request("POST", HEARTBEAT, _json(fields).encode(), token)


def post_record(record: Record, token: str, *, ledger: bool = True) -> Request:
    """One weighing; `ledger` False leaves out what a plain server does not know."""
    return Request("POST", RECORDS, _record(record, ledger=ledger).encode(), token)


def post_batch(batch: Batch, path: str, token: str) -> Request:
    """Many weighings in order, and the ledger's head."""
    records = ",".join(_record(r, ledger=True) for r in batch.records)
    return Request("POST", path, f'{{"records":[{records}],"head":{_json(_head(batch.head))}}}'.encode(), token)


def read_status(answer: Answer, mac_address: str) -> tuple[Status, Offer]:
    """How the gateway stands, and what the centre offers. Raises LinkError, Disbelieved."""
    what = "the question for this gateway's status"
    found = _object(answer)
    if answer.status == 404 and _is_refusal(found, "gateway_unknown"):
        return Status(Standing.NOT_REGISTERED), Offer()
    if answer.status != 200:
        raise _no_answer(answer, what)
    if found is None or str(found.get("mac_address", "")).lower() != mac_address.lower():
        raise Disbelieved(f"{what} was answered 200, but not about {mac_address}")
    token = found.get("access_token") or ""
    if not isinstance(token, str) or len(token) > TOKEN_MAX or not (token.isascii() and token.isprintable()):
        raise Disbelieved(f"{what} was answered with a token that no header can carry")
    offer = _offer(found)
    if "status" not in found:
        return Status(Standing.ACTIVE if token else Standing.PENDING, token), offer
    if found["status"] == "active":
        return Status(Standing.ACTIVE, token), offer
    return Status(Standing.PENDING), offer


def read_registration(answer: Answer) -> None:
    """Returns if the gateway is registered now. Raises RegistrationRefused, LinkError, Disbelieved."""
    what = "the registration"
    found = _object(answer)
    if answer.status in {200, 201}:
        if found is None and (answer.status == 200 or answer.body):
            raise Disbelieved(f"{what} was answered {answer.status}, but not with JSON")
        return
    if answer.status in {400, 409, 422} and found is not None:
        raise RegistrationRefused(str(found.get("code", answer.status)), _words(answer))
    raise _no_answer(answer, what)


def read_heartbeat(answer: Answer) -> Head | None:
    """The sign of life was taken; the centre's anchor, if it tells one. Raises CredentialsRefused, LinkError, Disbelieved."""
    what = "the heartbeat"
    _refuse_credentials(answer)
    if answer.status not in {200, 201, 204}:
        raise _no_answer(answer, what)
    found = _object(answer)
    if answer.body and found is None:
        raise Disbelieved(f"{what} was answered {answer.status}, but not with JSON")
    return _anchor((found or {}).get("anchor"))


def _anchor(stated: Any) -> Head | None:
    """A head in the contract's form. Nothing is believed of it here: it must prove to be the gateway's own."""
    if not isinstance(stated, dict):
        return None
    seq, digest, signature = (stated.get(name) for name in ("seq", "hash", "signature"))
    good = type(seq) is int and 0 < seq <= SEQ_MAX and _is_hex(digest, 64) and _is_hex(signature, 128)
    return Head(seq, str(digest), str(signature)) if good and isinstance(seq, int) else None


def _is_hex(text: Any, digits: int) -> bool:
    return isinstance(text, str) and len(text) == digits and not text.strip("0123456789abcdef")


def read_record(answer: Answer, record: Record) -> ItemOutcome:
    """What became of one record. Raises CredentialsRefused, LinkError, Disbelieved."""
    what = "a record"
    _refuse_credentials(answer)
    if answer.status in {200, 201}:
        found = _object(answer)
        if answer.status == 201 and not answer.body:
            return ItemOutcome(record.seq, Outcome.ACKED)
        named = None if found is None else found.get("uuid")
        believed = _same(named, record.uuid) or (answer.status == 201 and named is None and _is_json(answer))
        if not believed:
            raise Disbelieved(f"{what} was answered {answer.status}, but not with that record")
        return ItemOutcome(record.seq, Outcome.ACKED)
    if answer.status in {401, 403, 404, 405} | LATER or not 400 <= answer.status < 500 or _is_html(answer):
        raise _no_answer(answer, what)
    return ItemOutcome(record.seq, Outcome.QUARANTINE, f"{answer.status}: {_words(answer)}")


def read_batch(answer: Answer, records: Sequence[Record]) -> list[ItemOutcome]:
    """What became of each record, in order. Raises BatchNotOffered, BatchRefused, CredentialsRefused, LinkError."""
    what = "a batch"
    _refuse_credentials(answer)
    if answer.status in {404, 405}:
        raise BatchNotOffered
    if answer.status == 413:
        raise BatchTooLarge(_words(answer))
    if answer.status in {400, 409, 422} and not _is_html(answer):
        raise BatchRefused(_words(answer))
    found = _object(answer)
    results = None if found is None else found.get("results")
    if answer.status != 200:
        raise _no_answer(answer, what)
    if not isinstance(results, list):
        raise Disbelieved(f"{what} was answered 200, but without results")
    complete = len(results) == len(records)
    padded = results[: len(records)] + [None] * (len(records) - len(results))
    return [_item(result, record, complete=complete) for result, record in zip(padded, records, strict=True)]


def _item(result: Any, record: Record, *, complete: bool) -> ItemOutcome:
    """One entry; the centre may leave the uuid out of a refusal only where the place in the list is beyond doubt."""
    if not isinstance(result, dict):
        return ItemOutcome(record.seq, Outcome.RETRY, "the centre's answer leaves this record out")
    outcome, named = result.get("outcome"), result.get("uuid")
    ours = _same(named, record.uuid)
    if ours and outcome in ("created", "held"):
        return ItemOutcome(record.seq, Outcome.ACKED)
    if outcome in ("conflict", "invalid") and (ours or (named is None and complete)):
        return ItemOutcome(record.seq, Outcome.QUARANTINE, f"{outcome}: {_plain(str(result.get('detail', '')))}")
    return ItemOutcome(record.seq, Outcome.RETRY, "the centre's answer for this record is not the contract's")


def _refuse_credentials(answer: Answer) -> None:
    if answer.status in {401, 403, 404}:
        found = _object(answer)
        code = None if found is None else found.get("code")
        if isinstance(code, str) and code in CREDENTIAL_CODES and (answer.status != 404 or code == "gateway_unknown"):
            raise CredentialsRefused(code, _words(answer))


def _no_answer(answer: Answer, what: str) -> LinkError:
    """The error for an answer that says nothing of what was asked."""
    message = f"{what} was answered {answer.status}"
    if answer.status in LATER or answer.status >= 500:
        return LinkError(message, _retry_after_s(answer))
    found = _object(answer)
    if found is not None and "detail" in found:
        return Disbelieved(f"{message} ({_words(answer)})")
    return Disbelieved(f"{message}, which is not the contract's")


def _retry_after_s(answer: Answer) -> int | None:
    """RFC 9110 §10.2.3: seconds, or a date, which is compared with the sender's own clock if it says the time."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:9]), RETRY_AFTER_MAX_S)
    until = _date(text)
    if until is None:
        return None
    wait = until - (_date(answer.headers.get("date", "")) or answer.at)
    return max(0, min(int(wait.total_seconds()), RETRY_AFTER_MAX_S))


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _offer(found: dict[str, Any]) -> Offer:
    batch, ledger = found.get("batch"), "status" in found
    if not isinstance(batch, dict):
        return Offer(ledger=ledger)
    path, most = batch.get("path"), batch.get("max_records")
    if not isinstance(path, str) or not isinstance(most, int) or most < 1 or not _is_relative(path):
        return Offer(ledger=ledger)
    return Offer(path, min(most, BATCH_MAX), ledger)


def _is_relative(path: str) -> bool:
    """A batch path stays below the configured address, so that no answer can send the token elsewhere."""
    return bool(path) and path.isascii() and path.isprintable() and not path.startswith("/") and ":" not in path


def _is_refusal(found: dict[str, Any] | None, code: str) -> bool:
    """The contract's refusal with this code, or a plain server's JSON refusal without any."""
    if found is None:
        return False
    return found["code"] == code if "code" in found else "detail" in found


def _is_html(answer: Answer) -> bool:
    kind = answer.headers.get("content-type", "").strip().lower()
    return kind.startswith(("text/html", "application/xhtml")) or answer.body.lstrip().startswith(b"<")


def _parse(answer: Answer) -> tuple[bool, Any]:
    if _is_html(answer):
        return False, None
    try:
        return True, json.loads(answer.body)
    except (ValueError, RecursionError):
        return False, None


def _is_json(answer: Answer) -> bool:
    return _parse(answer)[0]


def _object(answer: Answer) -> dict[str, Any] | None:
    found = _parse(answer)[1]
    return found if isinstance(found, dict) else None


def _same(named: Any, uuid: str) -> bool:
    """Servers print a uuid with or without dashes, in either case."""
    return isinstance(named, str) and named.replace("-", "").lower() == uuid.replace("-", "").lower()


def _words(answer: Answer) -> str:
    """The centre's own words, bounded, on one line."""
    found = _object(answer)
    if found is not None and isinstance(found.get("detail"), str):
        return _plain(f"{found['code']}: {found['detail']}" if "code" in found else found["detail"])
    return _plain(answer.body[: 4 * WORDS_MAX].decode("utf-8", "replace"))


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text[:WORDS_MAX]).strip()


def _record(record: Record, *, ledger: bool) -> str:
    """The record as JSON text. The weight is written digit by digit as printed: it never becomes a binary fraction."""
    assert record.weight.is_finite(), "a weighing has a weight"
    outer = (
        f'"uuid":{_json(record.uuid)},"rfid_uid":{_json(record.card)},'
        f'"weight":{record.weight:f},"measured_at":{_json(_time(record.measured_at))}'
    )
    if not ledger:
        return f"{{{outer}}}"
    chain = f'"seq":{record.seq},"payload":{_json(record.payload)},"hash":{_json(record.hash)}'
    return f'{{{outer},"ledger":{{{chain}}}}}'


def _head(head: Head) -> dict[str, Any]:
    return {"seq": head.seq, "hash": head.hash, "signature": head.signature}


def _time(at: datetime) -> str:
    return at.isoformat(timespec="microseconds")


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
