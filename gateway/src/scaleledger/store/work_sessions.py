"""The cloud's work sessions, kept over restarts."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from scaleledger.domain.session import SessionChange, SessionStatus, Span, WorkSession
from scaleledger.domain.session_book import Disputed, Kept
from scaleledger.store.orm import Orm
from scaleledger.store.plant_tables import CachedSession

KEEP_AT_ONCE = 500
_FIELDS = (
    "device_id",
    "animal_id",
    "animal_tag",
    "animal_species",
    "operator_id",
    "status",
    "changes",
    "confirmed_at",
    "disputed",
)


class WorkSessions:
    """Where sessions are kept."""

    def __init__(self, orm: Orm) -> None:
        self._orm = orm

    async def load(self) -> list[Kept]:
        """All kept ones. One that cannot be read is left out: the cloud tells it again."""
        return await self._orm.run(_load())

    async def keep(self, kept: Sequence[Kept]) -> None:
        """Insert or replace; all of up to 500 or none of them."""
        for start in range(0, len(kept), KEEP_AT_ONCE):
            await self._orm.run(_keep(kept[start : start + KEEP_AT_ONCE]))

    async def forget(self, session_ids: Sequence[str]) -> None:
        """Drop these."""
        for start in range(0, len(session_ids), KEEP_AT_ONCE):
            await self._orm.run(_forget(session_ids[start : start + KEEP_AT_ONCE]))


async def _load() -> list[Kept]:
    found = []
    for row in await CachedSession.all():
        try:
            found.append(_kept(row))
        except (ValueError, LookupError, TypeError):
            continue
    return found


async def _keep(kept: Sequence[Kept]) -> None:
    await CachedSession.bulk_create(
        [_row(one) for one in kept], on_conflict=["session_id"], update_fields=list(_FIELDS)
    )


async def _forget(session_ids: Sequence[str]) -> None:
    await CachedSession.filter(session_id__in=list(session_ids)).delete()


def _kept(row: CachedSession) -> Kept:
    changes = tuple(
        SessionChange(_time(at), SessionStatus(status), reason) for at, status, reason in json.loads(row.changes)
    )
    if not changes:
        raise ValueError("a session without a change")
    disputed = tuple(
        Disputed(device, Span(_time(since), _time(until) if until else None))
        for device, since, until in json.loads(row.disputed)
    )
    session = WorkSession(
        row.session_id,
        row.device_id,
        changes,
        row.animal_id,
        row.animal_tag,
        row.animal_species,
        row.operator_id,
    )
    return Kept(session, row.confirmed_at.astimezone(UTC), disputed)


def _row(kept: Kept) -> CachedSession:
    session = kept.session
    return CachedSession(
        session_id=session.session_id,
        device_id=session.device_id,
        animal_id=session.animal_id,
        animal_tag=session.animal_tag,
        animal_species=session.animal_species,
        operator_id=session.operator_id,
        status=session.status.value,
        changes=json.dumps([[c.at.isoformat(), c.status.value, c.reason] for c in session.changes]),
        confirmed_at=kept.confirmed_at,
        disputed=json.dumps(
            [[d.device_id, d.span.since.isoformat(), d.span.until and d.span.until.isoformat()] for d in kept.disputed]
        ),
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
