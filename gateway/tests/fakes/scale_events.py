"""Events of scales that dial in, as drafts; a desk of sessions over a real store."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from scaleledger.app.reattribution import Reattribution
from scaleledger.app.sessions import SessionDesk
from scaleledger.domain.session import SessionChange, SessionStatus, WorkSession, session_details
from scaleledger.domain.weighing import Draft

MORNING = datetime(2026, 11, 21, 8, tzinfo=UTC)
SCALE = "SCALE-01"


def minute(number):
    return MORNING + timedelta(minutes=number)


class SetClock:
    """Says what it was set to; its seconds are those of the running loop."""

    def __init__(self, at=MORNING):
        self.at = at

    def now(self):
        return self.at

    def monotonic(self):
        return asyncio.get_running_loop().time()


def event(number, *, device=SCALE, at=None, weight="1250", unit="g", session=None, **details):
    """The event of that number; made in its own minute unless `at` says otherwise."""
    at = at or minute(number)
    stated = {"device": device, "listener": "hall", "plu": "000000000004", "received_at": at.isoformat()}
    return Draft(
        uuid=f"0192f0c1-7a00-8000-8000-{int(device[-2:]):04d}{number:08d}",
        station=device,
        driver="dp401-csv",
        mode="event",
        weight=Decimal(weight),
        unit=unit,
        measured_at=at,
        raw=f"line {number}".encode(),
        details=tuple({**stated, **session_details(session), **details}.items()),
    )


def work_session(name, since=0, until=None, *, device=SCALE, **fields):
    """Active from minute `since` on, ended at `until`."""
    changes = [SessionChange(minute(since), SessionStatus.ACTIVE)]
    if until is not None:
        changes.append(SessionChange(minute(until), SessionStatus.ENDED, "completed"))
    return WorkSession(name, device, tuple(changes), **fields)


async def desk_over(store, clock=None):
    """A desk as a gateway has it, loaded; run it with `running`."""
    clock = clock or SetClock(minute(60))
    desk = SessionDesk(store.sessions, clock)
    await desk.load()
    desk.reattribution = Reattribution(store.attributions, store.ledger, desk.at, clock=clock, boot_id="boot-1")
    return desk


async def payloads(store):
    """What every record says, in order; the chain is proved on the way."""
    batch = await store.outbox.next_batch("reader", 100_000)
    return [json.loads(record.payload) for record in batch.records] if batch else []


def newest_sessions(said):
    """The session that the newest word gives each event, in the order of the first words."""
    found = {}
    for payload in said:
        found[payload["refers_to"] or payload["uuid"]] = payload["details"].get("session", "")
    return list(found.values())
