"""Two phones at one scale at the same moment, at workers of their own."""

from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import User

from plants import CALF, LAMB, Plant
from racing import together
from scaleledger_server.errors import Refusal
from scaleledger_server.shifts import services
from scaleledger_server.shifts.models import SessionChange, WorkSession
from scaleledger_server.shifts.services import Animal

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("not config.getoption('--database') == 'postgresql'", reason="SQLite has one writer"),
]


def test_of_two_phones_that_start_at_once_one_wins_and_the_other_learns_who():
    plant, users = Plant(), [User.objects.create_user(name) for name in ("Ayse", "Mehmet")]
    scale = plant.scale()

    def start(user, session_id):
        try:
            return services.start(scale, Animal(f"TR-{user}"), user, NOON, session_id).operator.username
        except Refusal as refusal:
            return refusal

    found = together(lambda: start(users[0], CALF), lambda: start(users[1], LAMB))
    winner = next(one for one in found if isinstance(one, str))
    refusal = next(one for one in found if isinstance(one, Refusal))
    assert f"started by {winner}" in str(refusal)
    assert WorkSession.objects.count() == SessionChange.objects.count() == 1


def test_a_start_that_is_sent_twice_at_once_is_one_session():
    plant, user = Plant(), User.objects.create_user("Ayse")
    scale = plant.scale()
    found = together(*[lambda: services.start(scale, Animal("TR-12"), user, NOON, CALF).pk] * 3)
    assert found == [CALF] * 3
    assert SessionChange.objects.count() == 1
