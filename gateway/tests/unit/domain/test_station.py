"""The state machine, driven by hand: what the operator does on the left, what must come of it on the right."""

from decimal import Decimal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from scaleledger.domain.commands import Show
from scaleledger.domain.guidance import GUIDANCE, Notice
from scaleledger.domain.inputs import CardSeen, KeysEntered
from scaleledger.domain.reading import Reading, Role, Status
from scaleledger.domain.rearm import RearmRule
from scaleledger.domain.station import Commit, Mode, Station, StationRules, Tell
from scaleledger.domain.station_table import TABLE, Do, Event, State
from scaleledger.domain.weighing import LastCapture

HZ = 10


class Bench:
    """A station on a table: a scale at 10 Hz, a person, and a store that answers when told to."""

    def __init__(self, last=None, **rules):
        rules.setdefault("mode", Mode.TAG)
        self.station = Station(StationRules(name="dock-1", **rules))
        self.now = 100.0
        self.commits, self.told = [], []
        self.autocommit = True
        self.do(self.station.boot(self.now, last))
        self.do(self.station.link(self.now, up=True))

    def do(self, effects):
        for effect in effects:
            if isinstance(effect, Commit):
                self.commits.append(effect)
                if self.autocommit:
                    self.do(self.station.committed(self.now))
            elif isinstance(effect, Tell):
                self.told.append(effect.notice)

    def frame(self, weight, stable=True, **kw):
        self.now += 1 / HZ
        timer = self.station.get_timer()
        if timer is not None and timer <= self.now:
            self.do(self.station.handle_timer(self.now))
        value = None if weight is None else Decimal(weight)
        kw.setdefault("unit", "kg")
        self.do(self.station.reading_seen(self.now, Reading(weight=value, stable=stable, **kw)))

    def show(self, weight, seconds=1.0, **kw):
        for _ in range(round(seconds * HZ)):
            self.frame(weight, **kw)

    def tap(self, uid="A1B2C3D4", known=True):
        self.do(self.station.card_seen(self.now, CardSeen(uid), known=known))

    def wait(self, seconds):
        end = self.now + seconds
        while (timer := self.station.get_timer()) is not None and timer <= end:
            self.now = max(self.now, timer)
            self.do(self.station.handle_timer(self.now))
        self.now = end

    @property
    def weights(self):
        return [str(c.reading.weight) for c in self.commits]


def test_card_then_load_gives_one_record():
    b = Bench()
    b.show("0.0")
    b.tap()
    b.frame("80.0", stable=False)
    b.show("152.5")
    b.show("152.5", 5)
    assert b.weights == ["152.5"]
    assert b.commits[0].card == "A1B2C3D4"
    assert b.told[-1] is Notice.SAVED
    assert dict(b.commits[0].evidence)["stability"] == "flag"


def test_load_then_card_gives_one_record():
    b = Bench()
    b.show("0.0")
    b.show("152.5", 3)
    assert b.commits == []
    b.tap()
    b.show("152.5")
    assert b.weights == ["152.5"]


def test_saved_is_told_only_after_the_commit():
    b = Bench()
    b.autocommit = False
    b.show("0.0")
    b.tap()
    b.show("20.0")
    assert b.station.state is State.SAVING
    assert Notice.SAVED not in b.told
    b.do(b.station.committed(b.now))
    assert b.told[-1] is Notice.SAVED


def test_load_off_then_another_card_is_a_second_record():
    b = Bench()
    for uid in ("CARD0001", "CARD0002"):
        b.show("0.0")
        b.tap(uid)
        b.show("20.0")
    assert [c.card for c in b.commits] == ["CARD0001", "CARD0002"]


def test_two_equal_loads_two_seconds_apart_are_two_records():
    b = Bench(mode=Mode.AUTO)
    for _ in range(2):
        b.show("0.0", 0.8)
        b.show("20.0", 1.2)
    assert b.weights == ["20.0", "20.0"]


@pytest.mark.parametrize("mode", [Mode.TAG, Mode.AUTO])
def test_the_same_load_never_gives_a_second_record(mode):
    b = Bench(mode=mode)
    b.show("0.0")
    b.tap("CARD0001")
    b.show("20.0")
    b.tap("CARD0002")
    b.show("20.0", 40)
    b.show("20.1", 5, stable=False)
    b.show("20.0", 5)
    assert len(b.commits) == 1


@pytest.mark.parametrize("mode", [Mode.TAG, Mode.AUTO])
def test_a_link_that_returns_with_the_load_on_gives_no_second_record(mode):
    b = Bench(mode=mode)
    b.show("0.0")
    b.tap()
    b.show("20.0")
    b.do(b.station.link(b.now, up=False))
    b.now += 10
    b.do(b.station.link(b.now, up=True))
    b.tap("CARD0002")
    b.show("20.0", 5)
    assert len(b.commits) == 1


@pytest.mark.parametrize("mode", [Mode.TAG, Mode.AUTO])
def test_after_a_restart_the_same_load_gives_no_second_record(mode, last_capture):
    b = Bench(last_capture(weight="20.0", card="A1B2C3D4"), mode=mode)
    b.show("20.0", 5)
    b.tap("CARD0002")
    b.show("20.0", 5)
    assert b.commits == []
    b.show("0.0", 1.5)
    b.tap("CARD0002")
    b.show("20.0", 2)
    assert len(b.commits) == 1


def test_after_a_restart_an_unexplained_load_asks_for_zero_first():
    b = Bench(mode=Mode.AUTO)
    b.show("35.0", 5)
    assert b.commits == []
    assert b.told[-1] is Notice.REMOVE_LOAD
    b.show("0.0")
    b.show("35.0")
    assert b.weights == ["35.0"]


def test_a_press_whose_answer_was_lost_is_answered_when_repeated(last_capture):
    b = Bench(last_capture(weight="20.0", card="A1B2C3D4", told=False))
    b.show("20.0")
    b.tap("A1B2C3D4")
    assert b.told[-1] is Notice.SAVED
    assert b.commits == []


def test_a_press_repeated_before_the_first_frame_is_answered_too(last_capture):
    b = Bench(last_capture(weight="20.0", card="A1B2C3D4", told=False))
    b.tap("A1B2C3D4")
    b.show("20.0")
    assert b.told[-1] is Notice.SAVED
    assert b.commits == []
    b.show("0.0")
    b.tap("CARD0002")
    b.show("21.0")
    assert b.weights == ["21.0"]


@pytest.mark.parametrize("told", [False, True])
def test_a_press_whose_lamp_was_lost_with_the_link_is_answered_when_the_link_is_back(told):
    b = Bench()
    b.show("0.0")
    b.tap()
    b.show("20.0")
    if told:
        b.station.told()
    b.do(b.station.link(b.now, up=False))
    b.now += 5
    b.do(b.station.link(b.now, up=True))
    b.show("20.0")
    b.tap()
    assert b.told[-1] is (Notice.REMOVE_LOAD if told else Notice.SAVED)
    assert b.weights == ["20.0"]


def test_a_press_that_was_answered_is_not_answered_again_after_a_restart(last_capture):
    """The load may be another one of the same weight: only a commit may say "saved"."""
    b = Bench(last_capture(weight="20.0", card="A1B2C3D4", told=True))
    b.show("20.0")
    b.tap("A1B2C3D4")
    assert b.told[-1] is Notice.REMOVE_LOAD
    b.show("0.0", 1.5)
    b.tap("A1B2C3D4")
    b.show("20.0")
    assert b.weights == ["20.0"]


@pytest.fixture
def last_capture():
    from datetime import UTC, datetime

    def make(weight, card, told=True):
        return LastCapture("u", Decimal(weight), "kg", card, datetime(2026, 1, 1, tzinfo=UTC), told)

    return make


def test_a_card_tapped_on_a_spent_load_is_refused_until_it_is_off():
    b = Bench()
    b.show("0.0")
    b.tap("CARD0001")
    b.show("20.0")
    b.tap("CARD0002")
    assert b.told[-1] is Notice.REMOVE_LOAD
    b.show("0.0", 1.5)
    b.show("31.0")
    assert len(b.commits) == 1
    b.tap("CARD0002")
    b.show("31.0", 0.5)
    assert [(c.card, str(c.reading.weight)) for c in b.commits] == [("CARD0001", "20.0"), ("CARD0002", "31.0")]


def test_a_card_tapped_just_after_the_load_left_counts_for_the_next_one():
    b = Bench()
    b.show("0.0")
    b.tap("CARD0001")
    b.show("20.0")
    b.show("0.0", 0.2)
    b.tap("CARD0002")
    b.show("0.0", 0.6)
    b.show("31.0")
    assert [c.card for c in b.commits] == ["CARD0001", "CARD0002"]


def test_a_card_tapped_while_saving_is_answered_after_it():
    b = Bench()
    b.autocommit = False
    b.show("0.0")
    b.tap("CARD0001")
    b.show("20.0")
    b.tap("CARD0002")
    b.do(b.station.committed(b.now))
    assert b.told[-2:] == [Notice.SAVED, Notice.REMOVE_LOAD]


def test_a_card_tapped_while_saving_counts_if_the_load_has_left():
    b = Bench()
    b.autocommit = False
    b.show("0.0")
    b.tap("CARD0001")
    b.show("20.0")
    b.show("0.0", 0.2)
    b.tap("CARD0002")
    b.do(b.station.committed(b.now))
    assert b.station.card == "CARD0002"
    b.autocommit = True
    b.show("0.0")
    b.show("31.0")
    assert [c.card for c in b.commits] == ["CARD0001", "CARD0002"]


def test_two_cards_for_one_load_are_refused():
    b = Bench()
    b.show("0.0")
    b.tap("CARD0001")
    b.tap("CARD0002")
    b.show("20.0", 3)
    assert b.told[1:] == [Notice.READY, Notice.WAIT, Notice.TWO_CARDS] or b.told[-1] is Notice.TWO_CARDS
    assert b.commits == []


def test_a_reader_that_repeats_the_card_is_one_presentation():
    b = Bench()
    b.show("0.0")
    for _ in range(30):
        b.frame("20.0")
        b.tap("CARD0001")
    assert b.told.count(Notice.WAIT) == 1
    assert b.told.count(Notice.SAVED) == 1
    assert len(b.commits) == 1


def test_an_unknown_card_is_told_and_commits_nothing():
    b = Bench()
    b.show("0.0")
    b.tap("STRANGER", known=False)
    b.show("20.0", 3)
    assert b.told[-1] is Notice.UNKNOWN_CARD
    assert b.commits == []


def test_restless_load_times_out_without_a_record():
    b = Bench()
    b.show("0.0")
    b.tap()
    b.show("20.0", 31, stable=False)
    assert b.told[-1] is Notice.UNSTABLE
    b.show("20.0", 3)
    assert b.commits == []


def test_a_card_without_a_load_is_forgotten_in_time():
    b = Bench()
    b.show("0.0")
    b.tap()
    b.show("0.0", 31)
    assert b.told[-1] is Notice.CARD_AGAIN
    b.show("20.0", 3)
    assert b.commits == []


def test_overload_is_told_once_and_never_captured():
    b = Bench()
    b.show("0.0")
    b.tap()
    b.show(None, 3, status=Status.OVERLOAD, stable=None)
    assert b.told.count(Notice.OVERLOAD) == 1
    assert b.commits == []
    b.show("20.0")
    assert b.weights == ["20.0"]


def test_a_silent_scale_is_told_and_its_old_value_is_not_captured():
    b = Bench()
    b.show("0.0")
    b.show("20.0")
    b.wait(5)
    assert b.told[-1] is Notice.INDICATOR_FAULT
    b.tap()
    assert b.commits == []
    b.frame("20.0")
    assert b.commits == []
    b.show("20.0")
    assert b.weights == ["20.0"]


def test_a_scale_that_falls_silent_while_measuring_ends_the_press_it_called_a_fault():
    b = Bench()
    b.show("0.0")
    b.tap()
    b.frame("20.0", stable=False)
    b.wait(3)
    assert b.told[-1] is Notice.INDICATOR_FAULT
    b.show("20.0", 2)
    assert b.commits == []
    b.tap()
    b.show("20.0")
    assert b.weights == ["20.0"]


def test_a_failed_commit_is_told_and_may_be_tried_again():
    b = Bench()
    b.autocommit = False
    b.show("0.0")
    b.tap("CARD0001")
    b.show("20.0")
    b.do(b.station.commit_failed(b.now))
    assert b.told[-1] is Notice.SYSTEM_FAULT
    b.autocommit = True
    b.wait(1.5)
    b.show("20.0", 1)
    b.tap("CARD0001")
    b.show("20.0", 1)
    assert len(b.commits) == 2
    assert b.told[-1] is Notice.SAVED


def test_a_disk_that_refuses_is_not_asked_at_every_frame_but_the_load_is_kept_in_the_end():
    b = Bench(mode=Mode.AUTO)
    b.autocommit = False
    b.show("0.0")
    b.show("20.0")
    for _ in range(200):
        if b.station.state is State.SAVING:
            b.do(b.station.commit_failed(b.now))
        b.frame("20.0")
    assert 3 <= len(b.commits) <= 5
    assert b.told.count(Notice.SYSTEM_FAULT) <= 5
    b.autocommit = True
    b.show("20.0", 6)
    assert b.told[-1] is Notice.SAVED


@pytest.mark.parametrize("mode", list(Mode))
def test_a_commit_that_takes_long_is_told_and_still_ends_in_saved(mode):
    b = Bench(mode=mode)
    b.autocommit = False
    b.show("0.0")
    b.tap()
    b.show("20.0")
    assert b.station.state is State.SAVING
    b.show("20.0", 12)
    assert b.told[-3:] == [Notice.WAIT] * 3
    assert len(b.commits) == 1
    b.do(b.station.committed(b.now))
    assert b.told[-1] is Notice.SAVED
    b.show("20.0", 12)
    assert b.told[-1] is Notice.SAVED


def test_a_lifted_load_during_the_commit_still_arms_the_next_one():
    b = Bench(mode=Mode.AUTO)
    b.autocommit = False
    b.show("0.0")
    b.show("20.0")
    b.show("0.0", 2)
    b.do(b.station.committed(b.now))
    b.autocommit = True
    b.show("0.0", 0.2)
    b.show("21.0")
    assert b.weights == ["20.0", "21.0"]


def test_wrong_unit_tare_too_small_too_large_and_unitless_are_not_captured():
    for frame, rules in [
        ({"weight": "20.0", "unit": "lb"}, {"unit": "kg"}),
        ({"weight": "20.0", "role": Role.TARE}, {}),
        ({"weight": "1.0"}, {"min_weight": Decimal(2)}),
        ({"weight": "99.0"}, {"max_weight": Decimal(60)}),
        ({"weight": "20.0", "unit": None}, {}),
    ]:
        b = Bench(mode=Mode.AUTO, **rules)
        b.show("0.0", unit=rules.get("unit", frame.get("unit", "kg")))
        b.show(frame.pop("weight"), 3, **frame)
        assert b.commits == [], (frame, rules)


def test_a_unit_from_the_configuration_completes_unitless_frames():
    b = Bench(mode=Mode.AUTO, unit="kg")
    b.show("0", unit=None)
    b.show("120", unit=None)
    assert b.commits[0].unit == "kg"


def test_keys_go_with_the_next_weighing_only():
    b = Bench(mode=Mode.AUTO)
    b.do(b.station.keys_entered(KeysEntered("vehicle", "006575")))
    for weight in ("20.0", "30.0"):
        b.show("0.0")
        b.show(weight)
    assert [c.details for c in b.commits] == [(("vehicle", "006575"),), ()]


def test_weight_and_card_are_shown():
    b = Bench()
    shown = []
    for weight in ("0.0", "20.0"):
        b.now += 0.1
        shown += [
            e for e in b.station.reading_seen(b.now, Reading(Decimal(weight), "kg", False)) if isinstance(e, Show)
        ]
    assert shown == [Show("0.0"), Show("20.0")]


def test_a_creeping_load_is_not_captured_until_it_rests():
    b = Bench(mode=Mode.AUTO)
    b.show("0.0")
    for step in range(40):
        b.frame(str(Decimal("20.0") + step * Decimal("0.2")))
    assert b.commits == []
    b.show("27.8")
    assert b.weights == ["27.8"]


def test_an_unflagged_indicator_needs_the_whole_window():
    b = Bench(mode=Mode.AUTO)
    b.show("0", stable=None)
    b.show("500", 0.8, stable=None)
    assert b.commits == []
    b.show("500", 0.6, stable=None)
    assert b.weights == ["500"]
    assert dict(b.commits[0].evidence)["stability"] == "computed"


def test_an_unchanging_value_never_overrules_the_motion_flag():
    b = Bench(mode=Mode.AUTO)
    b.show("0.0")
    b.show("20.0", 60, stable=False)
    assert b.commits == []


@pytest.mark.parametrize(
    ("rearm", "weights", "expected"),
    [
        (RearmRule.ZERO, ["20.0", "9.0", "30.0"], ["20.0"]),
        (RearmRule.DROP, ["20.0", "9.0", "30.0"], ["20.0", "9.0"]),
        (RearmRule.DELTA, ["20.0", "20.4", "30.0"], ["20.0", "30.0"]),
        (RearmRule.MANUAL, ["20.0", "0.0", "30.0"], ["20.0"]),
    ],
)
def test_rearm_rules(rearm, weights, expected):
    b = Bench(mode=Mode.AUTO, rearm=rearm)
    b.show("0.0")
    for weight in weights:
        b.show(weight, 2)
    assert b.weights == expected


def test_unregistered_refuses_until_approved():
    b = Bench(needs_registration=True)
    b.show("0.0")
    b.tap()
    b.show("20.0")
    assert b.told[-1] is Notice.NOT_REGISTERED
    assert b.commits == []
    b.do(b.station.approved(b.now))
    b.show("0.0")
    b.wait(1.5)
    b.show("20.0", 0.5)
    b.tap()
    b.show("20.0")
    assert b.weights == ["20.0"]


def test_the_table_names_every_state_and_every_action():
    assert set(TABLE) == set(State)
    assert {step.do for steps in TABLE.values() for step in steps.values()} == set(Do)
    assert {event for steps in TABLE.values() for event in steps} == set(Event)
    assert set(GUIDANCE) == set(Notice)
    assert {state for state, steps in TABLE.items() for s in steps.values() if s.do is Do.COMMIT} == {State.MEASURING}
    assert [n for n, g in GUIDANCE.items() if g.lamps.green or g.clip == 1] == [Notice.SAVED]


class AnyDay(RuleBasedStateMachine):
    """Whatever happens in whatever order: one load, at most one record; "saved" is said for a record and for nothing else."""

    def __init__(self):
        super().__init__()
        self.bench = Bench()
        self.bench.autocommit = False
        self.confirmed = 0
        self.empty_frames = 0
        self.emptied_since_capture = True
        self.commits_judged = 0

    @rule(
        weight=st.sampled_from(["20.0", "20.1", "35.5"]), seconds=st.sampled_from([0.2, 0.5, 1.0]), stable=st.booleans()
    )
    def load_on(self, weight, seconds, stable):
        self.empty_frames = 0
        self.bench.show(weight, seconds, stable=stable)

    @rule(seconds=st.sampled_from([0.2, 0.8, 1.5]))
    def empty(self, seconds):
        for _ in range(round(seconds * HZ)):
            self.bench.frame("0.0")
            self.empty_frames += 1
            self.emptied_since_capture |= self.empty_frames > HZ / 2

    @rule(uid=st.sampled_from(["CARD0001", "CARD0002"]), known=st.booleans())
    def tap(self, uid, known):
        self.bench.tap(uid, known=known)

    @rule()
    def overload(self):
        self.bench.frame(None, stable=None, status=Status.OVERLOAD)

    @rule(seconds=st.sampled_from([0.5, 3.0, 40.0]))
    def silence(self, seconds):
        self.bench.wait(seconds)

    @rule(up=st.booleans())
    def link(self, up):
        self.bench.do(self.bench.station.link(self.bench.now, up=up))

    @rule(good=st.booleans())
    def store_answers(self, good):
        if self.bench.station.state is State.SAVING:
            before = self.bench.told.count(Notice.SAVED)
            answer = self.bench.station.committed if good else self.bench.station.commit_failed
            self.bench.do(answer(self.bench.now))
            self.confirmed += good
            self.emptied_since_capture = not good and self.emptied_since_capture
            assert self.bench.told.count(Notice.SAVED) - before >= good

    @invariant()
    def saved_never_before_a_commit(self):
        if self.confirmed == 0:
            assert Notice.SAVED not in self.bench.told

    @invariant()
    def commits_carry_a_stable_weight_and_a_card(self):
        for commit in self.bench.commits:
            assert commit.reading.stable is True
            assert commit.card in {"CARD0001", "CARD0002"}

    @invariant()
    def one_record_for_one_load(self):
        """Between a confirmed capture and the next commit the scale was empty for half a second."""
        for _ in self.bench.commits[self.commits_judged :]:
            assert self.emptied_since_capture
        self.commits_judged = len(self.bench.commits)


TestAnyDay = AnyDay.TestCase
TestAnyDay.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
