"""One exchange with a centre as values: what is asked and what came back, read without believing it.

Between a gateway and its centre stand portals, proxies and half-started servers. What is here tells their pages from an
answer; how far an answer is believed, each contract says for itself.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

WORDS_MAX = 300
RETRY_AFTER_MAX_S = 3600
LATER = frozenset({408, 425, 429})
"""Statuses that ask for patience and say nothing else."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be sent; `path` is relative to the server's address, an empty `token` sends none.

    `signed` asks for the gateway's signature over the body. `version` is the one that is held already, "" for none; of more
    `headers` none is secret.
    """

    method: str
    path: str
    body: bytes = b""
    token: str = ""
    signed: bool = False
    version: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: header names in lower case, and the wall clock at which it came."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    at: datetime


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


def plain(text: str) -> str:
    """A stranger's text for a log or a page: bounded, on one line."""
    return "".join(c if c.isprintable() else " " for c in text[:WORDS_MAX]).strip()


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
