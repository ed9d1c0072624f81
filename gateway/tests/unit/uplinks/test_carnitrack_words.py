"""The cloud's words: read strictly, bounded, old spellings too; hostile ones raise nothing but what is promised."""

import contextlib
import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.plant_records import START, event_uuid
from scaleledger.domain.cloud import (
    BatchAnswer,
    ConfigChanged,
    PluChanged,
    PrintJobsWaiting,
    SessionList,
    SessionMoved,
    SessionStarted,
)
from scaleledger.domain.errors import Disbelieved, LinkError, NotOffered
from scaleledger.domain.session import SessionStatus
from scaleledger.domain.session_book import SessionBook
from scaleledger.uplinks.carnitrack import answers
from scaleledger.uplinks.carnitrack.answers import Busy, EdgeUnknown, Registered
from scaleledger.uplinks.carnitrack.calls import rest_beside, rest_root, sessions, socket_address
from scaleledger.uplinks.carnitrack.messages import (
    BatchAnswered,
    Envelope,
    EventAnswered,
    Pinged,
    Ponged,
    read_message,
)
from scaleledger.uplinks.exchange import Answer

EDGE = "7f1c6f0a-2f4b-4b43-9a65-0d6a5a1c9b11"
LATER = START + timedelta(minutes=3)


def said(kind, payload, **more):
    return read_message(json.dumps({"type": kind, "payload": payload} | more), LATER)


def answer(status, body, kind="application/json", **headers):
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, {"content-type": kind} | headers, text, START)


def test_a_session_that_says_since_when_is_dated():
    session = said("session_started", {"cloudSessionId": "s", "deviceId": "SCALE-01", "startedAt": START.isoformat()})
    assert isinstance(session, SessionStarted)
    assert (session.session.started_at, session.session.dated, session.session.status) == (
        START,
        True,
        SessionStatus.ACTIVE,
    )


def test_a_session_of_a_first_cloud_counts_from_when_it_was_told_and_says_so():
    session = said("session_started", {"session_id": "s", "device_id": "SCALE-01"}).session
    assert (session.started_at, session.dated) == (LATER, False)
    session = said("session_started", {"sessionId": "s", "deviceId": "D"}, timestamp=START.isoformat()).session
    assert session.started_at == START


def test_the_changes_of_a_session_are_read_in_order_of_time():
    changes = [{"at": LATER.isoformat(), "status": "paused"}, {"at": START.isoformat(), "status": "active"}]
    found = said(
        "session_list", {"sessions": [{"cloudSessionId": "s", "deviceId": "D", "status": "paused", "changes": changes}]}
    )
    assert isinstance(found, SessionList)
    assert [c.status for c in found.sessions[0].changes] == [SessionStatus.ACTIVE, SessionStatus.PAUSED]
    assert found.devices is None


def test_a_session_that_cannot_be_read_does_not_hide_the_others():
    good = {"cloudSessionId": "s", "deviceId": "D", "status": "active"}
    bad = [
        {},
        {"cloudSessionId": "t", "deviceId": "D", "status": "elsewhere"},
        7,
        {"cloudSessionId": 1.5, "deviceId": "D"},
    ]
    found = said(
        "session_list", {"sessions": [*bad, good], "ended": [{"cloudSessionId": "u", "endedAt": START.isoformat()}]}
    )
    assert [s.session_id for s in found.sessions] == ["s"]
    assert [(m.session_id, m.at, m.status) for m in found.ended] == [("u", START, SessionStatus.ENDED)]


def test_a_session_that_is_over_before_we_heard_of_it_is_learned_whole():
    over = {
        "cloudSessionId": "s",
        "deviceId": "D",
        "animalTag": "TR-1",
        "status": "ended",
        "changes": [{"at": START.isoformat(), "status": "active"}, {"at": LATER.isoformat(), "status": "ended"}],
        "endedAt": LATER.isoformat(),
        "reason": "completed",
    }
    found = said("session_list", {"sessions": [], "ended": [over]})
    book = SessionBook()
    book.apply(found, LATER)
    assert book.at("D", START).animal_tag == "TR-1"
    assert book.at("D", LATER) is None


@pytest.mark.parametrize(
    ("kind", "status"), [("session_paused", "paused"), ("session_resumed", "active"), ("session_ended", "ended")]
)
def test_a_session_moves_at_its_own_time(kind, status):
    found = said(kind, {"cloudSessionId": "s", "deviceId": "D", "at": START.isoformat(), "reason": "completed"})
    assert found == SessionMoved("s", "D", START, SessionStatus(status), "completed")


@pytest.mark.parametrize(
    ("kind", "payload", "word"),
    [
        (
            "event_ack",
            {"localEventId": event_uuid(1), "status": "duplicate"},
            EventAnswered(event_uuid(1), "duplicate"),
        ),
        ("event_ack", {"local_event_id": event_uuid(1)}, EventAnswered(event_uuid(1), "accepted")),
        ("event_rejected", {"localEventId": "a", "reason": "no\nplu"}, EventAnswered("a", "rejected", "no plu")),
        ("offline_batch_ack", {"batchId": "b", "status": "received"}, BatchAnswered("b", BatchAnswer(complete=True))),
        (
            "offline_batch_ack",
            {"batchId": "b", "status": "received", "missing": ["x"]},
            BatchAnswered("b", BatchAnswer(complete=False, missing=frozenset({"x"}))),
        ),
        ("plu_updated", {"version": "v7"}, PluChanged("v7")),
        ("print_jobs_waiting", {}, PrintJobsWaiting()),
        ("config_update", {"maxBatch": 100, "x": {"y": 1}}, ConfigChanged({"maxBatch": 100})),
        ("config_update", {"edgeId": EDGE.upper(), "siteId": "s"}, Registered(EDGE, "s")),
        ("edge_registered", {"edgeId": EDGE, "siteId": 7}, Registered(EDGE, "7")),
        ("edge_registered", {"edgeId": "not a uuid"}, None),
        ("ping", {}, Pinged()),
        ("pong", {}, Ponged()),
        ("firmware", {}, None),
        ("event_ack", {}, None),
        ("session_ended", [], None),
    ],
)
def test_words_on_the_line(kind, payload, word):
    assert said(kind, payload) == word


NAMES = ["type", "payload", "timestamp", "sessions", "ended", "changes", "at", "status", "cloudSessionId", "deviceId",
         "localEventId", "edgeId", "config", "batchId", "missing", "items", "jobs", "version", "number", "name"]  # fmt: skip
KINDS = [
    "session_started",
    "session_list",
    "session_ended",
    "event_ack",
    "edge_registered",
    "offline_batch_ack",
    "config_update",
]
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([*KINDS, EDGE, "active"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=15,
)


@given(st.sampled_from(KINDS), ANYTHING)
def test_hostile_words_are_read_or_are_nothing(kind, payload):
    said(kind, payload, timestamp=payload)


@given(st.text(max_size=60) | st.binary(max_size=60) | st.just("[" * 100_000))
def test_what_is_no_envelope_is_nothing(message):
    found = read_message(message, START)
    assert found is None or isinstance(found, Pinged | Ponged)


@given(ANYTHING)
def test_hostile_lists_end_in_a_typed_error_or_in_bounds(found):
    listed = found if isinstance(found, dict) else {"items": found, "jobs": found, "sessions": found, "version": "v"}
    with contextlib.suppress(Disbelieved):
        assert len(answers.plu_in(listed).items) <= answers.PLU_MAX
    answers.jobs_in(listed)
    answers.sessions_in(listed, START)
    answers.printers_in(listed)
    answers.registration_in(listed)


def test_a_product_that_cannot_be_read_keeps_the_last_list_and_is_named():
    items = [{"number": "1", "name": "KIYMA"}, {"number": "2", "name": "KUŞBAŞI", "price": 12.5}]
    with pytest.raises(Disbelieved, match="entry 2"):
        answers.plu_in({"version": "v", "items": items})


@pytest.mark.parametrize(
    ("status", "body", "raised"),
    [
        (401, {"error": "invalid_edge", "code": "invalid_edge"}, EdgeUnknown),
        (404, {"code": "unknown_edge"}, EdgeUnknown),
        (401, {"detail": "log in"}, Disbelieved),
        (401, b"<html>", Disbelieved),
        (403, {"error": "not_approved"}, LinkError),
        (404, {"detail": "Not Found"}, NotOffered),
        (404, b"<html>Not Found</html>", NotOffered),
        (429, {}, Busy),
        (503, {}, LinkError),
        (302, b"", Disbelieved),
        (400, {"error": ["x"], "code": {}}, Disbelieved),
    ],
)
def test_a_refusal_is_believed_only_in_the_contracts_words(status, body, raised):
    with pytest.raises(LinkError) as refused:
        answers.refuse(answer(status, body), "it")
    assert type(refused.value) is raised


def test_retry_after_is_heard():
    with pytest.raises(Busy) as refused:
        answers.refuse(answer(429, {}, **{"retry-after": "7"}), "it")
    assert refused.value.retry_after_s == 7


def test_a_first_cloud_refuses_an_unknown_edge_in_words():
    with pytest.raises(EdgeUnknown):
        answers.read_registration(answer(400, {"error": "Invalid edge UUID"}))


def test_a_key_stands_in_no_text_of_what_was_read():
    found = answers.registration_in({"edgeId": EDGE, "apiKey": "k-secret"})
    assert found.api_key == "k-secret"
    assert "k-secret" not in repr(found)


@pytest.mark.parametrize(
    ("configured", "root"),
    [
        ("https://c.example/api/v1", "https://c.example/api/v1/"),
        ("https://c.example/api/v1/", "https://c.example/api/v1/"),
        ("https://c.example/api/v1/edge", "https://c.example/api/v1/"),
        ("https://c.example/api/v1/edge/", "https://c.example/api/v1/"),
    ],
)
def test_one_edge_whether_the_address_ends_in_it_or_not(configured, root):
    assert rest_root(configured) == root


@pytest.mark.parametrize(
    ("url", "rest", "address"),
    [
        ("wss://c.example/edge/ws", "https://c.example/api/v1", "wss://c.example/edge/ws"),
        ("ws://c.example:8000", "http://c.example:8000/api/v1", "ws://c.example:8000/edge/ws"),
        ("wss://c.example/plant/edge", "https://c.example/plant/api/v1", "wss://c.example/plant/edge"),
    ],
)
def test_rest_is_found_beside_the_line(url, rest, address):
    assert (rest_beside(url), socket_address(url)) == (rest, address)


def test_a_devices_name_cannot_change_the_question():
    assert sessions(["A&x=1", "B"], "").request.path == "edge/sessions?device_ids=A%26x%3D1,B"


def test_envelopes_have_ids_of_their_own():
    envelope = Envelope()
    texts = [json.loads(envelope.say("ping", {}, START, EDGE)) for _ in range(3)]
    assert len({text["messageId"] for text in texts}) == 3
    assert set(texts[0]) == {"type", "payload", "timestamp", "messageId", "edgeId"}
