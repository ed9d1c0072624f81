"""From the bytes of a body to values that are safe to compare, store and show.

Numbers become Decimal, never float. A number that cannot be held becomes NaN, so that only the record it stands in is
refused. A key given twice is refused: two readers of the same text must not see two different weighings.
"""

import json
import re
import zlib
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest
from django.http.request import UnreadablePostError

from scaleledger_server.errors import Invalid, Refusal
from scaleledger_server.limits import BODY_BYTES_MAX, UNPACKED_BYTES_MAX, UNPACKED_TIMES_MAX

HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
SEQ_MAX = 2**53 - 1
NAN = Decimal("NaN")
YEAR_MIN, YEARS_AHEAD_MAX = 1970, 10  # a machine whose clock lost its battery begins in 1970, and weighs


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        return NAN


def _integer(text: str) -> int | Decimal:
    return int(text) if len(text) <= 20 else NAN


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_decimal, parse_int=_integer, parse_constant=lambda _: NAN
)


def parse(text: str) -> Any:
    """JSON text as values. Raises ValueError for what is no JSON, is nested too deep, or gives a key twice."""
    try:
        return _DECODER.decode(text)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def read_body(request: HttpRequest) -> bytes:
    """The request's body as its sender made it, before compression. Raises Refusal (413, 400)."""
    try:
        body = request.body
    except RequestDataTooBig as error:
        raise Refusal(413, "body_too_large", f"The body is larger than {BODY_BYTES_MAX} bytes.") from error
    except UnreadablePostError as error:
        raise Refusal(400, "invalid", "The body broke off.") from error
    packing = request.headers.get("Content-Encoding", "").strip().lower()
    if packing in {"", "identity"}:
        return body
    if packing != "gzip":
        raise Refusal(400, "invalid", "Content-Encoding must be gzip, or not be there.")
    return unpacked(body)


def unpacked(body: bytes) -> bytes:
    """What was gzipped, no more of it than the limits allow. Raises Refusal (413, 400)."""
    bytes_max = min(UNPACKED_BYTES_MAX, UNPACKED_TIMES_MAX * len(body))
    gunzip = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        plain = gunzip.decompress(body, bytes_max + 1)
    except zlib.error as error:
        raise Refusal(400, "invalid", "The body is no gzip.") from error
    if len(plain) > bytes_max:
        raise Refusal(413, "body_too_large", f"The body is larger than {bytes_max} bytes when it is unpacked.")
    if not gunzip.eof or gunzip.unused_data:
        raise Refusal(400, "invalid", "The body is not one whole gzip stream.")
    return plain


def parsed(body: bytes, *, if_empty: Any = None) -> Any:
    """A body's JSON; `if_empty` when there is none. Raises Refusal (400)."""
    if not body.strip():
        return if_empty
    try:
        return parse(body.decode("utf-8"))
    except ValueError as error:
        raise Refusal(400, "invalid", f"The body is no JSON in UTF-8: {shown(str(error))}.") from error


def read_json(request: HttpRequest, *, if_empty: Any = None) -> Any:
    """The request's body, parsed; `if_empty` when there is none. Raises Refusal (413, 400)."""
    return parsed(read_body(request), if_empty=if_empty)


def shown(text: str, chars_max: int = 120) -> str:
    """Text from outside, fit for a message: bounded, without line ends and control characters."""
    clean = "".join(c if c.isprintable() else "?" for c in text[: chars_max + 1])
    return clean if len(clean) <= chars_max else clean[:chars_max] + "…"


def read_fields(
    value: Any, required: Collection[str], optional: Collection[str] = (), field: str = ""
) -> dict[str, Any]:
    """An object that has all required fields and none that is unknown. Raises Invalid."""
    if not isinstance(value, dict):
        raise Invalid("This must be a JSON object.", field)
    for name in required:
        if name not in value:
            raise Invalid(f"{name} is missing.", name)
    if len(value) > len(required):
        for name in value:
            if name not in required and name not in optional:
                raise Invalid(f"{shown(name, 40)} is not a field of this message.", shown(name, 40))
    return value


def read_text(value: Any, field: str, chars_max: int, chars_min: int = 0) -> str:
    """Text that any database takes: no NUL, no half of a surrogate pair. Raises Invalid."""
    if not isinstance(value, str):
        raise Invalid(f"{field} must be text.", field)
    if not chars_min <= len(value) <= chars_max:
        raise Invalid(f"{field} must have {chars_min} to {chars_max} characters.", field)
    if "\0" in value or (not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value)):
        raise Invalid(f"{field} holds characters that cannot be stored.", field)
    return value


def read_match(value: Any, field: str, pattern: re.Pattern[str], meaning: str) -> str:
    """Text that matches a pattern wholly. Raises Invalid, saying what was meant."""
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise Invalid(f"{field} must be {meaning}.", field)
    return value


def read_count(value: Any, field: str, low: int, high: int = SEQ_MAX) -> int:
    """A whole number within its bounds. Raises Invalid."""
    if type(value) is not int or not low <= value <= high:
        raise Invalid(f"{field} must be a whole number from {low} to {high}.", field)
    return value


def read_instant(value: Any, field: str, now: datetime) -> datetime:
    """A time with its offset, as UTC, not before 1970 and not more than ten years ahead. Raises Invalid."""
    if not isinstance(value, str) or len(value) > 40:
        raise Invalid(f"{field} is no time", field)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise Invalid(f"{field} is no time", field) from error
    if moment.tzinfo is None:
        raise Invalid(f"{field} has no offset from UTC.", field)
    if not YEAR_MIN <= moment.year <= now.year + YEARS_AHEAD_MAX:
        raise Invalid(f"{field} is absurd: the year {moment.year}.", field)
    utc = moment.astimezone(UTC)
    if utc > now + timedelta(days=3652):
        raise Invalid(f"{field} is absurd: too far ahead.", field)
    return utc
