"""The porter's journal is an oracle: it says "saved" only of what is in the ledger, whatever fails meanwhile."""

import asyncio
import itertools
import json
import random
from collections import Counter
from decimal import Decimal

import pytest

from fakes.plain_gateway import (
    BuzzesAtStart,
    CapturesByItself,
    DiesAfterCommit,
    GreenAtStart,
    OnlyPolls,
    PlainGateway,
    SavesSilently,
    SpeaksOnly,
)
from fakes.virtual_port import VirtualLine
from fakes.virtual_time import run_virtually
from scaleledger.drivers import open_driver
from scaleledger.simulators.faults import FAULTS, SOUND, combine
from scaleledger.simulators.journal import Journal
from scaleledger.simulators.porter import Porter
from scaleledger.simulators.scenario import Indicator
from scaleledger.simulators.script import boxes, carry
from scaleledger.simulators.suwol1000 import SuwolStation
from scaleledger.simulators.suwol_device import SuwolDevice

CARDS = ("A1B2C3D4", "00000042", "0000BEEF")
DIVISION = Decimal("0.5")


async def work(gateway, load, *, faults=SOUND, seed=1, journal=None, then=None, pace=1.0):
    """Carry the boxes of `load` against a gateway; `then(line, station)` runs beside it. Returns journal and station."""
    journal = journal or Journal()
    device = SuwolDevice(Indicator(DIVISION), random.Random(seed), faults=faults)
    line = VirtualLine(gateway)
    station = SuwolStation("dock", line.port, device, journal=journal, pace=pace)
    clock = asyncio.get_running_loop().time
    await station.start(Porter("dock", device, iter(load), journal=journal, clock=clock))
    running = asyncio.create_task(line.run())
    beside = asyncio.create_task(then(line, station)) if then else None
    await station.wait_done()
    for task in filter(None, (running, beside)):
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await station.close()
    return journal, station


def gateway(kind=PlainGateway, ledger=None, **options):
    return kind(open_driver("suwol-1000"), [] if ledger is None else ledger, **options)


def random_load(count, seed=1, **options):
    return list(itertools.islice(boxes(random.Random(seed), CARDS, DIVISION, **options), count))


def told(journal, word):
    return [(line["card"], line["weight"]) for line in journal.lines if line["told"] == word]


def test_on_a_sound_line_every_box_is_told_saved_and_is_in_the_ledger_in_order():
    ledger = []
    journal, _ = run_virtually(work(gateway(ledger=ledger), random_load(20)))
    assert told(journal, "saved") == ledger
    assert journal.counts["dock"].emitted == len(ledger) == 20
    assert {line["taps"] for line in journal.lines} == {1}


def test_the_same_seed_writes_the_same_journal():
    def lines():
        journal, _ = run_virtually(work(gateway(), random_load(5, seed=9), faults=combine("late-replies"), seed=9))
        return [{k: v for k, v in line.items() if k != "at"} for line in journal.lines]

    assert lines() == lines()


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("seed", [1, 2])
def test_with_failing_hardware_what_was_told_saved_is_in_the_ledger_once(fault, seed):
    ledger = []
    journal, _ = run_virtually(work(gateway(ledger=ledger), random_load(15, seed), faults=combine(fault), seed=seed))
    assert journal.counts["dock"].saved >= 10
    assert not Counter(told(journal, "saved")) - Counter(ledger)
    assert Counter(ledger).most_common(1)[0][1] == 1


def test_a_gateway_killed_after_the_commit_is_asked_again_with_the_same_card_and_load():
    ledger = []

    async def restart(line, _):
        while line.gateway.alive:
            await asyncio.sleep(0.1)
        await asyncio.sleep(5)
        line.gateway = gateway(ledger=ledger)

    journal, _ = run_virtually(work(gateway(DiesAfterCommit, ledger), random_load(5), then=restart))
    assert told(journal, "saved") == ledger
    assert len(ledger) == 5
    assert [line["taps"] for line in journal.lines] == [1, 1, 2, 1, 1]


def test_a_box_nobody_speaks_of_is_unknown_after_all_taps():
    ledger = []
    load = [carry("A1B2C3D4", Decimal(100), patience_s=3, tries=3)]
    journal, station = run_virtually(work(gateway(SavesSilently, ledger), load))
    [line] = journal.lines
    assert (line["told"], line["taps"]) == ("unknown", 3)
    assert station.device.hands == 3
    assert len(ledger) == 1


def test_an_unknown_card_is_refused_and_not_tapped_again():
    ledger = []
    load = [carry("A1B2C3D4", Decimal(100)), carry("00000042", Decimal(200))]
    journal, _ = run_virtually(work(gateway(ledger=ledger, unknown={"A1B2C3D4"}), load))
    assert [(line["told"], line["taps"]) for line in journal.lines] == [("refused", 1), ("saved", 1)]
    assert ledger == [("00000042", "200.0")]


def test_a_lamp_left_lit_by_the_box_before_does_not_speak_of_the_next():
    class KeepsGreen(PlainGateway):
        """Never puts the green lamp out, and saves nothing more after the first box."""

        def take(self, fact):
            if len(self.ledger) < 1:
                super().take(fact)

    ledger = []
    load = [carry("A1B2C3D4", Decimal(100)), carry("00000042", Decimal(200), patience_s=3, tries=2)]
    journal, _ = run_virtually(work(gateway(KeepsGreen, ledger), load))
    assert [line["told"] for line in journal.lines] == ["saved", "unknown"]


def test_after_a_cut_only_signs_that_follow_a_new_tap_speak_of_the_box():
    ledger = []

    async def cut(line, station):
        while not station.device.hands:
            await asyncio.sleep(0.01)
        line.port.set_up(up=False)
        line.gateway = gateway(BuzzesAtStart, ledger)
        await asyncio.sleep(2)
        line.port.set_up(up=True)

    async def main():
        load = [carry("A1B2C3D4", Decimal(100), patience_s=60, tries=2)]
        journal, _ = await work(gateway(), load, then=cut)
        return journal, asyncio.get_running_loop().time()

    journal, ended = run_virtually(main())
    [line] = journal.lines
    assert (line["told"], line["taps"]) == ("saved", 2)
    assert ledger == [("A1B2C3D4", "100.0")]
    assert ended < 30


def test_a_clip_alone_tells_as_well():
    ledger = []
    journal, _ = run_virtually(work(gateway(SpeaksOnly, ledger), random_load(3)))
    assert told(journal, "saved") == ledger
    assert len(ledger) == 3


def test_without_cards_a_sign_in_the_same_conversation_tells():
    ledger = []
    load = [carry("", Decimal(100)), carry("", Decimal(200))]
    journal, _ = run_virtually(work(gateway(CapturesByItself, ledger), load))
    assert [line["weight"] for line in journal.lines if line["told"] == "saved"] == [weight for _, weight in ledger]
    assert len(ledger) == 2


def test_without_cards_a_sign_after_a_cut_tells_nothing():
    async def cut(line, station):
        while not station.device.platform.at(asyncio.get_running_loop().time()).weight:
            await asyncio.sleep(0.1)
        line.port.set_up(up=False)
        line.gateway = gateway(GreenAtStart)
        await asyncio.sleep(1)
        line.port.set_up(up=True)

    journal, station = run_virtually(work(gateway(OnlyPolls), [carry("", Decimal(100), patience_s=5)], then=cut))
    assert [line["told"] for line in journal.lines] == ["unknown"]
    assert station.device.signs_given


def test_with_a_dead_speaker_the_lamp_alone_tells():
    ledger = []
    journal, _ = run_virtually(work(gateway(ledger=ledger), random_load(3), faults=combine("dead-speaker")))
    assert told(journal, "saved") == ledger
    assert len(ledger) == 3


def test_the_journal_file_holds_every_line(tmp_path):
    path = tmp_path / "journal.jsonl"
    journal, _ = run_virtually(work(gateway(), random_load(3), journal=Journal(path)))
    rows = [json.loads(row) for row in path.read_text().splitlines()]
    journal.close()
    assert rows == list(journal.lines)
    assert {"event", "station", "n", "card", "weight", "told", "taps", "at"} == set(rows[0])


def test_finish_ends_the_present_box_and_no_more():
    async def main():
        journal = Journal()
        device = SuwolDevice(Indicator(DIVISION), random.Random(1))
        line = VirtualLine(gateway())
        station = SuwolStation("dock", line.port, device, journal=journal)
        endless = boxes(random.Random(1), CARDS, DIVISION)
        await station.start(Porter("dock", device, endless, journal=journal, clock=asyncio.get_running_loop().time))
        running = asyncio.create_task(line.run())
        await asyncio.sleep(6)
        begun = len(journal.lines)
        await station.finish()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await station.close()
        return begun, journal

    begun, journal = run_virtually(main())
    assert begun >= 1
    assert len(journal.lines) == begun + 1
    assert journal.lines[-1]["told"] == "saved"
