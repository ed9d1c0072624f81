"""A simulated DP-401 tells what a real one tells, and its journal says "saved" only of what was surely kept."""

import asyncio
import itertools
import random
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from fakes.virtual_port import VirtualPort
from fakes.virtual_time import run_virtually
from scaleledger.domain.commands import Acknowledge
from scaleledger.domain.inputs import AckAsked, FinishedWeighing, Heartbeat, Registration
from scaleledger.drivers import open_driver
from scaleledger.simulators.dp401 import PRODUCTS, Cut, Exchange, LabelManner, LabelScale, cuts
from scaleledger.simulators.journal import Journal

MEAT = PRODUCTS[1]
NOON = datetime(2026, 1, 30, 12, 0, 0, tzinfo=UTC)
ANSWER_AFTER_S = 0.05


class KeepsAll:
    """The gateway's end: keeps every weighing once, and answers what asks for it."""

    def __init__(self):
        self.port = VirtualPort(self._heard)
        self.driver = open_driver("dp401-csv", unit="g")
        self.facts = []
        self.kept = []

    def _heard(self, data):
        for fact in self.driver.receive(0.0, data):
            self.facts.append(fact)
            if isinstance(fact, FinishedWeighing | AckAsked):
                self.judge(fact)

    def keep(self, event):
        content = event.raw.removeprefix(dict(event.fields)["prefix"].encode())
        if content not in self.kept:
            self.kept.append(content)

    def judge(self, fact):
        if isinstance(fact, FinishedWeighing):
            self.keep(fact)
        self.answer(ANSWER_AFTER_S)

    def answer(self, after_s):
        self.driver.ask(Acknowledge())
        asyncio.get_running_loop().call_later(after_s, self.port.to_device, self.driver.to_send())

    def told(self, kind):
        return [fact for fact in self.facts if isinstance(fact, kind)]


class SaysNothing(KeepsAll):
    def answer(self, after_s):
        pass


class LosesTheFirstLink(KeepsAll):
    """Keeps the first weighing, and the line is cut before it can say so."""

    def answer(self, after_s):
        if len(self.told(Registration)) > 1:
            super().answer(after_s)
        elif self.port.up:
            asyncio.get_running_loop().call_later(0, self._flap)

    def _flap(self):
        self.port.unplug()
        self.port.plug()


class FullAfterOne(KeepsAll):
    """Keeps one weighing and is slow with its further answers to it; other weighings are neither kept nor answered."""

    def judge(self, fact):
        if isinstance(fact, FinishedWeighing) and not self.kept:
            self.keep(fact)
            self.answer(ANSWER_AFTER_S)
        elif self.told(FinishedWeighing)[-1].net == self.told(FinishedWeighing)[0].net:
            self.answer(1.0)


def play(gateway, work, manner=None):
    """Run `work(scale)` in virtual time; returns the scale and its journal."""

    async def main():
        journal = Journal()
        scale = LabelScale("cutter", gateway.port, manner, journal=journal, clock=lambda: NOON)
        await scale.start()
        result = await work(scale)
        await scale.close()
        return result, journal

    return run_virtually(main())


def told(journal):
    return [(line["weight"], line["told"], line["taps"]) for line in journal.lines]


def test_it_names_itself_at_once_and_says_that_it_lives():
    gateway = KeepsAll()
    play(gateway, lambda scale: asyncio.sleep(95), LabelManner(device="SCALE-07"))
    assert gateway.facts == [Registration("SCALE-07"), Heartbeat(), Heartbeat(), Heartbeat()]


def test_a_cut_is_told_asked_for_and_told_again_as_a_copy():
    gateway = KeepsAll()
    saved, journal = play(gateway, lambda scale: scale.cut(MEAT, Decimal(985), Decimal(15)))
    assert saved
    assert told(journal) == [("985", "saved", 1)]
    _, event, asked, copy = gateway.facts
    assert (event.gross, event.tare, event.net, asked) == (1000, 15, 985, AckAsked())
    assert dict(event.fields) | {"prefix": 'P"'} == dict(copy.fields)
    assert dict(event.fields)["product"] == "KUŞBAŞI"
    assert len(gateway.kept) == 1


def test_plainly_told_it_is_the_line_alone():
    gateway = KeepsAll()
    saved, _ = play(gateway, lambda scale: scale.cut(MEAT, Decimal(985)), LabelManner(exchange=Exchange.PLAIN))
    assert saved
    assert [type(fact) for fact in gateway.facts] == [Registration, FinishedWeighing]


def test_without_an_answer_the_same_line_is_repeated_and_the_end_is_unknown_on_a_new_link():
    gateway = SaysNothing()
    saved, journal = play(gateway, lambda scale: scale.cut(MEAT, Decimal(985)), LabelManner(tries=3))
    assert not saved
    assert told(journal) == [("985", "unknown", 3)]
    assert len({event.raw for event in gateway.told(FinishedWeighing)}) == len(gateway.kept) == 1
    assert len(gateway.told(FinishedWeighing)) == 3
    assert len(gateway.told(Registration)) == 2


def test_an_answer_lost_with_its_link_is_asked_for_on_the_next_one_with_the_same_line():
    gateway = LosesTheFirstLink()
    saved, journal = play(gateway, lambda scale: scale.cut(MEAT, Decimal(985)))
    assert saved
    assert told(journal) == [("985", "saved", 2)]
    assert len(gateway.kept) == 1


def test_a_late_answer_to_one_cut_is_not_taken_for_the_next():
    async def work(scale):
        return [await scale.cut(MEAT, Decimal(100)), await scale.cut(MEAT, Decimal(200))]

    gateway = FullAfterOne()
    saved, journal = play(gateway, work, LabelManner(tries=1))
    assert saved == [True, False]
    assert [line["told"] for line in journal.lines] == ["saved", "unknown"]
    assert len(gateway.kept) == 1


def test_two_equal_cuts_within_a_second_are_two_lines():
    async def work(scale):
        return [await scale.cut(MEAT, Decimal(985)), await scale.cut(MEAT, Decimal(985))]

    gateway = KeepsAll()
    assert play(gateway, work)[0] == [True, True]
    assert len(gateway.kept) == 2


def test_a_scale_without_a_link_tries_and_gives_up():
    gateway = KeepsAll()

    async def work(scale):
        scale.port.unplug()
        return await scale.cut(MEAT, Decimal(985))

    saved, journal = play(gateway, work)
    assert not saved
    assert told(journal) == [("985", "unknown", 5)]
    assert gateway.kept == []


def test_decimals_and_code_page_are_the_scale_s_own():
    gateway = KeepsAll()
    gateway.driver = open_driver("dp401-csv", unit="kg", decimals=3, codepage="utf-8")
    play(gateway, lambda scale: scale.cut(MEAT, Decimal("1.250")), LabelManner(decimals=3, codepage="utf-8"))
    event = gateway.told(FinishedWeighing)[0]
    assert (str(event.net), dict(event.fields)["product"]) == ("1.250", "KUŞBAŞI")


@pytest.mark.parametrize("net", [Decimal("1.5"), Decimal(10) ** 20])
def test_a_weight_that_a_line_cannot_say_is_refused_before_anything_is_sent(net):
    gateway = KeepsAll()

    async def work(scale):
        with pytest.raises(ValueError):
            await scale.cut(MEAT, net)

    _, journal = play(gateway, work)
    assert not journal.lines
    assert gateway.told(FinishedWeighing) == []


def test_scripted_cuts_are_all_made_and_each_is_kept_once():
    async def main():
        gateway, journal = KeepsAll(), Journal()
        scale = LabelScale("cutter", gateway.port, journal=journal)
        await scale.start(cuts(random.Random(3)), limit=40)
        await scale.wait_done()
        await scale.close()
        return gateway, journal

    gateway, journal = run_virtually(main())
    assert journal.counts["cutter"].saved == len(gateway.kept) == 40


def test_whoever_works_at_the_scale_ends_the_present_cut_and_no_more():
    async def main():
        gateway, journal = KeepsAll(), Journal()
        scale = LabelScale("cutter", gateway.port, journal=journal)
        await scale.start(cuts(random.Random(3)))
        await asyncio.sleep(5)
        await scale.finish()
        await scale.close()
        return gateway, journal

    gateway, journal = run_virtually(main())
    assert journal.counts["cutter"].saved == journal.counts["cutter"].emitted == len(gateway.kept) > 3


def test_the_same_seed_plays_the_same_cuts_and_some_weigh_the_same_in_a_row():
    one, two = (list(itertools.islice(cuts(random.Random(5)), 100)) for _ in range(2))
    assert one == two
    assert all(isinstance(cut, Cut) for cut in one)
    assert any(a == b for a, b in itertools.pairwise(one))
