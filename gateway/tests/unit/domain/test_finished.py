"""Which event a line is, which time counts, and what is a copy."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaleledger.domain.copies import Heard, RecentEvents, Verdict
from scaleledger.domain.finished import (
    UNTRIED,
    Arrival,
    ClockTrust,
    Place,
    draft_of,
    identity,
    judge_time,
    of_device,
    of_host,
    read_printed,
)
from scaleledger.domain.inputs import FinishedWeighing

NOW = datetime(2026, 1, 30, 10, 30, tzinfo=UTC)
TOLERANCE = timedelta(seconds=120)
BERLIN = ZoneInfo("Europe/Berlin")


HERE = "02:5a:1e:d6:e4:01"


def event(time="10:30:00", date="30.01.2026", prefix="", net="9676"):
    raw = f"{prefix}00001,{time},{date},KIYMA,{net}".encode()
    fields = {"time": time, "date": date, "prefix": prefix, "product": "KIYMA"}
    return FinishedWeighing(None, None, Decimal(net), "g", tuple(fields.items()), raw)


def judged(printed, received_at=NOW, zone=UTC, last=UNTRIED):
    return judge_time(printed, zone, received_at, TOLERANCE, last)


def test_the_print_prefix_changes_no_identity_and_the_sender_does():
    plain, printed = (
        identity(of_device(HERE, "SCALE-01"), event()),
        identity(of_device(HERE, "SCALE-01"), event(prefix='P"')),
    )
    assert plain == printed
    elsewhere = identity(of_device("02:5a:1e:d6:e4:99", "SCALE-01"), event())
    others = {identity(of_device(HERE, "SCALE-02"), event()), identity(of_host(HERE, "10.0.0.5"), event()), elsewhere}
    assert len({plain, *others, identity(of_device(HERE, "SCALE-01"), event(net="9677"))}) == 5


@given(st.integers(0, 86_399), st.integers(0, 86_399))
def test_identities_are_version_8_and_in_the_order_of_the_printed_time(first_s, second_s):
    def at(second):
        return event(time=f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}")

    one, two = (identity(of_device(HERE, "SCALE-01"), at(second)) for second in (first_s, second_s))
    assert UUID(one).version == 8
    assert UUID(one).variant == "specified in RFC 4122"
    assert (one[:13] < two[:13]) == (first_s < second_s)


@pytest.mark.parametrize(
    ("time", "date"), [("10:30:00", "31.02.2026"), ("25:61:61", "30.01.2026"), ("", ""), ("1:2", "3.4.26")]
)
def test_a_moment_that_no_calendar_has_is_no_time_and_still_an_event(time, date):
    assert read_printed(date, time) is None
    timed = judged(None)
    assert (timed.at, timed.trust.trusted) == (NOW, False)
    assert UUID(identity(of_device(HERE, "SCALE-01"), event(time, date))).version == 8


def test_the_printed_time_counts_when_it_is_near_and_the_receipt_when_it_is_not():
    near = datetime(2026, 1, 30, 10, 28, 30)
    assert judged(near).at == near.replace(tzinfo=UTC)
    assert judged(datetime(2026, 1, 30, 9, 0)).at == NOW
    assert not judged(datetime(2000, 1, 1, 0, 0)).trust.trusted


def test_a_scale_that_was_out_of_reach_is_believed_until_its_clock_stands_still_goes_back_or_runs_ahead():
    last = ClockTrust(trusted=True, printed=datetime(2026, 1, 30, 7, 0))
    assert judged(datetime(2026, 1, 30, 7, 5), last=last).at.hour == 7
    for printed in (datetime(2026, 1, 30, 7, 0), datetime(2026, 1, 30, 6, 59), datetime(2026, 1, 30, 10, 33)):
        assert judged(printed, last=last).at == NOW


def test_in_the_hour_that_comes_twice_the_reading_nearer_to_the_receipt_is_taken():
    twice = datetime(2026, 10, 25, 2, 30)
    for received_at in (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)):
        assert judged(twice, received_at, BERLIN).at == received_at
    left_out = datetime(2026, 3, 29, 2, 30)  # a clock that nobody has put forward yet
    assert judged(left_out, datetime(2026, 3, 29, 1, 30, tzinfo=UTC), BERLIN).trust.trusted


def test_the_net_that_does_not_fit_is_noted():
    weighing = FinishedWeighing(Decimal(10), Decimal(1), Decimal(8), "g", event().fields, b"x")
    draft = draft_of(
        Arrival(weighing, "10.0.0.5:1", NOW, 1.0),
        Place("hall", "d", "SCALE-01", UTC, TOLERANCE, "", HERE),
        judged(NOW.replace(tzinfo=None)),
    )
    assert dict(draft.details)["notes"] == "net-mismatch"


def heard(time, *, prefix="", received_s=0, host="10.0.0.5", net="9676", first=False):
    weighing = event(time=time, prefix=prefix, net=net)
    arrival = Arrival(weighing, f"{host}:1", NOW + timedelta(seconds=received_s), 1.0)
    printed = read_printed("30.01.2026", time)
    draft = draft_of(arrival, Place("hall", "d", "SCALE-01", UTC, TOLERANCE, "", HERE), judged(printed))
    return Heard(draft, printed, bool(prefix), arrival.received_at, host, first)


@pytest.mark.parametrize(
    ("second", "verdict"),
    [
        (heard("10:30:00"), Verdict.REPEAT),
        (heard("10:30:00", prefix="P", received_s=3600), Verdict.REPEAT),
        (heard("10:30:01"), Verdict.COPY),
        (heard("10:30:02"), Verdict.DOUBTFUL),
        (heard("10:30:02", prefix='P"'), Verdict.COPY),
        (heard("10:30:03", prefix='P"'), Verdict.DOUBTFUL),
        (heard("10:29:59", prefix='P"'), Verdict.DOUBTFUL),
        (heard("10:30:06", prefix='P"'), Verdict.NEW),
        (heard("10:30:01", net="9677"), Verdict.NEW),
        (heard("10:30:01", received_s=6), Verdict.DOUBTFUL),
        (heard("10:30:01", received_s=60, first=True), Verdict.COPY),
        (heard("10:30:01", host="10.0.0.6"), Verdict.DOUBTFUL),
    ],
)
def test_a_copy_is_told_from_a_second_cut_of_the_same_weight(second, verdict):
    recent = RecentEvents()
    recent.take(heard("10:30:00"))
    assert recent.judge(second)[0] is verdict


def test_an_event_has_one_copy_and_the_next_is_one_of_its_own():
    recent = RecentEvents()
    recent.take(first := heard("10:30:00"))
    copy = heard("10:30:01")
    recent.pair(recent.judge(copy)[1], copy)
    assert recent.judge(copy) == (Verdict.COPY, recent.find(first.draft.uuid))
    assert recent.judge(heard("10:30:00", prefix="P"))[0] is Verdict.REPEAT
    assert recent.judge(heard("10:30:02", prefix="P"))[0] is Verdict.DOUBTFUL
