"""A working day of the whole gateway in virtual time, with faults from the seed at every boundary.

Three books must agree at the end of it: what people were told, what is durable, and what the centre holds.
"""

from collections import Counter

import pytest
import structlog

from fakes.virtual_plant import CALM, STORMY, Plant
from fakes.virtual_time import run_virtually
from scaleledger.simulators import porter

BOUNDARIES = {
    "kill",
    "kill before commit",
    "kill after commit",
    "kill after answer",
    "failed commit",
    "slow commit",
    "lost reply",
    "error 500",
    "link flap",
    "token revoked",
    "centre away",
}


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """A day is a hundred thousand log lines; and a porter who looks up six times a second instead of 25."""
    monkeypatch.setattr(porter, "LOOK_S", 0.16)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    yield
    structlog.reset_defaults()


async def play(seed, hours, risks, rate_hz=1.0, *, proved=True):
    plant = Plant(seed, risks, proved=proved)
    faults = ("late-replies", "lost-replies") if risks is not CALM else ()
    await plant.add_dock("dock-1", *faults)
    await plant.add_talker("line-1", "fg-150kal", "flap", rate_hz=rate_hz)
    await plant.add_talker("gate-1", "st-gs-comma", rate_hz=rate_hz, with_reader=True)
    await plant.run(hours)
    return plant


def key(line):
    return line["station"], line["card"], line["weight"]


def assert_books_agree(plant):
    plant.disk.prove()
    kept_uuids = {r.uuid for r in plant.disk.records}
    assert set(plant.books.held) == kept_uuids, "the centre holds what is durable, and nothing else"
    assert set(plant.books.created.values()) == {1}, "each record once"
    assert not plant.disk.quarantined
    assert {r.uuid for r in plant.said} <= kept_uuids, "told saved, not kept"
    if plant.proved:
        receipt, newest = plant.disk.receipt, plant.disk.records[-1]
        assert (receipt.upto_seq, receipt.hash) == (newest.seq, newest.hash), "the centre's word for all of it"
    lines = plant.journal.lines
    kept = Counter((r.station, r.card, str(r.weight)) for r in plant.disk.records)
    told = Counter(key(line) for line in lines if line.get("told") == "saved")
    shown = Counter(key(line) for line in lines)
    refused = Counter(key(line) for line in lines if line.get("told") == "refused")
    assert not told - kept, f"told saved, not kept: {told - kept}"
    assert not kept - shown, f"kept twice, or never shown: {kept - shown}"
    assert not refused - (shown - kept), f"told refused, but kept: {refused - (shown - kept)}"
    assert plant.restarts == 0, "faults of the world are no mistakes of ours"


def say(plant, hours):
    totals = plant.journal.totals()
    print(f"\nseed {plant.seed}: {hours} simulated hours, {plant.lives} lives of the gateway,")
    print(f"{len(plant.disk.records)} weighings kept, {len(plant.books.held)} at the centre; loads shown: {totals}")
    print("faults:", ", ".join(f"{count} × {name}" for name, count in sorted(plant.faults.items())))


@pytest.mark.parametrize("hours", [3, pytest.param(8, marks=pytest.mark.nightly)])
def test_a_stormy_day_loses_nothing_and_doubles_nothing(hours):
    plant = run_virtually(play(1, hours, STORMY))
    say(plant, hours)
    assert_books_agree(plant)
    assert set(plant.faults) >= BOUNDARIES, "the day was too kind to prove anything"
    assert plant.books.tokens > plant.faults["token revoked"] + hours, "too few tokens came to their end"
    assert plant.books.met_its_end > 0, "no token ended while the centre was away"
    assert plant.journal.counts["dock-1"].saved >= 250 * hours // 8
    sure = sum(tally.emitted for name, tally in plant.journal.counts.items() if name != "dock-1")
    assert len(plant.disk.records) >= 0.95 * sure, "the line stopped for something"


@pytest.mark.parametrize("proved", [True, False], ids=["proved", "plain"])
def test_in_calm_weather_every_load_is_kept_and_every_box_is_told(proved):
    plant = run_virtually(play(2, 0.2, CALM, rate_hz=10.0, proved=proved))
    assert_books_agree(plant)
    counts = plant.journal.counts
    assert counts["dock-1"].saved == counts["dock-1"].emitted >= 8
    kept = Counter(r.station for r in plant.disk.records)
    for name in ("line-1", "gate-1"):
        assert counts[name].emitted <= kept[name] <= counts[name].emitted + counts[name].doubtful
    assert (plant.lives, plant.faults) == (1, Counter())


def test_the_same_seed_brings_the_same_books_to_the_centre():
    days = [run_virtually(play(seed, 0.4, STORMY)) for seed in (3, 3, 4)]
    first, again, other = (plant.digest() for plant in days)
    assert first == again
    assert first != other
    assert days[0].faults == days[1].faults


@pytest.mark.nightly
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(100, 130))
def test_thirty_more_stormy_days(seed):
    plant = run_virtually(play(seed, 8, STORMY))
    say(plant, 8)
    assert_books_agree(plant)
