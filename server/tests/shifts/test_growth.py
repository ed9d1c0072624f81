"""What is asked every few seconds costs the same after years of work: sessions that are over are not looked at."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from edge_api import joined, session
from scaleledger_server.live.cut_queries import look
from scaleledger_server.shifts import edges, queries
from scaleledger_server.shifts.models import SessionChange, WorkSession

OVER = 3_000
STEPS_MORE_MAX = 1.5

pytestmark = pytest.mark.django_db


def steps_of(question):
    """How many hundreds of steps SQLite took to answer."""
    taken = []
    connection.connection.set_progress_handler(lambda: taken.append(1), 100)
    try:
        question()
    finally:
        connection.connection.set_progress_handler(None, 0)
    return len(taken)


def test_years_of_sessions_that_are_over_cost_nothing():
    if connection.vendor != "sqlite":
        pytest.skip("counted in SQLite's steps")
    api, now = joined(), timezone.now()
    scale = api.scale()
    under_way = session(scale)
    asked = {
        "mark": lambda: edges.sessions_mark(api.row, None, now),
        "mark of one": lambda: edges.sessions_mark(api.row, [scale.device_id], now),
        "list": lambda: queries.sessions_body(api.row, None, now),
        "page": lambda: queries.scales_shown(now),
        "animals": queries.recent_animals,
        "cuts": lambda: look(under_way.pk, now),
    }
    over = [
        WorkSession(
            scale=scale, animal_tag=f"TR-{n}", status="ended", started_at=now - timedelta(days=9, minutes=n),
            ended_at=now - timedelta(days=9, minutes=n),
        )
        for n in range(OVER)
    ]  # fmt: skip
    WorkSession.objects.bulk_create(over[:200])
    before = {name: steps_of(question) for name, question in asked.items()}
    WorkSession.objects.bulk_create(over[200:])
    SessionChange.objects.bulk_create(SessionChange(session=one, at=one.ended_at, status="ended") for one in over)
    after = {name: steps_of(question) for name, question in asked.items()}
    assert all(after[name] <= STEPS_MORE_MAX * before[name] + 10 for name in asked), (before, after)
