"""A scenario is pure: the same seed gives the same loads, and every load it promises can be seen in its readings."""

import itertools
import random
from decimal import Decimal

import pytest

from scaleledger.domain.reading import Status
from scaleledger.simulators.scenario import SCENARIOS, Indicator, Platform, Sample, Timeline, play

DIVISION = Decimal("0.5")
INDICATOR = Indicator(DIVISION)


def readings(name, seed, seconds=60, rate_hz=10):
    rng = random.Random(seed)
    timeline = Timeline(play(name, rng, DIVISION, rate_hz), rng)
    return [INDICATOR.show(timeline.at(i / rate_hz)) for i in range(seconds * rate_hz)]


def captures(rows, rate_hz=10):
    """The plainest station: a load counts once when it was flagged stable for 0.3 s within one division, after 0.5 s of zero."""
    found, armed, zeros, run = [], False, 0, []
    for row in rows:
        if row.weight is None:
            run = []
            continue
        zeros = zeros + 1 if abs(row.weight) <= 3 * DIVISION else 0
        armed = armed or zeros > 0.5 * rate_hz
        run = [*run, row.weight] if row.stable and row.weight >= 20 * DIVISION else []
        if armed and len(run) > max(3, 0.3 * rate_hz) and max(run[-4:]) - min(run[-4:]) <= DIVISION:
            found.append(row.weight)
            armed = False
    return found


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_same_seed_plays_the_same_readings(name):
    assert readings(name, 7) == readings(name, 7)
    assert readings(name, 7) != readings(name, 8)


@pytest.mark.parametrize("name", SCENARIOS)
def test_asking_more_often_changes_no_reading(name):
    rng, again = random.Random(3), random.Random(3)
    often, seldom = Timeline(play(name, rng, DIVISION), rng), Timeline(play(name, again, DIVISION), again)
    for i in range(3000):
        sample = often.at(i / 100)
        if i % 10 == 0:
            assert seldom.at(i / 100) == sample


@pytest.mark.parametrize("name", sorted(set(SCENARIOS) - {"creeping", "never-still"}))
@pytest.mark.parametrize("rate_hz", [2, 10, 50])
def test_a_plain_station_captures_each_promised_load_once(name, rate_hz):
    cycles = list(itertools.islice(play(name, random.Random(5), DIVISION, rate_hz), 6))
    timeline = Timeline(itertools.chain(cycles, itertools.repeat(cycles[-1])), random.Random(5))
    end_s = 0.8 + sum(c.duration_s for c in cycles)
    rows = [INDICATOR.show(timeline.at(i / rate_hz)) for i in range(int(end_s * rate_hz))]
    assert captures(rows, rate_hz) == [INDICATOR.round(w) for c in cycles for w in c.weights]


def test_a_load_that_never_rests_is_never_promised_nor_flagged_stable():
    assert not any(c.weights for c in itertools.islice(play("never-still", random.Random(1), DIVISION), 20))
    assert captures(readings("never-still", 1)) == []


def test_the_creeping_load_is_flagged_stable_while_it_creeps():
    weights = [r.weight for r in readings("creeping", 2, rate_hz=20) if r.stable and r.weight > 20]
    steps = {b - a for a, b in itertools.pairwise(weights)}
    assert DIVISION in steps


def test_equal_loads_follow_each_other_with_the_platform_empty_between():
    first, second = itertools.islice(play("equal-loads", random.Random(4), DIVISION), 2)
    assert first.weights == second.weights
    assert first.phases[-1].end == second.phases[0].start == 0


def test_an_indicator_rounds_to_its_division_and_shows_no_weight_in_overload():
    indicator = Indicator(Decimal("0.20"), Decimal(100))
    assert str(indicator.round(Decimal("12.31"))) == "12.40"
    assert str(indicator.round(Decimal("-0.04"))) == "0.00"
    assert str(Indicator(Decimal("0.5")).round(Decimal(200))) == "200.0"
    over = indicator.show(Sample(Decimal(102), moving=True))
    assert (over.weight, over.stable, over.status) == (None, None, Status.OVERLOAD)


def test_after_finish_the_present_load_is_ended_and_the_platform_stays_empty():
    rng = random.Random(1)
    timeline = Timeline(play("bench", rng, DIVISION), rng)
    timeline.at(1.2)
    weights = timeline.cycle.weights
    timeline.finish()
    seen = {timeline.at(1.2 + i / 20).weight for i in range(400)}
    assert timeline.finished
    assert set(weights) <= seen
    assert timeline.at(1e6) == Sample(Decimal(0), moving=False)


def test_a_platform_worked_by_hand_moves_then_rests_at_the_load():
    platform = Platform(settle_s=0.6)
    assert platform.at(0.0) == Sample(Decimal(0), moving=False)
    platform.put(1.0, Decimal("412.5"))
    assert platform.at(1.3).moving
    assert platform.at(1.6) == Sample(Decimal("412.5"), moving=False)
    platform.put(2.0, Decimal(0))
    assert platform.at(2.1).moving
    assert platform.at(3.0).weight == 0
