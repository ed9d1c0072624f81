"""What talkers send is read by the real drivers as the scenario's weights, and their journal promises only what was shown."""

import asyncio
import itertools
import random
from decimal import Decimal

import pytest

from fakes.virtual_port import VirtualPort
from fakes.virtual_time import run_virtually
from scaleledger.domain.inputs import CardSeen
from scaleledger.domain.reading import Reading, Status
from scaleledger.drivers import open_driver
from scaleledger.simulators.journal import Journal
from scaleledger.simulators.rfid import TagReader
from scaleledger.simulators.scenario import SCENARIOS, Indicator
from scaleledger.simulators.talker import Manner, Talker, Wheel
from scaleledger.simulators.yard import TALKERS, encoder, frame_of_card, speakable

DIVISION = Decimal("0.5")


def talk(driver, seconds, *, scenario="bench", rate_hz=10.0, pieces=1, at=(), finish=True, cards=()):
    """A talker heard in virtual time. `at`: (time, call(port)) pairs. Returns the facts with times, the cards and the journal."""

    async def main():
        loop = asyncio.get_running_loop()
        journal, heard, read = Journal(), [], []
        port = VirtualPort(lambda data: heard.append((loop.time(), data)))
        encode = encoder(driver)
        manner = Manner(rate_hz, scenario, speakable(Indicator(DIVISION), encode), pieces)
        reader = TagReader("reader", VirtualPort(read.append), frame_of_card, journal=journal) if cards else None
        if reader:
            await reader.start()
        talker = Talker("t", port, encode, manner, journal=journal, rng=random.Random(1), reader=reader, cards=cards)
        wheel = Wheel()
        await talker.start(wheel)
        running = asyncio.create_task(wheel.run())
        for when, call in at:
            await asyncio.sleep(when - loop.time())
            call(port)
        await asyncio.sleep(seconds - loop.time())
        if finish:
            talker.finish()
            await talker.idle.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await talker.close()
        if reader:
            await reader.close()
        listener = open_driver(driver)
        facts = [(now, fact) for now, data in heard for fact in listener.receive(now, data)]
        assert pieces > 1 or listener.finish() == []
        return facts, read, journal

    return run_virtually(main())


def shown(facts):
    """The weights of loads that stood still for half a second between two empty platforms, first hold only."""
    loads, since, done = [], None, False
    for now, reading in facts:
        if reading.weight is not None and abs(reading.weight) <= 3 * DIVISION:
            since, done = None, False
        elif not reading.stable:
            since = None
        else:
            since = (now, reading.weight) if since is None or since[1] != reading.weight else since
            if not done and now - since[0] >= 0.5:
                loads.append(str(reading.weight))
                done = True
    return loads


@pytest.mark.parametrize("driver", TALKERS)
@pytest.mark.parametrize("scenario", sorted(set(SCENARIOS) - {"flap"}))
def test_every_promised_load_is_read_by_the_real_driver_and_nothing_else_is(driver, scenario):
    facts, _, journal = talk(driver, 40, scenario=scenario)
    assert all(isinstance(fact, Reading) for _, fact in facts)
    assert shown(facts) == [line["weight"] for line in journal.lines]
    assert {line["event"] for line in journal.lines} <= {"emitted"}
    assert bool(journal.lines) == (scenario != "never-still")


@pytest.mark.parametrize("driver", TALKERS)
def test_overload_is_shown_without_a_weight(driver):
    facts, _, _ = talk(driver, 20, scenario="overload")
    assert Status.OVERLOAD in {reading.status for _, reading in facts}


@pytest.mark.parametrize("rate_hz", [1, 10, 50])
def test_the_rate_is_kept(rate_hz):
    facts, _, _ = talk("st-gs-comma", 20, rate_hz=rate_hz, finish=False)
    assert abs(len(facts) - 20 * rate_hz) <= rate_hz


def test_a_line_in_pieces_is_the_same_line():
    whole, _, _ = talk("st-gs-comma", 20)
    pieces, _, journal = talk("st-gs-comma", 20, pieces=3)
    assert [fact for _, fact in pieces] == [fact for _, fact in whole][: len(pieces)]
    assert len(whole) - len(pieces) <= 1
    assert journal.counts["t"].emitted >= 3


def test_the_link_drops_with_the_load_on_and_the_load_is_promised_once():
    facts, _, journal = talk("fg-150kal", 40, scenario="flap")
    gaps = [b - a for (a, _), (b, _) in itertools.pairwise(facts) if b - a > 0.3]
    assert len(gaps) == journal.counts["t"].emitted > 3
    assert journal.counts["t"].doubtful == 0


@pytest.mark.parametrize("when", [0.5, 1.9], ids=["shortly before the load", "with the load on"])
def test_a_load_over_a_link_that_came_meanwhile_is_doubtful(when):
    def flap(port):
        port.unplug()
        port.plug()

    _, _, journal = talk("st-gs-comma", 20, at=[(when, flap)])
    assert [line["event"] for line in list(journal.lines)[:3]] == ["doubtful", "emitted", "emitted"]


def test_a_load_nobody_could_hear_is_not_written_down():
    _, _, journal = talk("st-gs-comma", 20, at=[(0.1, VirtualPort.unplug)])
    assert not journal.lines


def test_a_load_on_at_a_sudden_end_is_doubtful():
    _, _, journal = talk("st-gs-comma", 2.0, finish=False)
    assert [line["event"] for line in journal.lines] == ["doubtful"]


def test_each_load_comes_with_a_card_read_several_times():
    cards = ("62E3086CED", "0000000001")
    _, read, journal = talk("st-gs-comma", 20, cards=cards)
    reader = open_driver("rfid-em4100")
    seen = [fact.uid for data in read for fact in reader.receive(0.0, data) if isinstance(fact, CardSeen)]
    assert [uid for uid, _ in itertools.groupby(seen)] == [line["card"] for line in journal.lines]
    assert len(seen) >= 3 * len(journal.lines)


def test_a_wheel_that_was_held_up_goes_on_without_a_burst():
    async def main():
        loop, calls = asyncio.get_running_loop(), []

        def call(now):
            calls.append(now)
            if len(calls) == 5:
                loop._clock.now += 3.0

        wheel = Wheel()
        wheel.add(0.0, 0.02, call)
        running = asyncio.create_task(wheel.run())
        await asyncio.sleep(3.5)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return calls

    calls = run_virtually(main())
    assert len(calls) < 40
    assert calls[-1] > 3.4


def test_many_talkers_wake_the_loop_once_per_tick():
    async def main():
        journal, wheel, wakes = Journal(), Wheel(), []
        encode = encoder("st-gs-comma")
        lines = []
        for i in range(64):
            port = VirtualPort(lines.append)
            await Talker(f"t{i}", port, encode, Manner(50.0), journal=journal, rng=random.Random(i)).start(wheel)
        wheel.add(0.0, 0.000001, wakes.append)
        running = asyncio.create_task(wheel.run())
        await asyncio.sleep(2)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return len(lines), len(set(wakes))

    lines, wakes = run_virtually(main())
    assert 64 * 50 * 1.9 < lines < 64 * 50 * 2.1
    assert wakes <= 2 / 0.01 + 1
