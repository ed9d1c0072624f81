"""Sessions over a real store: they hold without a cloud, nothing erases them, and what is learned late moves events by new records."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from fakes.heard_log import HeardLog
from fakes.scale_events import SCALE, SetClock, desk_over, event, minute, newest_sessions, payloads, work_session
from fakes.virtual_clock import running
from fakes.weighings import open_store
from scaleledger.app import reattribution as reattribution_module
from scaleledger.domain.cloud import SessionList, SessionMoved, SessionStarted, SessionsUnchanged
from scaleledger.domain.errors import StoreError
from scaleledger.domain.session import SessionStatus

ENDED = SessionStatus.ENDED


@pytest.fixture
async def store(tmp_path):
    opened = await open_store(tmp_path)
    yield opened
    await opened.close()


async def until(true, seconds=10):
    """Return as soon as a question is answered with yes."""
    async with asyncio.timeout(seconds):
        while not await true():
            await asyncio.sleep(0.01)


def at_rest(desk):
    async def look():
        return desk.is_settled

    return look


async def weigh(store, desk, *numbers, device=SCALE, **fields):
    """Events as the listener makes them: with the session of their own time."""
    for number in numbers:
        session = desk.at(device, minute(number))
        desk.kept_event(await store.ledger.append(event(number, device=device, session=session, **fields)))


async def test_a_session_told_after_its_events_takes_them_by_correction_records(store):
    desk = await desk_over(store)
    await weigh(store, desk, 1, 2, 3, 4)
    async with running(desk):
        desk.hear(SessionStarted(work_session("s1", 2, 4, animal_id="77", animal_tag="TR-77", operator_id="op")))
        await until(at_rest(desk))
    said = await payloads(store)
    assert [p["kind"] for p in said] == ["weighing"] * 4 + ["correction"] * 2
    assert newest_sessions(said) == ["", "s1", "s1", ""]
    first, correction = said[1], said[4]
    assert correction["refers_to"] == first["uuid"]
    assert (correction["weight"], correction["unit"], correction["measured_at"]) == ("1250", "g", first["measured_at"])
    assert correction["details"] == first["details"] | {
        "session": "s1",
        "animal_id": "77",
        "animal_tag": "TR-77",
        "operator_id": "op",
        "reason": "late-session",
        "first_seq": "2",
        "corrected_at": minute(60).isoformat(timespec="microseconds"),
    }


async def test_the_same_word_again_makes_no_second_correction(store):
    desk = await desk_over(store)
    await weigh(store, desk, 1)
    async with running(desk):
        for _ in range(3):
            desk.hear(SessionStarted(work_session("s1")))
            desk.hear(SessionList((work_session("s1"),)))
            await until(at_rest(desk))
    assert len(await payloads(store)) == 2
    again = await desk_over(store)
    async with running(again):
        again.hear(SessionStarted(work_session("s1")))
        await until(at_rest(again))
    assert len(await payloads(store)) == 2


async def test_an_end_told_late_and_a_beginning_put_right_move_only_what_lies_between(store):
    desk = await desk_over(store)
    desk.hear(SessionStarted(work_session("s1", 0)))
    await weigh(store, desk, 1, 5, 9)
    async with running(desk):
        desk.hear(SessionMoved("s1", SCALE, minute(6), ENDED, "completed"))
        await until(at_rest(desk))
        assert newest_sessions(await payloads(store)) == ["s1", "s1", ""]
        desk.hear(SessionStarted(work_session("s1", 3, 6)))
        await until(at_rest(desk))
    said = await payloads(store)
    assert newest_sessions(said) == ["", "s1", ""]
    assert [p["details"]["reason"] for p in said[3:]] == ["session-changed", "session-changed"]


async def test_words_that_go_to_and_fro_end_with_the_last_and_all_refer_to_the_first_record(store):
    desk = await desk_over(store)
    await weigh(store, desk, 5)
    async with running(desk):
        for name, end in (("a", 10), ("b", 10), ("b", 4), ("c", 10), ("c", 4)):
            desk.hear(SessionStarted(work_session(name, 1 if name == "a" else 2, end)))
            await until(at_rest(desk))
    said = await payloads(store)
    assert [p["details"].get("session", "") for p in said] == ["", "a", "b", "a", "c", "a"]
    assert {p["refers_to"] for p in said[1:]} == {said[0]["uuid"]}


async def test_a_session_that_the_cloud_confirms_for_days_still_owns_events_and_shows_its_age(store):
    """The first programs dropped it after four hours, with the cloud there."""
    clock = SetClock(minute(0))
    desk = await desk_over(store, clock)
    desk.hear(SessionStarted(work_session("s1")))
    for hour in range(1, 49):
        clock.at = minute(60 * hour)
        desk.hear(SessionsUnchanged())
    assert desk.at(SCALE, clock.at).session_id == "s1"
    assert desk.kept[0].confirmed_at == clock.at


async def test_a_session_holds_over_a_restart_and_a_week_without_the_cloud(store):
    desk = await desk_over(store)
    async with running(desk):
        desk.hear(SessionStarted(work_session("s1", animal_tag="TR-1")))
        await until(at_rest(desk))
    later = await desk_over(store, SetClock(minute(60 * 24 * 7)))
    await weigh(store, later, 60 * 24 * 7)
    assert newest_sessions(await payloads(store)) == ["s1"]
    assert later.kept[0].confirmed_at == minute(60), "its age is told, and ends nothing"
    assert later.kept[0].session == work_session("s1", animal_tag="TR-1")


async def test_an_ended_session_stays_on_its_events_sent_or_not(store):
    desk = await desk_over(store)
    desk.hear(SessionStarted(work_session("s1", 0)))
    await weigh(store, desk, 1, 2)
    async with running(desk):
        desk.hear(SessionMoved("s1", SCALE, minute(3), ENDED, "completed"))
        await until(at_rest(desk))
    assert [p["kind"] for p in await payloads(store)] == ["weighing"] * 2
    assert newest_sessions(await payloads(store)) == ["s1", "s1"]


async def test_a_switch_heard_late_moves_the_cuts_to_the_animal_that_they_are_of(store):
    """With polling, a switch is heard up to half a minute late."""
    desk = await desk_over(store)
    desk.hear(SessionStarted(work_session("cow-1", 0)))
    await weigh(store, desk, 1, 2, 3)
    async with running(desk):
        ended = (SessionMoved("cow-1", SCALE, minute(2), ENDED, "completed"),)
        desk.hear(SessionList((work_session("cow-2", 2),), ended))
        await until(at_rest(desk))
    assert newest_sessions(await payloads(store)) == ["cow-1", "cow-2", "cow-2"]


async def test_a_crash_in_the_middle_is_gone_on_with_after_the_start(store):
    class Dies:
        """The ledger of a process that is killed after its second correction."""

        def __init__(self):
            self.left = 2

        async def append(self, draft):
            if not self.left:
                raise StoreError("this process is dead")
            self.left -= 1
            return await store.ledger.append(draft)

    desk = await desk_over(store)
    await weigh(store, desk, *range(1, 8))
    desk.reattribution._ledger = Dies()
    async with running(desk):
        desk.hear(SessionStarted(work_session("s1")))
        await until(lambda: corrected(store, 2))
    again = await desk_over(store)
    async with running(again):
        await until(at_rest(again))
    said = await payloads(store)
    assert newest_sessions(said) == ["s1"] * 7
    assert len(said) == 14, "none was corrected twice"


async def corrected(store, count):
    return sum(p["kind"] == "correction" for p in await payloads(store)) >= count


async def test_an_event_whose_session_changed_before_it_was_durable_is_put_right(store):
    desk = await desk_over(store)
    async with running(desk):
        decided = event(5, session=desk.at(SCALE, minute(5)))
        desk.hear(SessionStarted(work_session("s1")))
        await until(at_rest(desk))
        desk.kept_event(await store.ledger.append(decided))
        await until(at_rest(desk))
    assert newest_sessions(await payloads(store)) == ["s1"]


async def test_an_event_that_was_overtaken_right_before_a_crash_is_put_right_after_the_start(store):
    desk = await desk_over(store)
    decided = event(55, session=desk.at(SCALE, minute(55)))
    async with running(desk):
        desk.hear(SessionStarted(work_session("s1")))
        await until(at_rest(desk))
    await store.ledger.append(decided)
    again = await desk_over(store, SetClock(minute(600)))
    async with running(again):
        await until(at_rest(again))
    assert newest_sessions(await payloads(store)) == ["s1"]


async def test_two_sessions_on_one_device_are_said_once_and_the_later_one_owns(store, monkeypatch):
    heard = HeardLog()
    monkeypatch.setattr("scaleledger.app.sessions.log", heard)
    desk = await desk_over(store)
    for _ in range(3):
        desk.hear(SessionStarted(work_session("a", 0)))
        desk.hear(SessionStarted(work_session("b", 1)))
        desk.hear(SessionStarted(work_session("b", 1, animal_tag="TR")))
    assert desk.at(SCALE, minute(5)).session_id == "b"
    assert heard.events.count("biz.sessions_overlap") == 1


async def test_one_change_moves_a_bounded_number_of_events_and_says_that_there_are_more(store, monkeypatch):
    monkeypatch.setattr(reattribution_module, "EVENTS_MAX", 3)
    heard = HeardLog()
    monkeypatch.setattr("scaleledger.app.reattribution.log", heard)
    desk = await desk_over(store)
    await weigh(store, desk, *range(1, 6))
    async with running(desk):
        desk.hear(SessionStarted(work_session("s1")))
        await until(at_rest(desk))
    assert newest_sessions(await payloads(store)) == ["s1", "s1", "s1", "", ""]
    assert "biz.reattribution_cut" in heard.events


async def test_only_the_events_of_the_device_are_moved(store):
    desk = await desk_over(store)
    await weigh(store, desk, 1)
    await weigh(store, desk, 1, device="SCALE-02")
    async with running(desk):
        desk.hear(SessionStarted(work_session("s1")))
        await until(at_rest(desk))
    assert newest_sessions(await payloads(store)) == ["s1", ""]


async def test_what_was_attributed_late_to_a_device_follows_its_session_too(store):
    """The first record lies elsewhere; the correction that named the device is the newest word."""
    desk = await desk_over(store)
    first = event(1, device="unregistered-00")
    await store.ledger.append(first)
    from dataclasses import replace

    from scaleledger.domain.weighing import Kind

    named = replace(event(2, at=minute(1)), kind=Kind.CORRECTION, refers_to=first.uuid)
    await store.ledger.append(named)
    async with running(desk):
        desk.hear(SessionStarted(work_session("s1")))
        await until(at_rest(desk))
    said = await payloads(store)
    assert newest_sessions(said) == ["s1"]
    assert said[2]["refers_to"] == first.uuid


async def test_events_are_found_behind_many_others(store):
    desk = await desk_over(store)
    await asyncio.gather(*(store.ledger.append(event(n, device="SCALE-02")) for n in range(5_000)))
    await weigh(store, desk, 5_001)
    await asyncio.gather(*(store.ledger.append(event(n, device="SCALE-02")) for n in range(5_002, 10_000)))
    async with running(desk):
        desk.hear(SessionStarted(work_session("s1", 5_000, 5_003)))
        await until(at_rest(desk))
    said = await payloads(store)
    assert said[-1]["kind"] == "correction"
    assert said[-1]["details"]["session"] == "s1"


async def test_what_ended_a_week_ago_is_forgotten(store, monkeypatch):
    monkeypatch.setattr("scaleledger.app.sessions.CONFIRM_EVERY_S", 0.01)
    clock = SetClock(minute(60))
    desk = await desk_over(store, clock)

    async def only_one():
        return len(desk.kept) == 1

    async with running(desk):
        desk.hear(SessionStarted(work_session("old", 0, 10)))
        desk.hear(SessionStarted(work_session("on", 20)))
        await until(at_rest(desk))
        clock.at += timedelta(days=7)
        await until(only_one)
        await until(lambda: rows_are(store, 1))


async def rows_are(store, count):
    with closing(sqlite3.connect(store.folder / "scaleledger.db")) as connection:
        return connection.execute("SELECT count(*) FROM work_sessions").fetchone()[0] == count


class FullAtFirst:
    """A shelf that refuses twice."""

    def __init__(self, shelf):
        self.shelf, self.left = shelf, 2

    def __getattr__(self, name):
        return getattr(self.shelf, name)

    async def keep(self, kept):
        if self.left:
            self.left -= 1
            raise StoreError("no room")
        await self.shelf.keep(kept)


async def test_what_the_disk_refuses_is_kept_later_and_counts_at_once(store, monkeypatch):
    monkeypatch.setattr("scaleledger.app.sessions.AGAIN_S", 0.01)
    desk = await desk_over(store)
    desk._shelf = FullAtFirst(store.sessions)
    async with running(desk):
        desk.hear(SessionStarted(work_session("s1")))
        assert desk.at(SCALE, minute(1)).session_id == "s1"
        await until(at_rest(desk))
        await until(lambda: rows_are(store, 1))
