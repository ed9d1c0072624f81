"""What must not happen to an event: dropped, doubled, or acknowledged without being kept."""

import asyncio
import sqlite3
from contextlib import closing

from fakes.scale_hall import ASK, hall, line
from scaleledger.domain.errors import LedgerError, StoreError, StoreFull


class RefusesFirst:
    """The first `times` offers are refused, as by a locked or full disk."""

    def __init__(self, ledger, times, error):
        self._ledger, self._times, self._error = ledger, times, error

    async def append(self, draft):
        if self._times:
            self._times -= 1
            raise self._error
        return await self._ledger.append(draft)


class Stuck:
    """Offers wait until they are let through."""

    def __init__(self, ledger):
        self._ledger, self.open = ledger, asyncio.Event()

    async def append(self, draft):
        await self.open.wait()
        return await self._ledger.append(draft)


class LosesAnswers:
    """The record is kept, and whoever asked is told that it was not."""

    def __init__(self, ledger, times):
        self._ledger, self._times = ledger, times

    async def append(self, draft):
        record = await self._ledger.append(draft)
        if self._times:
            self._times -= 1
            raise StoreError("whether it was kept is not known")
        return record


async def test_an_event_that_the_disk_refused_is_not_acknowledged_until_it_is_kept(tmp_path):
    """Fault 1: known by its name before it was stored, the repeat was acknowledged with nothing kept."""
    async with hall(tmp_path / "data", ledger=lambda real: RefusesFirst(real, 3, StoreError("locked"))) as here:
        scale = await here.dial(b"SCALE-01")
        scale.send_lines(line())
        scale.send(ASK)
        assert await scale.is_silent(0.3)
        assert not await here.held()
        scale.send_lines(line())
        assert await scale.is_silent(0.1), "the second offer was refused too"
        await scale.oks(3)
        assert len(await here.held()) == 1


async def test_a_lock_that_another_program_holds_on_the_database_costs_time_and_no_event(tmp_path):
    """Fault 30: theirs gave up at once, and answered the repeat with nothing kept."""
    async with hall(tmp_path / "data") as here:
        scale = await here.dial(b"SCALE-01")
        [database] = (tmp_path / "data").glob("*.db")
        with closing(sqlite3.connect(database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            scale.send_lines(line())
            scale.send(ASK)
            assert await scale.is_silent(0.3)
            other.execute("ROLLBACK")
        await scale.oks(2)
        assert len(await here.held()) == 1


async def test_no_ok_leaves_for_a_later_event_while_an_earlier_one_is_not_kept(tmp_path):
    async with hall(tmp_path / "data", ledger=lambda real: RefusesFirst(real, 1, StoreFull("no room"))) as here:
        scale = await here.dial(b"SCALE-01")
        scale.send_lines(line(), line("10:31:00", 5))
        assert await scale.is_silent(0.2)
        await scale.oks(2)
        assert sorted(held["weight"] for held in await here.held()) == ["5", "9676"]


async def test_events_that_the_disk_refused_are_kept_in_the_order_in_which_they_were_made(tmp_path):
    """What is told on goes by the ledger's numbers: an event tried again later would come behind the next animal's."""
    async with hall(tmp_path / "data", ledger=lambda real: RefusesFirst(real, 2, StoreFull("no room"))) as here:
        scale = await here.dial(b"SCALE-01")
        scale.send_lines(line("10:30:00", 1), line("10:30:10", 2), line("10:30:20", 3))
        await here.until(lambda: here.registry.links[0].events == 3)
        scale.send_lines(line("10:30:30", 4))
        await scale.oks(4)
        assert [held["weight"] for held in await here.held()] == ["1", "2", "3", "4"]


async def test_a_scale_that_leaves_before_its_event_is_kept_finds_it_again(tmp_path):
    async with hall(tmp_path / "data", ledger=lambda real: RefusesFirst(real, 1, StoreFull("no room"))) as here:
        scale = await here.dial(b"SCALE-01")
        scale.send_lines(line())
        assert await scale.is_silent(0.1)
        await scale.hang_up()
        again = await here.dial(b"SCALE-01", b'P"' + line("10:30:01") + b"\r\n")
        await again.oks(1)
        [held] = await here.held()
        assert held["details"]["scale_time"].endswith("10:30:00"), "the copy brought its first line to the disk"


async def test_a_lost_answer_of_the_disk_makes_no_second_record(tmp_path):
    async with hall(tmp_path / "data", ledger=lambda real: LosesAnswers(real, 1)) as here:
        scale = await here.dial(b"SCALE-01")
        scale.send_lines(line())
        await scale.oks(1)
        assert len(await here.held()) == 1
        assert here.device().card.event_count == 1


async def test_a_slow_disk_keeps_the_answers_in_order_and_costs_no_other_link(tmp_path):
    """Fault 8: one that waits must wait for the disk alone."""
    stuck = []
    async with hall(tmp_path / "data", ledger=lambda real: stuck.append(Stuck(real)) or stuck[0]) as here:
        scale, other = await here.dial(b"SCALE-01"), await here.dial(b"SCALE-02")
        scale.send_lines(line())
        scale.send(b"HB", ASK)
        other.send(b"HB")
        await here.until(lambda: here.device().card.heartbeat_count and here.device("SCALE-02").card.heartbeat_count)
        assert await scale.is_silent()
        stuck[0].open.set()
        await scale.oks(2)


async def test_a_bad_line_costs_its_neighbours_nothing(tmp_path):
    """Fault 4: an error threw the rest of the chunk away."""
    async with hall(tmp_path / "data") as here:
        scale = await here.dial(b"SCALE-01")
        scale.send_lines(
            line("10:30:00", 1),
            b"rubbish,rubbish",
            line(plu="x"),
            line("10:30:10", 2),
            b"\xff\xfe,",
            line("10:30:20", 3),
        )
        await scale.oks(3)
        assert [held["weight"] for held in await here.held()] == ["1", "2", "3"]


async def test_a_line_that_no_record_can_hold_is_kept_among_the_rejected_and_not_acknowledged(tmp_path):
    too_long = LedgerError("the record would take 20000 bytes")
    async with hall(tmp_path / "data", ledger=lambda real: RefusesFirst(real, 1, too_long)) as here:
        scale = await here.dial(b"SCALE-01")
        scale.send_lines(line())
        assert await scale.is_silent(0.3)
        [kept] = await here.rejected()
        assert (kept.reason, kept.line) == ("not-a-record", line())


async def test_a_repeat_after_ten_minutes_is_acknowledged_and_kept_for_people_too(tmp_path):
    async with hall(tmp_path / "data") as here:
        scale = await here.dial(b"SCALE-01")
        scale.send_lines(line())
        await scale.oks(1)
        here.clock.passes(601)
        scale.send_lines(line())
        await scale.oks(1)
        assert len(await here.held()) == 1
        [kept] = await here.rejected()
        assert (kept.reason, kept.line) == ("repeated-late", line())


async def test_repeats_and_copies_are_known_again_after_a_restart(tmp_path):
    """Case: identical bytes after the OK was lost and the gateway began anew; theirs never answered it."""
    async with hall(tmp_path / "data") as here:
        scale = await here.dial(b"SCALE-01")
        scale.send_lines(line("10:29:00", 1), line("10:30:00"))
        await scale.oks(2)
        clock = here.clock
    clock.passes(40)
    async with hall(tmp_path / "data", clock=clock) as here:
        scale = await here.dial(b"SCALE-01", b'P"' + line("10:30:01") + b"\r\n")
        await scale.oks(1)
        scale.send_lines(line("10:30:00"), line("10:29:00", 1), b'P"' + line("10:30:01"))
        await scale.oks(3)
        assert len(await here.held()) == 2
        assert here.device().weight == 9676


async def test_an_event_in_flight_when_the_gateway_stops_is_kept(tmp_path):
    """Fault 14: their stop took the processing away before the sockets."""
    async with hall(tmp_path / "data") as here:
        scale = await here.dial(b"SCALE-01")
        scale.send_lines(*(line(f"10:30:{n:02}", n + 1) for n in range(50)))
        await here.until(lambda: here.registry.links and here.registry.links[0].events == 50)
    async with hall(tmp_path / "data") as here:
        assert len(await here.held()) == 50


async def test_a_flood_of_different_bad_lines_is_bounded_and_good_ones_still_pass(tmp_path):
    async with hall(tmp_path / "data") as here:
        scale = await here.dial(b"SCALE-01")
        scale.send_lines(*(b"rubbish," * 3 + b"%d" % n for n in range(400)), line())
        await scale.oks(1, within_s=20)
        assert await here.store.rejected.count() == 120
        assert sum(here.device().problems.values()) == 400


async def test_text_inside_a_field_names_no_device_and_acknowledges_nothing(tmp_path):
    async with hall(tmp_path / "data") as here:
        scale = await here.dial(b"SCALE-01")
        scale.send_lines(line(company="ACME SCALE-12 LTD"), line("10:31:00", product="KONTROLLU AKTAR"))
        await scale.oks(2)
        assert [held["station"] for held in await here.held()] == ["SCALE-01", "SCALE-01"]
