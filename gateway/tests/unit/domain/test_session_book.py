"""What the cloud says of sessions: late, twice, out of order, or not any more; and whose an event is."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaleledger.domain.cloud import SessionList, SessionMoved, SessionStarted, SessionsUnchanged
from scaleledger.domain.session import SessionChange, SessionStatus, Span, WorkSession
from scaleledger.domain.session_book import UNLISTED, Disputed, SessionBook

DAY = datetime(2026, 11, 21, 8, tzinfo=UTC)
ACTIVE, PAUSED, PENDING, ENDED = SessionStatus.ACTIVE, SessionStatus.PAUSED, SessionStatus.PENDING, SessionStatus.ENDED
SCALE = "SCALE-01"


def at(minute):
    return DAY + timedelta(minutes=minute)


def session(name, *changes, device=SCALE, **fields):
    """`changes`: (minute, status) each."""
    return WorkSession(name, device, tuple(SessionChange(at(m), s) for m, s in changes), **fields)


def moved(name, minute, status, reason="", device=SCALE):
    return SessionMoved(name, device, at(minute), status, reason)


def owner(book, minute, device=SCALE):
    found = book.at(device, at(minute))
    return found.session_id if found is not None else None


def told(*facts, now=600):
    book = SessionBook()
    for fact in facts:
        book.apply(fact, at(now))
    return book


def test_an_event_belongs_to_the_session_that_was_active_at_its_own_time():
    book = told(
        SessionStarted(session("a", (0, ACTIVE))), moved("a", 10, ENDED), SessionStarted(session("b", (10, ACTIVE)))
    )
    assert [owner(book, minute) for minute in (-1, 0, 9, 10, 500)] == [None, "a", "a", "b", "b"]
    assert owner(book, 5, "SCALE-02") is None


@pytest.mark.parametrize("resting", [PAUSED, PENDING])
def test_neither_a_paused_nor_a_pending_session_owns_events(resting):
    book = told(SessionStarted(session("a", (0, resting), (5, ACTIVE), (10, PAUSED), (15, ACTIVE))))
    assert [owner(book, minute) for minute in (2, 5, 10, 14, 15)] == [None, "a", None, None, "a"]


def test_of_two_that_are_active_at_once_the_one_that_began_later_owns():
    book = told(SessionStarted(session("a", (0, ACTIVE))), SessionStarted(session("b", (10, ACTIVE), (20, ENDED))))
    assert [owner(book, minute) for minute in (5, 15, 25)] == ["a", "b", "a"]
    assert [one.session_id for one in book.rivals("b", at(15))] == ["a"]
    assert book.rivals("b", at(25)) == []


def test_a_session_that_a_whole_list_leaves_out_is_over_and_one_of_another_device_is_not():
    book = told(
        SessionStarted(session("a", (0, ACTIVE))),
        SessionStarted(session("b", (0, ACTIVE))),
        SessionStarted(session("far", (0, ACTIVE), device="SCALE-02")),
    )
    book.apply(SessionList((session("b", (0, ACTIVE)),), devices=frozenset({SCALE})), at(700))
    assert book.get("a").session.ended_at == at(700)
    assert book.get("b").session.ended_at is None
    assert book.get("far").session.ended_at is None, "the cloud was not asked for it"
    book.apply(SessionList(()), at(800))
    assert book.get("far").session.ended_at == at(800)


def test_the_end_that_the_cloud_names_counts_before_the_one_that_was_inferred():
    book = told(SessionStarted(session("a", (0, ACTIVE))), SessionList(()))
    assert book.get("a").session.changes[-1] == SessionChange(at(600), ENDED, UNLISTED)
    book.apply(SessionList((), (moved("a", 30, ENDED, "completed"),)), at(601))
    assert book.get("a").session.changes[-1] == SessionChange(at(30), ENDED, "completed")
    later = told(SessionStarted(session("a", (0, ACTIVE))), SessionList(()), moved("a", 650, ENDED, "completed"))
    assert later.get("a").session.ended_at == at(650)


def test_a_session_that_is_listed_again_was_never_over():
    book = told(SessionStarted(session("a", (0, ACTIVE))), SessionList(()))
    assert owner(book, 620) is None
    book.apply(SessionList((session("a", (0, ACTIVE)),)), at(640))
    assert owner(book, 620) == "a"


def test_an_unchanged_list_renews_the_age_of_what_is_under_way_and_changes_nothing():
    book = told(SessionStarted(session("a", (0, ACTIVE))), moved("over", 1, ENDED), now=1)
    for hours in range(1, 100):
        assert book.apply(SessionsUnchanged(), at(60 * hours)) == []
    assert book.get("a").confirmed_at == at(60 * 99)
    assert owner(book, 60 * 99) == "a", "nothing expires by itself"
    book.apply(SessionsUnchanged(frozenset({"SCALE-02"})), at(60 * 100))
    assert book.get("a").confirmed_at == at(60 * 99), "the answer spoke of another device"


def test_a_cloud_that_does_not_say_since_when_moves_no_beginning():
    book = told(SessionStarted(session("a", (0, ACTIVE), dated=False)))
    assert book.apply(SessionStarted(session("a", (30, ACTIVE), dated=False)), at(30)) == []
    assert owner(book, 10) == "a"
    book.apply(SessionStarted(session("a", (40, PAUSED), dated=False)), at(40))
    assert (owner(book, 39), owner(book, 41)) == ("a", None)


def test_a_beginning_that_is_put_right_disputes_what_lies_in_between():
    book = told(SessionStarted(session("a", (10, ACTIVE))))
    book.apply(moved("a", 20, PAUSED), at(600))
    (kept,) = book.apply(SessionStarted(session("a", (5, PAUSED))), at(601))
    assert kept.session.changes == (SessionChange(at(5), ACTIVE), SessionChange(at(20), PAUSED))
    assert any(one.span.since == at(5) for one in kept.disputed)


def test_only_the_time_in_which_the_owner_changed_is_disputed():
    book = told()
    (started,) = book.apply(SessionStarted(session("a", (10, ACTIVE))), at(11))
    assert started.disputed == (Disputed(SCALE, Span(at(10))),)
    assert book.looked_at(started).disputed == ()
    (ended,) = book.apply(moved("a", 20, ENDED), at(30))
    assert ended.disputed == (Disputed(SCALE, Span(at(20))),)
    assert book.apply(moved("a", 20, ENDED), at(31)) == [], "told again"


def test_a_session_that_changed_while_its_events_were_looked_at_is_looked_at_again():
    book = told()
    (seen,) = book.apply(SessionStarted(session("a", (10, ACTIVE))), at(11))
    book.apply(moved("a", 12, ENDED), at(13))
    assert book.looked_at(seen) is None
    assert book.get("a").disputed


def test_a_session_that_moves_to_another_device_disputes_both():
    book = told(SessionStarted(session("a", (0, ACTIVE))))
    (kept,) = book.apply(SessionStarted(session("a", (0, ACTIVE), device="SCALE-02")), at(1))
    assert {one.device_id for one in kept.disputed} == {SCALE, "SCALE-02"}
    assert (owner(book, 5), owner(book, 5, "SCALE-02")) == (None, "a")


def test_a_text_that_is_left_out_stays_and_one_that_is_new_is_taken():
    book = told(SessionStarted(session("a", (0, ACTIVE), animal_tag="TR-1", operator_id="o1")))
    book.apply(SessionStarted(session("a", (0, ACTIVE), operator_id="o2")), at(1))
    kept = book.get("a").session
    assert (kept.animal_tag, kept.operator_id) == ("TR-1", "o2")


def test_a_word_on_an_unknown_session_says_nothing_unless_it_begins_it():
    book = told(moved("x", 5, ENDED), moved("x", 6, PAUSED))
    assert book.all() == []
    book.apply(moved("x", 7, ACTIVE), at(8))
    assert owner(book, 7) == "x"


def test_what_ended_long_ago_is_forgotten_and_nothing_else():
    book = told(SessionStarted(session("old", (0, ACTIVE), (1, ENDED))), SessionStarted(session("on", (0, ACTIVE))))
    assert book.forget(at(1)) == 0
    assert book.forget(at(2)) == 1
    assert [one.session.session_id for one in book.all()] == ["on"]


STATUSES = st.sampled_from([ACTIVE, PAUSED, PENDING, ENDED])
NAMES = st.sampled_from(["a", "b", "c"])
WORDS = st.one_of(
    st.builds(moved, NAMES, st.integers(0, 60), STATUSES),
    st.builds(
        lambda n, m, s, d: SessionStarted(session(n, (m, s), dated=d)),
        NAMES,
        st.integers(0, 60),
        STATUSES,
        st.booleans(),
    ),
    st.builds(
        lambda n, ms: SessionStarted(session(n, *ms)),
        NAMES,
        st.lists(st.tuples(st.integers(0, 60), STATUSES), min_size=2, max_size=5, unique_by=lambda m: m[0]).map(sorted),
    ),
    st.builds(lambda ns: SessionList(tuple(session(n, (0, ACTIVE)) for n in ns)), st.sets(NAMES)),
    st.just(SessionsUnchanged()),
)


@given(st.lists(WORDS, max_size=12), st.integers(0, 120))
def test_the_owner_is_always_an_active_session_that_began_last(words, minute):
    book = told()
    for n, word in enumerate(words):
        book.apply(word, at(60 + n))
    active = [k.session for k in book.all() if k.session.status_at(at(minute)) is ACTIVE]
    latest = max(active, key=lambda s: (s.started_at, s.session_id), default=None)
    assert book.at(SCALE, at(minute)) == latest
    for kept in book.all():
        times = [change.at for change in kept.session.changes]
        assert times == sorted(set(times)), "one change per instant, in order"


@given(st.lists(WORDS, max_size=12))
def test_the_same_word_again_changes_nothing(words):
    book = told()
    for n, word in enumerate(words):
        book.apply(word, at(60 + n))
        assert book.apply(word, at(60 + n)) == []


@given(st.lists(WORDS, max_size=8), WORDS, st.integers(0, 140))
def test_where_the_owner_changes_is_disputed(words, last, minute):
    book = told()
    for n, word in enumerate(words):
        for kept in book.apply(word, at(60 + n)):
            book.looked_at(kept)
    before = book.at(SCALE, at(minute))
    changed = book.apply(last, at(90))
    after = book.at(SCALE, at(minute))
    if before != after and (before is None or after is None or before.session_id != after.session_id):
        spans = [one.span for kept in changed for one in kept.disputed]
        assert any(s.since <= at(minute) and (s.until is None or at(minute) < s.until) for s in spans)


@given(st.permutations([moved("a", 30, PAUSED), moved("a", 40, ACTIVE), moved("a", 60, ENDED, "completed")]))
def test_changes_that_come_out_of_order_make_the_same_course(order):
    book = told(SessionStarted(session("a", (20, ACTIVE))))
    for n, word in enumerate(order):
        book.apply(word, at(100 + n))
    assert [owner(book, minute) for minute in (25, 35, 45, 65)] == ["a", None, "a", None]
