import asyncio
import itertools
import random

import pytest

from fakes.heard_log import HeardLog
from fakes.virtual_clock import virtual
from scaleledger.app.supervisor import HEALTHY_S, RESTART_S, Supervisor


class Longest(random.Random):
    def uniform(self, a, b):
        return b


@pytest.fixture
def heard(monkeypatch):
    log = HeardLog()
    monkeypatch.setattr("scaleledger.app.supervisor.log", log)
    return log


class Crew:
    """A supervisor at work with parts that write down when they begin and end."""

    def __init__(self):
        self.supervisor = Supervisor(Longest())
        self.stop = asyncio.Event()
        self.diary = []

    def add(self, name, work):
        part = self.supervisor.part(name)

        async def run():
            self.diary.append((name, "begins", asyncio.get_running_loop().time()))
            try:
                await work()
            finally:
                self.diary.append((name, "ends", asyncio.get_running_loop().time()))

        self.supervisor.add(part, run)
        return part

    def begins(self, name):
        return [at for who, what, at in self.diary if (who, what) == (name, "begins")]

    async def __aenter__(self):
        self.work = asyncio.create_task(self.supervisor.run(self.stop))
        return self

    async def __aexit__(self, *error):
        self.stop.set()
        await self.work


async def for_ever():
    await asyncio.Event().wait()


async def fail():
    raise ZeroDivisionError("our own mistake")


@virtual
async def test_a_failing_part_is_restarted_ever_more_slowly_and_the_others_go_on(heard):
    crew = Crew()
    part = crew.add("failing", fail)
    crew.add("sound", for_ever)
    async with crew:
        await asyncio.sleep(60)
    begins = crew.begins("failing")
    gaps = [round(b - a, 6) for a, b in itertools.pairwise(begins)]
    assert gaps[:7] == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, RESTART_S[1]]
    assert set(gaps[7:]) == {RESTART_S[1]}
    assert len(crew.begins("sound")) == 1
    assert part.restarts == len(begins)
    assert len(heard.of("sys.part_failed")) == len(begins)


@virtual
async def test_a_part_that_worked_for_long_is_restarted_quickly_again(heard):
    crew = Crew()

    async def work():
        if len(crew.begins("part")) > 8:
            await asyncio.sleep(HEALTHY_S + 1)
        raise ZeroDivisionError

    crew.add("part", work)
    async with crew:
        await asyncio.sleep(60 + 4 * (HEALTHY_S + 2))
    *_, last_but_one, last = crew.begins("part")
    assert last - last_but_one == pytest.approx(HEALTHY_S + 1 + RESTART_S[0])


@virtual
async def test_a_guarded_callback_that_fails_restarts_its_part_and_never_reaches_the_caller(heard):
    crew = Crew()
    part = crew.add("part", for_ever)
    other = crew.add("other", for_ever)
    async with crew:
        await asyncio.sleep(1)
        assert part.guard(lambda a, b: a + b)(1, 2) == 3
        assert part.guard(lambda: 1 / 0)() is None
        assert part.guard(lambda: 1 / 0)() is None
        await asyncio.sleep(1)
        assert (part.restarts, other.restarts) == (1, 0)
        assert len(crew.begins("part")) == 2
        assert part.guard(lambda: 1 / 0)() is None
        await asyncio.sleep(1)
        assert len(crew.begins("part")) == 3
    assert part.guard(lambda: 1 / 0)() is None
    assert set(heard.events) == {"sys.part_failed"}
    assert len(heard.events) == 4, "each mistake once"


@virtual
async def test_what_fails_before_the_part_runs_is_logged(heard):
    assert Supervisor(random.Random(1)).part("early").guard(lambda: 1 / 0)() is None
    assert heard.lines == [("sys.part_failed", {"part": "early"})]


@virtual
async def test_parts_stop_in_the_reverse_of_their_order_each_after_the_one_before_has_ended():
    crew = Crew()

    async def lingers():
        try:
            await for_ever()
        finally:
            await asyncio.sleep(2)

    for name in ("store", "station", "uplink"):
        crew.add(name, lingers)
    async with crew:
        await asyncio.sleep(5)
    assert [line for line in crew.diary if line[1] == "ends"] == [
        ("uplink", "ends", 7),
        ("station", "ends", 9),
        ("store", "ends", 11),
    ]


@virtual
async def test_a_part_that_ends_by_itself_is_not_restarted():
    crew = Crew()
    part = crew.add("once", lambda: asyncio.sleep(3))
    async with crew:
        await asyncio.sleep(100)
    assert (len(crew.diary), part.restarts) == (2, 0)


@virtual
async def test_a_mistake_made_while_stopping_is_not_raised(heard):
    crew = Crew()

    async def falls_over_at_the_end():
        try:
            await for_ever()
        finally:
            raise ZeroDivisionError

    crew.add("first", for_ever)
    crew.add("second", falls_over_at_the_end)
    async with crew:
        await asyncio.sleep(1)
    assert [name for name, what, _ in crew.diary if what == "ends"] == ["second", "first"]
    assert heard.of("sys.part_failed")[0]["part"] == "second"


@virtual
async def test_cancelling_the_supervisor_ends_every_part_and_leaves_no_task():
    crew = Crew()
    crew.add("first", for_ever)
    crew.add("waiting to be restarted", fail)
    async with crew:
        await asyncio.sleep(5)
        crew.work.cancel()
        await asyncio.wait({crew.work})
        assert crew.work.cancelled()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        crew.work = asyncio.create_task(asyncio.sleep(0))


@virtual
async def test_a_part_whose_work_was_cancelled_from_within_is_restarted_and_that_is_said(heard):
    crew = Crew()

    async def cancels_itself():
        if len(crew.begins("part")) == 1:
            raise asyncio.CancelledError
        await for_ever()

    part = crew.add("part", cancels_itself)
    async with crew:
        await asyncio.sleep(1)
        assert (part.restarts, len(crew.begins("part"))) == (1, 2)
    assert heard.events == ["sys.part_failed"]


@virtual
async def test_a_part_added_while_the_others_run_begins_at_once_and_is_ended_first():
    crew = Crew()
    crew.add("first", for_ever)
    async with crew:
        await asyncio.sleep(5)
        crew.add("late", for_ever)
        await asyncio.sleep(5)
        assert crew.begins("late") == [5]
    assert [name for name, what, _ in crew.diary if what == "ends"] == ["late", "first"]


@virtual
async def test_a_removed_part_has_ended_in_its_own_order_when_the_removal_returns_and_the_others_go_on():
    crew = Crew()

    async def lingers():
        try:
            await for_ever()
        finally:
            await asyncio.sleep(2)

    part = crew.add("going", lingers)
    crew.add("staying", for_ever)
    async with crew:
        await asyncio.sleep(1)
        await crew.supervisor.remove(part)
        assert crew.diary[-1] == ("going", "ends", 3)
        await crew.supervisor.remove(part)
        await asyncio.sleep(100)
        assert len(crew.begins("going")) == 1
        assert [name for name, what, _ in crew.diary if what == "ends"] == ["going"]


@virtual
async def test_a_part_that_is_being_removed_when_all_stop_is_let_end_in_its_order():
    crew = Crew()

    async def lingers():
        try:
            await for_ever()
        finally:
            await asyncio.sleep(2)

    part = crew.add("going", lingers)
    async with crew:
        await asyncio.sleep(1)
        removal = asyncio.create_task(crew.supervisor.remove(part))
        await asyncio.sleep(1)
        removal.cancel()
        await asyncio.wait({removal})
    assert crew.diary[-1] == ("going", "ends", 3)


@virtual
async def test_a_part_waiting_to_be_restarted_can_be_removed(heard):
    crew = Crew()
    part = crew.add("failing", fail)
    async with crew:
        await asyncio.sleep(20)
        await crew.supervisor.remove(part)
        count = len(crew.diary)
        await asyncio.sleep(100)
        assert len(crew.diary) == count
