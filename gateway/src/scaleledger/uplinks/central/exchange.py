"""One exchange with the centre as values: what is asked, what came back, and how far it is believed.

Theory: an answer counts only as far as the contract's own form carries it. Between the gateway and its centre stand
portals, proxies and half-started servers, and each of them can say 200, 401 or 404. A refusal of the credentials is
believed only with one of the contract's codes; a page of HTML is never believed. What is not believed changes nothing and
is tried again.

Source: contracts/README.md, "Errors"; servers of the first product description have no `code`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from scaleledger.domain.errors import CredentialsRefused, Disbelieved, LinkError
from scaleledger.domain.ledger import SEQ_MAX

WORDS_MAX = 300
RETRY_AFTER_MAX_S = 3600
CREDENTIAL_CODES = frozenset({"gateway_unknown", "token_missing", "token_unknown", "token_expired", "gateway_inactive"})
LATER = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be sent; `path` is relative to the server's address, an empty `token` sends none.

    `signed` asks for the gateway's signature over the body. `version` is the one that is held already, "" for none.
    """

    method: str
    path: str
    body: bytes = b""
    token: str = ""
    signed: bool = False
    version: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: header names in lower case, and the wall clock at which it came."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    at: datetime


def refuse_credentials(answer: Answer) -> None:
    """Raise CredentialsRefused when the answer says so with one of the contract's codes."""
    if answer.status in {401, 403, 404}:
        code = code_of(answer)
        if code in CREDENTIAL_CODES and (answer.status != 404 or code == "gateway_unknown"):
            raise CredentialsRefused(code, detail_of(answer))


def no_answer(answer: Answer, what: str) -> LinkError:
    """The error for an answer that says nothing of what was asked."""
    message = f"{what} was answered {answer.status}"
    if answer.status in LATER or answer.status >= 500:
        return LinkError(message, retry_after_s(answer))
    found = object_in(answer)
    if found is not None and "detail" in found:
        return Disbelieved(f"{message} ({words(answer)})")
    return Disbelieved(f"{message}, which is not the contract's")


def retry_after_s(answer: Answer) -> int | None:
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


def is_html(answer: Answer) -> bool:
    """Whether it is a page for people, whatever it calls itself."""
    kind = answer.headers.get("content-type", "").strip().lower()
    return kind.startswith(("text/html", "application/xhtml")) or answer.body.lstrip().startswith(b"<")


def is_json(answer: Answer) -> bool:
    """Whether the body is JSON of any kind."""
    return _parse(answer)[0]


def object_in(answer: Answer) -> dict[str, Any] | None:
    """The JSON object in the body, if that is what it holds."""
    found = _parse(answer)[1]
    return found if isinstance(found, dict) else None


def _parse(answer: Answer) -> tuple[bool, Any]:
    if is_html(answer):
        return False, None
    try:
        return True, json.loads(answer.body)
    except (ValueError, RecursionError):
        return False, None


def code_of(answer: Answer) -> str:
    """The contract's word for a refusal; empty when there is none."""
    code = (object_in(answer) or {}).get("code")
    return code if isinstance(code, str) else ""


def detail_of(answer: Answer) -> str:
    """The words of a refusal whose code is told beside them, bounded, on one line."""
    detail = (object_in(answer) or {}).get("detail")
    return plain(detail) if isinstance(detail, str) else words(answer)


def words(answer: Answer) -> str:
    """The centre's own words, bounded, on one line."""
    found = object_in(answer)
    if found is not None and isinstance(found.get("detail"), str):
        return plain(f"{found['code']}: {found['detail']}" if "code" in found else found["detail"])
    return plain(answer.body[: 4 * WORDS_MAX].decode("utf-8", "replace"))


def plain(text: str) -> str:
    """A stranger's text for a log or a page: bounded, on one line."""
    return "".join(c if c.isprintable() else " " for c in text[:WORDS_MAX]).strip()


def is_hex(text: Any, digits: int) -> bool:
    """Whether this is so many hex digits in lower case."""
    return isinstance(text, str) and len(text) == digits and not text.strip("0123456789abcdef")


def is_seq(number: Any) -> bool:
    """Whether this can be a record's number."""
    return type(number) is int and 0 < number <= SEQ_MAX


def instant(text: Any) -> datetime | None:
    """A time of the contract: ISO 8601 with an offset, at most 40 characters; None when it is none.

    Nor is one at an end of the calendar, which no other zone's clock could show.
    """
    if not isinstance(text, str) or len(text) > 40 or not re.match(r"\d{4}-\d\d-\d\dT", text):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None and 1 < found.year < 9998 else None


def json_text(value: Any) -> str:
    """JSON without blanks."""
    return json.dumps(value, separators=(",", ":"))


def time_text(at: datetime) -> str:
    """ISO 8601 with microseconds and the offset."""
    return at.isoformat(timespec="microseconds")
