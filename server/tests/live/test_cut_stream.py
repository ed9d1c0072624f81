"""Sessions and cuts at a real server: the edge is told at once, the phone sees each cut once, and misses none."""

import time
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from edge_lines import PlantCentre
from phone_lines import PhoneLine, Stream
from plants import event


@pytest.fixture(scope="module")
def centre(tmp_path_factory):
    with PlantCentre(tmp_path_factory.mktemp("plant")) as centre:
        yield centre


@pytest.fixture(scope="module")
def phone(centre):
    return PhoneLine(centre.port)


@pytest.fixture
def edge(centre):
    with centre.edge() as line:
        yield line


@pytest.fixture
def session(phone, edge):
    """The id of a session on a scale of its own, started on the phone; the edge was told within a second."""
    device = f"SCALE-{uuid4().hex[:6]}"
    edge.tell("event", event(uuid4().int % 10**12, device))
    edge.acknowledged(1)
    session_id = str(uuid4())
    began = time.monotonic()
    phone.start(device, "TR-12", session_id)
    told = edge.hear_type("session_started")
    assert time.monotonic() - began < 1
    assert (told["cloudSessionId"], told["deviceId"]) == (session_id, device)
    edge.device = device
    return session_id


def cut(edge, session_id, number, **others):
    """Deliver one event of the session, until it is acknowledged."""
    one = event(number, edge.device, cloudSessionId=session_id, **others)
    edge.tell("event", one)
    assert edge.acknowledged(1)[0][1] == "accepted"
    return one["localEventId"]


def fresh():
    return uuid4().int % 10**11


def test_the_edge_hears_each_step_at_once_and_one_that_was_away_hears_it_when_it_comes(centre, phone, edge, session):
    for step, type_ in (("pause", "session_paused"), ("resume", "session_resumed")):
        began = time.monotonic()
        assert phone.post(f"sessions/{session}/{step}/", {})[0] == 200
        told = edge.hear_type(type_)
        assert time.monotonic() - began < 1
        assert (told["cloudSessionId"], told["deviceId"]) == (session, edge.device)
        assert told["at"]
    with centre.edge(edge.edge_id) as newer:
        [known] = newer.sessions["sessions"]
        assert [change["status"] for change in known["changes"]] == ["active", "paused", "active"]
        assert phone.post(f"sessions/{session}/end/", {"reason": "cancelled"})[0] == 200
        assert newer.hear_type("session_ended")["reason"] == "cancelled"
    with centre.edge(edge.edge_id) as newest:
        assert newest.sessions["sessions"] == []
        assert [one["cloudSessionId"] for one in newest.sessions["ended"]] == [session]


def test_of_two_phones_that_start_at_once_one_wins(centre, phone, edge):
    device = f"SCALE-{uuid4().hex[:6]}"
    edge.tell("event", event(fresh(), device))
    edge.acknowledged(1)
    scale = phone.scale(device)
    phones = [phone, PhoneLine(centre.port)]

    def start(one):
        return one.post("sessions/", {"session_id": str(uuid4()), "scale": scale, "animal_tag": "TR-1"})

    with ThreadPoolExecutor(2) as pool:
        answers = sorted(pool.map(start, phones), key=lambda answer: answer[0])
    assert [status for status, _ in answers] == [200, 409]
    assert "started by admin" in answers[1][1]["detail"]


def test_a_cut_is_seen_as_soon_as_it_is_stored_with_exact_totals(phone, edge, session):
    with phone.stream(session) as stream:
        assert stream.answer.headers["Content-Type"].startswith("text/event-stream")
        _, first = stream.hear()
        assert (first["whole"], first["count"], first["cuts"]) == (True, 0, [])
        began = time.monotonic()
        name = cut(edge, session, fresh(), weightGrams=1234, productName="KUŞBAŞI")
        _, told = stream.hear()
        assert time.monotonic() - began < 1
        assert [(one["id"], one["grams"], one["product"]) for one in told["cuts"]] == [(name, 1234, "KUŞBAŞI")]
        cut(edge, session, fresh(), weightGrams=-34)
        _, told = stream.hear()
        assert (told["count"], told["grams"], told["whole"]) == (2, 1200, False)
        phone.post(f"sessions/{session}/pause/", {})
        assert stream.hear()[1]["session"]["status"] == "paused"


def test_a_phone_that_was_away_gets_what_it_missed_by_the_id_it_saw_last(phone, edge, session):
    before = cut(edge, session, fresh())
    with phone.stream(session) as stream:
        place, told = stream.hear()
        assert [one["id"] for one in told["cuts"]] == [before]
    missed = [cut(edge, session, fresh()) for _ in range(3)]
    with phone.stream(session, place) as stream:
        _, told = stream.hear()
        assert not told["whole"]
        assert set(missed) <= {one["id"] for one in told["cuts"]}
        assert told["count"] == 4
        later = cut(edge, session, fresh())
        assert [one["id"] for one in stream.hear()[1]["cuts"]] == [later], "what was told is not told again"


def test_a_cut_that_moves_to_another_session_leaves_the_one_and_appears_in_the_other(phone, edge, session):
    number = fresh()
    name = cut(edge, session, number)
    with phone.stream(session) as old:
        assert [one["id"] for one in old.hear()[1]["cuts"]] == [name]
        phone.post(f"sessions/{session}/end/", {})
        other = str(uuid4())
        phone.start(edge.device, "TR-13", other)
        with phone.stream(other) as new:
            assert new.hear()[1]["count"] == 0
            cut(edge, other, number, revision=1, reason="late-session")
            assert [one["id"] for one in new.hear_until(lambda told: told["cuts"])[1][-1]["cuts"]] == [name]
        _, heard = old.hear_until(lambda told: told["gone"])
        assert (heard[-1]["gone"], heard[-1]["count"], heard[-1]["grams"]) == ([name], 0, 0)


def test_more_cuts_than_are_shown_are_told_anew_and_all_are_counted(phone, edge, session):
    with phone.stream(session) as stream:
        stream.hear()
        sent = [event(10**11 + number, edge.device, cloudSessionId=session, weightGrams=1) for number in range(450)]
        edge.tell("event_batch", {"events": sent})
        edge.acknowledged(450)
        told = stream.hear_until(lambda told: told["count"] == 450)[1][-1]
        assert (told["whole"], len(told["cuts"]), told["grams"]) == (True, 200, 450)


@pytest.mark.parametrize("last", ["nonsense", "-5", "9" * 30, "٣", "0", "99999999999999999"])
def test_a_place_that_is_none_is_no_harm(phone, session, last):
    with phone.stream(session, None, **{"Last-Event-ID": last.encode()}) as stream:
        assert stream.status == 200
        assert stream.hear()[1]["count"] == 0


def test_who_may_not_operate_gets_no_stream(centre, phone, session):
    def status_of(stream):
        with stream:
            return stream.status

    assert status_of(Stream(centre.port, session, {})) == 401
    assert status_of(phone.stream(session, None, Host="elsewhere.example")) == 400
    assert status_of(phone.stream(uuid4())) == 404
    centre.shell("from django.contrib.auth.models import User; User.objects.create_user('visitor', password='x')")
    assert status_of(PhoneLine(centre.port, "visitor", "x").stream(session)) == 403


def test_many_streams_leave_requests_and_other_phones_alone(phone, edge, session):
    """More than there are threads for requests, and requests at work at once."""
    streams = [phone.stream(session) for _ in range(40)]
    for stream in streams:
        assert stream.hear()[1]["whole"]
    assert phone.get(f"sessions/{session}/")[0] == 200
    name = cut(edge, session, fresh())
    for stream in streams:
        assert [one["id"] for one in stream.hear()[1]["cuts"]] == [name]
        stream.__exit__()


def test_a_stream_ends_when_the_server_stops_and_holds_nothing_up(tmp_path):
    with PlantCentre(tmp_path) as centre, centre.edge() as edge:
        edge.tell("event", event(1))
        edge.acknowledged(1)
        phone, session_id = PhoneLine(centre.port), str(uuid4())
        phone.start("SCALE-01", "TR-12", session_id)
        with phone.stream(session_id) as stream:
            stream.hear()
            status, printed = centre.stop()
            while stream.fields():
                pass
    assert status == 0, printed
    assert "Traceback" not in printed
    assert "graceful shutdown exceeded" not in printed, "it was waited for until the last moment"
