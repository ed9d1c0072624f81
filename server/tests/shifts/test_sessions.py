"""Work sessions: their steps, who may not take them, what is told, and two phones at once."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import User

from plants import CALF, LAMB, Plant
from scaleledger_server import notices
from scaleledger_server.errors import Refusal
from scaleledger_server.shifts import queries, services
from scaleledger_server.shifts.models import SessionChange
from scaleledger_server.shifts.services import Animal

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def later(seconds):
    return NOON + timedelta(seconds=seconds)


@pytest.fixture
def plant(db):
    return Plant()


@pytest.fixture
def user(db):
    return User.objects.create_user("Ayse")


@pytest.fixture
def told(monkeypatch, django_capture_on_commit_callbacks):
    """What went to the groups once the block's transaction was over: (group, type, payload)."""
    heard = []

    def carrier(group, message):
        said = message.get("message", {})
        heard.append((group, said.get("type", message["type"]), said.get("payload")))

    notices.carry_by(carrier)
    yield heard
    notices.carry_no_more(carrier)


def changes(session):
    return [(one.status, one.at, one.reason) for one in session.changes.all()]


def test_a_session_is_the_list_of_its_changes(plant, user):
    session = services.start(plant.scale(), Animal("TR-12", "A-9", "Calf"), user, NOON, CALF)
    services.pause(CALF, user, later(10))
    services.resume(CALF, user, later(20))
    ended = services.end(CALF, "completed", user, later(30))
    assert changes(session) == [
        ("active", NOON, ""),
        ("paused", later(10), ""),
        ("active", later(20), ""),
        ("ended", later(30), "completed"),
    ]
    assert (ended.status, ended.ended_at, ended.end_reason) == ("ended", later(30), "completed")
    assert set(SessionChange.objects.values_list("user__username", flat=True)) == {"Ayse"}


def test_a_repeated_step_changes_nothing_and_is_no_error(plant, user):
    scale = plant.scale()
    for second in range(3):
        session = services.start(scale, Animal("TR-12"), user, later(second), CALF)
    for second in range(10, 13):
        services.pause(CALF, user, later(second))
    for second in range(20, 23):
        ended = services.end(CALF, "completed", user, later(second))
    again = services.end(CALF, "cancelled", user, later(30))
    assert [status for status, _, _ in changes(session)] == ["active", "paused", "ended"]
    assert (ended.ended_at, again.ended_at, again.end_reason) == (later(20), later(20), "completed")
    assert services.start(scale, Animal("TR-12"), user, later(40), CALF).status == "ended"


@pytest.mark.parametrize("step", [services.pause, services.resume])
def test_what_is_over_neither_pauses_nor_goes_on(plant, user, step):
    services.start(plant.scale(), Animal("TR-12"), user, NOON, CALF)
    services.end(CALF, "cancelled", user, later(1))
    with pytest.raises(Refusal, match="TR-12 was ended") as refused:
        step(CALF, user, later(2))
    assert (refused.value.status, refused.value.code) == (409, "session_over")


def test_an_unknown_session_is_said_to_be_unknown(plant, user):
    with pytest.raises(Refusal) as refused:
        services.pause(uuid4(), user, NOON)
    assert (refused.value.status, refused.value.code) == (404, "session_unknown")


def test_a_scale_that_is_at_work_says_on_what_and_by_whom(plant, user):
    scale = plant.scale()
    services.start(scale, Animal("TR-12"), user, NOON, CALF)
    with pytest.raises(Refusal, match=r"SCALE-01 works on TR-12 since .*, started by Ayse") as refused:
        services.start(scale, Animal("TR-13"), user, later(5), LAMB)
    assert refused.value.code == "session_under_way"
    assert services.start(plant.scale("SCALE-02"), Animal("TR-13"), user, later(5), LAMB).status == "active"


def test_an_id_in_use_for_other_work_is_refused(plant, user):
    services.start(plant.scale(), Animal("TR-12"), user, NOON, CALF)
    for scale, tag in ((plant.scale("SCALE-02"), "TR-12"), (plant.scale(), "TR-99")):
        with pytest.raises(Refusal) as refused:
            services.start(scale, Animal(tag), user, later(5), CALF)
        assert refused.value.code == "session_conflict"


def test_a_clock_that_goes_back_makes_no_change_before_the_one_before_it(plant, user):
    scale = plant.scale()
    session = services.start(scale, Animal("TR-12"), user, NOON, CALF)
    services.pause(CALF, user, later(-60))
    services.end(CALF, "completed", user, later(-30))
    assert [at for _, at, _ in changes(session)] == [NOON, NOON, NOON]
    assert services.start(scale, Animal("TR-13"), user, later(-10), LAMB).started_at == NOON


def test_the_edge_and_the_pages_are_told_after_the_commit(plant, user, told, django_capture_on_commit_callbacks):
    scale = plant.scale()
    with django_capture_on_commit_callbacks(execute=True):
        services.start(scale, Animal("TR-12", species="Calf"), user, NOON, CALF)
        assert told == []
    with django_capture_on_commit_callbacks(execute=True):
        services.pause(CALF, user, later(1))
    with django_capture_on_commit_callbacks(execute=True):
        services.resume(CALF, user, later(2))
        services.end(CALF, "completed", user, later(3))
    own, pages = notices.gateway_group(plant.edge.gateway_id), notices.session_group(str(CALF))
    said = [(type_, payload) for group, type_, payload in told if group == own]
    assert [type_ for type_, _ in said] == ["session_started", "session_paused", "session_resumed", "session_ended"]
    assert said[0][1] == {
        "cloudSessionId": str(CALF), "deviceId": "SCALE-01", "animalId": None, "animalTag": "TR-12",
        "animalSpecies": "Calf", "operatorId": "Ayse", "status": "active", "startedAt": NOON.isoformat(),
        "changes": [{"at": NOON.isoformat(), "status": "active"}],
    }  # fmt: skip
    assert said[1][1] == {"cloudSessionId": str(CALF), "deviceId": "SCALE-01", "at": later(1).isoformat()}
    assert (said[3][1]["at"], said[3][1]["reason"]) == (later(3).isoformat(), "completed")
    assert [type_ for group, type_, _ in told if group == pages] == ["session.changed"] * 4


def test_a_repeated_step_tells_nobody_anything(plant, user, told, django_capture_on_commit_callbacks):
    services.start(plant.scale(), Animal("TR-12"), user, NOON, CALF)
    with django_capture_on_commit_callbacks(execute=True):
        services.start(plant.scale(), Animal("TR-12"), user, NOON, CALF)
        services.resume(CALF, user, later(1))
    assert told == []


def test_an_edge_is_told_its_own_sessions_and_those_that_ended_within_a_day(plant, user):
    other = Plant("konya-2")
    services.start(other.scale(), Animal("TR-99"), user, NOON, uuid4())
    services.start(plant.scale(), Animal("TR-12"), user, NOON, CALF)
    services.end(CALF, "cancelled", user, later(60))
    services.start(plant.scale("SCALE-02"), Animal("TR-13"), user, later(61), LAMB)
    services.pause(LAMB, user, later(62))
    told = queries.sessions_body(plant.edge, None, later(120))
    assert [(one["cloudSessionId"], one["status"], len(one["changes"])) for one in told["sessions"]] == [
        (str(LAMB), "paused", 2)
    ]
    [over] = told["ended"]
    assert (over["cloudSessionId"], over["deviceId"], over["animalTag"]) == (str(CALF), "SCALE-01", "TR-12")
    assert (over["endedAt"], over["reason"]) == (later(60).isoformat(), "cancelled")
    assert [(one["at"], one["status"]) for one in over["changes"]] == [
        (NOON.isoformat(), "active"),
        (later(60).isoformat(), "ended"),
    ]
    assert queries.sessions_body(plant.edge, ["SCALE-01"], later(120))["sessions"] == []
    assert queries.sessions_body(plant.edge, None, NOON + timedelta(hours=25))["ended"] == []


def test_a_session_list_costs_the_same_few_statements_however_long(plant, user, django_assert_num_queries):
    for number in range(9):
        services.start(plant.scale(f"SCALE-{number:02}"), Animal(f"TR-{number}"), user, NOON, uuid4())
    with django_assert_num_queries(3):
        assert len(queries.sessions_body(plant.edge, None, later(1))["sessions"]) == 9
