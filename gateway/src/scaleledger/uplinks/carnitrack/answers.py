"""The cloud's words as facts: strict about what a field holds, patient with what it does not know. No I/O, no clock.

The first clouds write some names in snake_case and leave out everything that was added since; both are read. What has a
shape of its own is bounded. A list of sessions goes on without an entry that cannot be read; a product list does not,
since a product that is silently missing at a scale is worse than yesterday's list.

Theory of belief: a refusal counts only in the contract's own form. A 404 says that a resource is not there, and nothing
about the link or about the others; pages, redirects and bare refusals are a portal's, and are as good as no answer.

Source: contracts/carnitrack.md.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from scaleledger.domain.cloud import BatchAnswer, PluItem, PluList, PrintOrder, SessionList, SessionMoved
from scaleledger.domain.errors import Disbelieved, LinkError, NotOffered
from scaleledger.domain.session import SessionChange, SessionStatus, WorkSession
from scaleledger.uplinks.exchange import LATER, Answer, instant, object_in, plain, retry_after_s

TEXT_MAX = 100
DEVICE_MAX = 64
SESSIONS_MAX = 1_000
CHANGES_MAX = 1_000
PLU_MAX = 20_000
JOBS_MAX = 100
JOB_MAX_BYTES = 1_000_000
LABELS_MAX = 1_000
MISSING_MAX = 10_000
CONFIG_KEYS_MAX = 100
NOT_APPROVED_S = 30.0
EDGE_CODES = frozenset({"invalid_edge", "unknown_edge"})
SILENT_REFUSAL = frozenset({400, 409, 413, 422})
"""Statuses by which a cloud refuses what was sent for what it is."""
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_HUMP = re.compile(r"(?<=[a-z0-9])([A-Z])")
_SNAKE: dict[str, str] = {}
_MOVES = {
    "active": SessionStatus.ACTIVE,
    "pending": SessionStatus.PENDING,
    "paused": SessionStatus.PAUSED,
    "ended": SessionStatus.ENDED,
}


class EdgeUnknown(LinkError):
    """The cloud does not know this edge or its key, in the contract's own words."""


class Busy(LinkError):
    """The cloud is there and asks for patience."""


@dataclass(frozen=True, slots=True)
class Registered:
    """Who we are to the cloud. `api_key` is there once, after an activation; it is left out of every text."""

    edge_id: str
    site_id: str = ""
    site_name: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    api_key: str = field(default="", repr=False)


def told(found: Mapping[str, Any], name: str) -> Any:
    """The value under a name of the contract, or under its snake_case twin; None if there is neither."""
    value = found.get(name)
    if value is not None:
        return value
    twin = _SNAKE.get(name)
    if twin is None:
        twin = _SNAKE[name] = _HUMP.sub(r"_\1", name).lower()
    return found.get(twin)


def text(found: Mapping[str, Any], name: str, most: int = TEXT_MAX) -> str:
    """The text under a name, printable, at most so long (else ""); a whole number is taken as its digits."""
    value = told(found, name)
    if type(value) is int and abs(value) < 10**18:
        value = str(value)
    return value if isinstance(value, str) and len(value) <= most and value.isprintable() else ""


def whole(found: Mapping[str, Any], name: str, most: int) -> int | None:
    """The whole number from 0 to `most` under a name; None if there is none."""
    value = told(found, name)
    return value if type(value) is int and 0 <= value <= most else None


def same_id(named: Any, local_id: str) -> bool:
    """Clouds print a uuid with or without dashes, in either case."""
    return isinstance(named, str) and named.replace("-", "").lower() == local_id.replace("-", "").lower()


def refusal_words(answer: Answer) -> str:
    """Status and the cloud's own words, bounded, on one line."""
    found = object_in(answer) or {}
    words = [plain(w) for w in (found.get("error"), found.get("code"), found.get("detail")) if isinstance(w, str)]
    return f"{answer.status}: {', '.join(dict.fromkeys(words))}" if words else str(answer.status)


def refuse(answer: Answer, what: str, *, good: frozenset[int] = frozenset({200})) -> None:
    """Raise what a refusal means: EdgeUnknown, NotOffered, Busy, LinkError, Disbelieved; nothing for a good status."""
    if answer.status in good:
        return
    found = object_in(answer) or {}
    codes = {found.get("error"), found.get("code")} if all(_plain(found.get(n)) for n in ("error", "code")) else set()
    message = f"{what} was answered {refusal_words(answer)}"
    if answer.status in {401, 404} and codes & EDGE_CODES:
        raise EdgeUnknown(f"{message}; see at the cloud's page of sites whether the key is this site's")
    if answer.status == 403 and "not_approved" in codes:
        raise LinkError(f"{message}; an administrator has to approve this gateway there", NOT_APPROVED_S)
    if answer.status in {404, 405, 501}:
        raise NotOffered(message)
    if answer.status in LATER:
        raise Busy(message, retry_after_s(answer))
    if answer.status >= 500:
        raise LinkError(message, retry_after_s(answer))
    raise Disbelieved(message if found else f"{message}, which is not the contract's")


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, str)


def believe(answer: Answer, what: str, *, good: frozenset[int] = frozenset({200})) -> dict[str, Any]:
    """The JSON object of a good answer. Raises as `refuse`, and Disbelieved where there is none."""
    refuse(answer, what, good=good)
    found = object_in(answer)
    if found is None:
        raise Disbelieved(f"{what} was answered {answer.status}, but not with JSON")
    return found


def registration_in(found: Mapping[str, Any]) -> Registered | None:
    """The name in an answer to a registration; None when there is no uuid in it."""
    edge_id = told(found, "edgeId")
    if not isinstance(edge_id, str) or not _UUID.fullmatch(edge_id):
        return None
    key = told(found, "apiKey")
    key = key if isinstance(key, str) and len(key) <= 200 and key.isascii() and key.isprintable() else ""
    config = config_in(told(found, "config"))
    return Registered(edge_id.lower(), text(found, "siteId"), text(found, "siteName"), config, key)


def read_registration(answer: Answer) -> Registered:
    """The name that a registration was answered with. Raises EdgeUnknown, LinkError and its kinds.

    The first clouds refuse an id that they do not know with 400 or 404, in words about an edge.
    """
    what = "the registration"
    if answer.status in {400, 404} and "edge" in refusal_words(answer).lower():
        raise EdgeUnknown(f"{what} was answered {refusal_words(answer)}")
    found = registration_in(believe(answer, what, good=frozenset({200, 201})))
    if found is None:
        raise Disbelieved(f"{what} was answered {answer.status}, but without the edge's uuid")
    return found


def config_in(found: Any) -> dict[str, Any]:
    """Values of the runtime configuration: texts, numbers, flags; what is nested or too long is left out."""
    if not isinstance(found, dict):
        return {}
    good = {
        key: value
        for key, value in found.items()
        if isinstance(key, str)
        and len(key) <= TEXT_MAX
        and (type(value) in (int, bool) or (isinstance(value, str) and len(value) <= TEXT_MAX))
    }
    return dict(list(good.items())[:CONFIG_KEYS_MAX])


def session_in(found: Any, at: datetime) -> WorkSession | None:
    """A session; `at` is when it was told, which counts where it does not say since when it stands so. None if unreadable.

    Its own changes go before its status.
    """
    if not isinstance(found, dict):
        return None
    session_id = text(found, "cloudSessionId") or text(found, "sessionId")
    device_id = text(found, "deviceId", DEVICE_MAX)
    stated = told(found, "status")
    status = SessionStatus.ACTIVE if stated is None else _MOVES.get(stated) if isinstance(stated, str) else None
    if not session_id or not device_id or status is None:
        return None
    changes = _changes_in(told(found, "changes"))
    started_at = instant(told(found, "startedAt"))
    dated = bool(changes) or (started_at is not None and status is not SessionStatus.PAUSED)
    if not changes:
        changes = (SessionChange(started_at if dated and started_at is not None else at, status),)
    return WorkSession(
        session_id=session_id,
        device_id=device_id,
        changes=changes,
        animal_id=text(found, "animalId"),
        animal_tag=text(found, "animalTag"),
        animal_species=text(found, "animalSpecies"),
        operator_id=text(found, "operatorId"),
        dated=dated,
    )


def _changes_in(found: Any) -> tuple[SessionChange, ...]:
    """The changes in order of time; none at all unless every one can be read."""
    if not isinstance(found, list) or len(found) > CHANGES_MAX:
        return ()
    changes = []
    for entry in found:
        at = instant(entry.get("at")) if isinstance(entry, dict) else None
        status = _MOVES.get(text(entry, "status", 20)) if at is not None else None
        if at is None or status is None:
            return ()
        changes.append(SessionChange(at, status, text(entry, "reason", 40)))
    return tuple(sorted(changes, key=lambda change: change.at))


def moved_in(found: Any, status: SessionStatus, at: datetime) -> SessionMoved | None:
    """A session that was paused, resumed or ended, at its own time if it says one; None if it cannot be read."""
    if not isinstance(found, dict):
        return None
    session_id = text(found, "cloudSessionId") or text(found, "sessionId")
    own = instant(told(found, "endedAt")) if status is SessionStatus.ENDED else None
    moved_at = own or instant(told(found, "at")) or at
    if not session_id:
        return None
    return SessionMoved(session_id, text(found, "deviceId", DEVICE_MAX), moved_at, status, text(found, "reason", 40))


def sessions_in(found: Mapping[str, Any], at: datetime, devices: frozenset[str] | None = None) -> SessionList | None:
    """A list of sessions, of these devices or of all; None when it is none. Entries that cannot be read are left out.

    One that is over and told with its whole course stands among the sessions too: we may never have heard of it.
    """
    sessions, ended = told(found, "sessions"), told(found, "ended")
    if not isinstance(sessions, list) or len(sessions) > SESSIONS_MAX:
        return None
    ended = ended if isinstance(ended, list) and len(ended) <= SESSIONS_MAX else []
    whole = [entry for entry in ended if isinstance(entry, dict) and told(entry, "changes")]
    running = tuple(s for entry in (*sessions, *whole) if (s := session_in(entry, at)) is not None)
    over = tuple(m for entry in ended if (m := moved_in(entry, SessionStatus.ENDED, at)) is not None)
    return SessionList(running, over, devices)


def plu_in(found: Mapping[str, Any]) -> PluList:
    """The product list. Raises Disbelieved, naming the first entry that cannot be read."""
    version, items = text(found, "version"), told(found, "items")
    if not version or not isinstance(items, list) or len(items) > PLU_MAX:
        raise Disbelieved("the product list has no version, no items, or too many")
    read = []
    for place, entry in enumerate(items, 1):
        item = _plu_item(entry)
        if item is None:
            raise Disbelieved(f"entry {place} of the product list cannot be read; the last list stays")
        read.append(item)
    return PluList(version, tuple(read))


def _plu_item(found: Any) -> PluItem | None:
    if not isinstance(found, dict):
        return None
    number, name = text(found, "number", 20), text(found, "name", 200)
    price = 0 if told(found, "price") is None else whole(found, "price", 10**12)
    tare = 0 if told(found, "tareGrams") is None else whole(found, "tareGrams", 10**7)
    life = 0 if told(found, "shelfLifeDays") is None else whole(found, "shelfLifeDays", 36_500)
    unit = told(found, "unit")
    unit = "kg" if unit is None else unit
    if not number or not name or price is None or tare is None or life is None or unit not in ("kg", "piece"):
        return None
    return PluItem(
        number=number,
        name=name,
        barcode=text(found, "barcode", 20),
        price=price,
        unit=unit,
        tare_grams=tare,
        department=text(found, "department"),
        label_type=text(found, "labelType"),
        shelf_life_days=life,
    )


def jobs_in(found: Mapping[str, Any]) -> tuple[PrintOrder, ...] | None:
    """The waiting print jobs, those that cannot be read left out; None when there is no list."""
    jobs = told(found, "jobs")
    if not isinstance(jobs, list):
        return None
    return tuple(order for entry in jobs[:JOBS_MAX] if (order := _job(entry)) is not None)


def _job(found: Any) -> PrintOrder | None:
    if not isinstance(found, dict):
        return None
    job_id, content = text(found, "jobId"), _content(found)
    count = 1 if told(found, "labelCount") is None else whole(found, "labelCount", LABELS_MAX)
    if not job_id or not content or len(content) > JOB_MAX_BYTES or count is None:
        return None
    return PrintOrder(job_id, content, text(found, "targetRole", 20), text(found, "targetPrinter"), max(count, 1))


def _content(found: Mapping[str, Any]) -> bytes:
    """The printer's bytes: as base64 where they are told so, since a bitmap is no text."""
    encoded = told(found, "prnBase64")
    if isinstance(encoded, str) and encoded:
        try:
            return base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            return b""
    written = told(found, "prnContent")
    return written.encode("utf-8", "replace") if isinstance(written, str) else b""


def printers_in(found: Mapping[str, Any]) -> dict[str, str]:
    """The cloud's id for each of our printers."""
    printers = told(found, "printers")
    read = (p for p in (printers if isinstance(printers, list) else [])[:1000] if isinstance(p, dict))
    ids = {text(p, "localPrinterId"): text(p, "globalPrinterId") for p in read}
    return {ours: theirs for ours, theirs in ids.items() if ours and theirs}


def batch_answer(found: Mapping[str, Any], batch_id: str) -> BatchAnswer:
    """Whether an answer says that an offline batch is there, and what is missing. Raises Disbelieved for another one's."""
    named = told(found, "batchId")
    status = text(found, "status", 30)
    if (named is not None and not same_id(named, batch_id)) or not status:
        raise Disbelieved("the answer to an offline batch is not the contract's")
    missing = told(found, "missing")
    ids = missing[:MISSING_MAX] if isinstance(missing, list) else []
    return BatchAnswer(
        not missing and status in {"received", "already_received", "reconciled", "complete"},
        frozenset(event_id.lower() for event_id in ids if isinstance(event_id, str)),
    )
