"""All work sessions that the gateway was told of, and what each new word of the cloud changes in them.

The same word said again changes nothing, words may come late and out of order, and what the cloud does not mention stays as
it is. Of what changes, the book says in which times of which device the owner of an event may have become another; only
there is anything to be looked at again.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from scaleledger.domain.cloud import SessionList, SessionMoved, SessionStarted, SessionsUnchanged
from scaleledger.domain.session import SessionChange, SessionStatus, Span, WorkSession, session_details

KEPT_MAX = 50_000
CHANGES_MAX = 200
DISPUTED_MAX = 16
UNLISTED = "unlisted"
"""Why we hold a session for ended of which the cloud only stopped to speak; an end that it names takes this one's place."""

SessionFact = SessionStarted | SessionMoved | SessionList | SessionsUnchanged
Changes = tuple[SessionChange, ...]


@dataclass(frozen=True, slots=True)
class Disputed:
    """Times of a device whose events may bear an older word on their session."""

    device_id: str
    span: Span


@dataclass(frozen=True, slots=True)
class Kept:
    """A session, when the cloud last confirmed it (aware, UTC), and where events are still to be looked at for it."""

    session: WorkSession
    confirmed_at: datetime
    disputed: tuple[Disputed, ...] = ()


@dataclass(frozen=True, slots=True)
class _Line:
    """One device's sessions that were ever active, by their beginning; `reach[n]` is the last end among the first n + 1."""

    starts: tuple[datetime, ...]
    sessions: tuple[WorkSession, ...]
    reach: tuple[datetime | None, ...]


class SessionBook:
    """The sessions by their id. Made from what was kept; `apply` gives back what is to be kept anew."""

    def __init__(self, kept: Iterable[Kept] = ()) -> None:
        self._kept = {one.session.session_id: one for one in kept}
        self._lines: dict[str, _Line] = {}

    def all(self) -> list[Kept]:
        """Every session, ended ones too."""
        return list(self._kept.values())

    def get(self, session_id: str) -> Kept | None:
        """One session."""
        return self._kept.get(session_id)

    def at(self, device_id: str, at: datetime) -> WorkSession | None:
        """The session that owned the events of this device at that time."""
        line = self._line(device_id)
        index = bisect_right(line.starts, at)
        while index > 0:
            index -= 1
            reach = line.reach[index]
            if reach is not None and reach <= at:
                return None
            if line.sessions[index].status_at(at) is SessionStatus.ACTIVE:
                return line.sessions[index]
        return None

    def rivals(self, session_id: str, now: datetime) -> list[WorkSession]:
        """Other sessions that are active on the same device now, though only one can own its events."""
        mine = self._kept[session_id].session
        if mine.status_at(now) is not SessionStatus.ACTIVE:
            return []
        line = self._line(mine.device_id)
        return [
            one
            for one in line.sessions[: bisect_right(line.starts, now)]
            if one.session_id != session_id and one.status_at(now) is SessionStatus.ACTIVE
        ]

    def apply(self, said: SessionFact, now: datetime) -> list[Kept]:
        """Take what the cloud said at `now`; returns the sessions that are another than before."""
        if isinstance(said, SessionStarted):
            return self._take([said.session], now)
        if isinstance(said, SessionMoved):
            return self._move([said], now)
        if isinstance(said, SessionsUnchanged):
            self._confirm(said.devices, now)
            return []
        changed = self._move(said.ended, now) + self._take(said.sessions, now)
        named = {one.session_id for one in said.sessions} | {one.session_id for one in said.ended}
        missing = [
            SessionMoved(one.session.session_id, one.session.device_id, now, SessionStatus.ENDED, UNLISTED)
            for one in self._under_way(said.devices)
            if one.session.session_id not in named
        ]
        return changed + self._move(missing, now)

    def looked_at(self, seen: Kept) -> Kept | None:
        """The events in this session's disputed times bear the right word now. None when it changed meanwhile, or is gone:

        then what was looked at may be out of date again.
        """
        kept = self._kept.get(seen.session.session_id)
        if kept is None or kept.session is not seen.session:
            return None
        kept = replace(kept, disputed=tuple(one for one in kept.disputed if one not in seen.disputed))
        self._kept[seen.session.session_id] = kept
        return kept

    def forget(self, ended_before: datetime) -> int:
        """Drop sessions that ended before this time, and the oldest ended ones above KEPT_MAX; how many."""
        ended = sorted((at, key) for key, one in self._kept.items() if (at := one.session.ended_at) is not None)
        excess = max(0, len(self._kept) - KEPT_MAX)
        gone = [key for number, (at, key) in enumerate(ended) if at < ended_before or number < excess]
        for key in gone:
            del self._kept[key]
        if gone:
            self._lines.clear()
        return len(gone)

    def _under_way(self, devices: frozenset[str] | None) -> list[Kept]:
        return [
            one
            for one in self._kept.values()
            if one.session.ended_at is None and (devices is None or one.session.device_id in devices)
        ]

    def _confirm(self, devices: frozenset[str] | None, now: datetime) -> None:
        for one in self._under_way(devices):
            self._kept[one.session.session_id] = replace(one, confirmed_at=now)

    def _take(self, told: Iterable[WorkSession], now: datetime) -> list[Kept]:
        return [
            kept
            for one in told
            if (kept := self._put(merged(self._session(one.session_id), one, now), now)) is not None
        ]

    def _move(self, told: Iterable[SessionMoved], now: datetime) -> list[Kept]:
        found = []
        for one in told:
            known = self._session(one.session_id)
            change = SessionChange(one.at, one.status, one.reason)
            if known is not None:
                session = replace(known, changes=moved(known.changes, change))
            elif one.status is SessionStatus.ACTIVE and one.device_id:
                session = WorkSession(one.session_id, one.device_id, (change,))
            else:
                continue
            kept = self._put(session, now)
            if kept is not None:
                found.append(kept)
        return found

    def _session(self, session_id: str) -> WorkSession | None:
        kept = self._kept.get(session_id)
        return kept.session if kept is not None else None

    def _put(self, session: WorkSession, now: datetime) -> Kept | None:
        """Keep it as confirmed now; returns it if it is another than before."""
        before = self._kept.get(session.session_id)
        if before is not None and before.session == session:
            self._kept[session.session_id] = replace(before, confirmed_at=now)
            return None
        open_still = before.disputed if before is not None else ()
        found = (*open_still, *disputed(before.session if before is not None else None, session))
        kept = Kept(session, now, _few(tuple(dict.fromkeys(found))))
        self._kept[session.session_id] = kept
        for device in {session.device_id, *([before.session.device_id] if before is not None else [])}:
            self._lines.pop(device, None)
        return kept

    def _line(self, device_id: str) -> _Line:
        line = self._lines.get(device_id)
        if line is None:
            mine = [one.session for one in self._kept.values() if one.session.device_id == device_id]
            ever = sorted((s for s in mine if s.spans()), key=lambda s: (s.started_at, s.session_id))
            reach: list[datetime | None] = []
            for session in ever:
                end = session.spans()[-1].until
                last = reach[-1] if reach else end
                reach.append(None if end is None or last is None else max(end, last))
            line = _Line(tuple(s.started_at for s in ever), tuple(ever), tuple(reach))
            if len(self._lines) >= KEPT_MAX:
                self._lines.clear()
            self._lines[device_id] = line
        return line


def merged(known: WorkSession | None, told: WorkSession, now: datetime) -> WorkSession:
    """What is known of a session after the cloud told it (again) at `now`. A text that it leaves out stays.

    Several changes are the whole course and replace ours. One change is a beginning and a present state: the beginning is
    put right, a state that differs from ours counts from now on.
    """
    if known is None:
        return replace(told, dated=True, changes=_first_told(told, now))
    first = told.changes[0]
    ours = known.changes
    if (
        ours[-1].status is SessionStatus.ENDED
        and ours[-1].reason == UNLISTED
        and told.status is not SessionStatus.ENDED
    ):
        ours = ours[:-1] or (first,)  # it was not over after all
    if len(told.changes) > 1:
        changes = _normal(told.changes)
    elif not told.dated or first.status is SessionStatus.ENDED:
        changes = moved(ours, first) if first.status is not ours[-1].status else ours
    else:
        changes = _begun(ours, first)
        if changes[-1].status is not first.status:
            changes = moved(changes, SessionChange(max(now, changes[-1].at), first.status, first.reason))
    return WorkSession(
        known.session_id,
        told.device_id or known.device_id,
        changes,
        told.animal_id or known.animal_id,
        told.animal_tag or known.animal_tag,
        told.animal_species or known.animal_species,
        told.operator_id or known.operator_id,
    )


def moved(changes: Changes, change: SessionChange) -> Changes:
    """The course with one more change in its place; the same course when it says nothing new.

    A change to the state that holds already is kept too: one that comes between may be on its way. Of several ends that the
    cloud named, the first counts.
    """
    before = tuple(c for c in changes if c.at < change.at)
    upto = tuple(c for c in changes if c.at <= change.at)
    stood = upto[-1] if upto else None
    over = stood is not None and stood.status is SessionStatus.ENDED
    if change.status is SessionStatus.ENDED:
        if over and stood is not None and (stood.reason != UNLISTED or change.reason == UNLISTED):
            return changes
        if before and before[-1].status is SessionStatus.ENDED:
            before = before[:-1]
        return _normal((*before, change))
    if (over and change.status is SessionStatus.PAUSED) or (stood == change):
        return changes
    return _normal((*before, change, *(c for c in changes if c.at > change.at)))


def disputed(old: WorkSession | None, new: WorkSession) -> tuple[Disputed, ...]:
    """Where events may have another owner than before, as `old` became `new`."""
    if old is None:
        return tuple(Disputed(new.device_id, span) for span in new.spans())
    same = (
        old.device_id == new.device_id
        and session_details(old) == session_details(new)
        and old.started_at == new.started_at
    )
    if same:
        return tuple(Disputed(new.device_id, span) for span in _difference(old, new))
    return (*(Disputed(old.device_id, s) for s in old.spans()), *(Disputed(new.device_id, s) for s in new.spans()))


def _first_told(told: WorkSession, now: datetime) -> Changes:
    first = told.changes[0]
    if len(told.changes) == 1 and told.dated and first.status is SessionStatus.PAUSED and first.at < now:
        return (SessionChange(first.at, SessionStatus.ACTIVE), replace(first, at=now))
    return _normal(told.changes)


def _begun(ours: Changes, first: SessionChange) -> Changes:
    """The course with its beginning at another time."""
    if first.status is SessionStatus.PENDING:
        return ours if any(c.status is not SessionStatus.PENDING for c in ours) else (first,)
    active = next((n for n, c in enumerate(ours) if c.status is SessionStatus.ACTIVE), None)
    if active is None:
        return _normal((*(c for c in ours if c.at < first.at), replace(first, status=SessionStatus.ACTIVE)))
    begun = replace(ours[active], at=first.at)
    return _normal(
        (*(c for c in ours[:active] if c.at < first.at), begun, *(c for c in ours[active + 1 :] if c.at > first.at))
    )


def _normal(changes: Iterable[SessionChange]) -> Changes:
    """In order of time; of one instant the last counts."""
    found = list({c.at: c for c in sorted(changes, key=lambda c: c.at)}.values())
    return (*found[: CHANGES_MAX - 1], found[-1]) if len(found) > CHANGES_MAX else tuple(found)


def _difference(old: WorkSession, new: WorkSession) -> list[Span]:
    """The times in which exactly one of them was active."""
    ends = [end for s in (*old.spans(), *new.spans()) for end in (s.since, s.until) if end is not None]
    points = sorted(set(ends))
    found: list[Span] = []
    for number, point in enumerate(points):
        one, other = (s.status_at(point) is SessionStatus.ACTIVE for s in (old, new))
        if one is other:
            continue
        until = points[number + 1] if number + 1 < len(points) else None
        if found and found[-1].until == point:
            found[-1] = Span(found[-1].since, until)
        else:
            found.append(Span(point, until))
    return found


def _few(found: tuple[Disputed, ...]) -> tuple[Disputed, ...]:
    """At most DISPUTED_MAX; if there are more, one for each device that holds all of its own."""
    if len(found) <= DISPUTED_MAX:
        return found
    spans: dict[str, Span] = {}
    for one in found:
        before = spans.setdefault(one.device_id, one.span)
        until = None if before.until is None or one.span.until is None else max(before.until, one.span.until)
        spans[one.device_id] = Span(min(before.since, one.span.since), until)
    return tuple(Disputed(device_id, span) for device_id, span in spans.items())[:DISPUTED_MAX]
