"""Events of a link that has not named itself: kept at once, given to their device later, never twice."""

from datetime import timedelta, timezone
from decimal import Decimal

from fakes.scale_hall import RULES, hall, line
from scaleledger.app.registry import ScaleProfile


async def test_an_event_before_the_name_is_kept_at_once_and_given_to_the_device_later(tmp_path):
    """Fault 2: theirs was dropped."""
    async with hall(tmp_path / "data") as here:
        scale = await here.dial()
        scale.send_lines(line())
        await scale.oks(1)
        [held] = await here.held()
        assert (held["station"], held["kind"], "device" in held["details"]) == ("unregistered", "weighing", False)
        scale.send(b"SCALE-01")
        await here.until(lambda: "SCALE-01" in here.registry.devices and here.device().card.event_count == 1)
        held, told = await here.held()
        assert (told["kind"], told["refers_to"], told["station"]) == ("correction", held["uuid"], "SCALE-01")
        assert (told["weight"], told["measured_at"]) == (held["weight"], held["measured_at"])
        details = told["details"]
        assert (details["device"], details["reason"], details["notes"]) == (
            "SCALE-01",
            "registered-late",
            "registered-late",
        )


async def test_its_repeat_and_its_copy_after_the_name_find_the_first_record(tmp_path):
    async with hall(tmp_path / "data") as here:
        scale = await here.dial()
        scale.send_lines(line())
        scale.send(b"SCALE-01")
        scale.send_lines(line(), b'P"' + line("10:30:01"), line())
        await scale.oks(4)
        await here.until(lambda: here.device().card.event_count == 1)
        assert [held["kind"] for held in await here.held()] == ["weighing", "correction"]


async def test_its_repeat_on_a_later_link_and_after_a_restart_finds_it_and_gives_it_to_the_device(tmp_path):
    async with hall(tmp_path / "data") as here:
        scale = await here.dial()
        scale.send_lines(line())
        await scale.oks(1)
    async with hall(tmp_path / "data") as here:
        for _ in range(2):
            scale = await here.dial(b"SCALE-01", line() + b"\r\n")
            await scale.oks(1)
            await scale.hang_up()
        await here.until(lambda: here.device().card.event_count == 1)
        assert [held["kind"] for held in await here.held()] == ["weighing", "correction"]
    async with hall(tmp_path / "data") as here:
        scale = await here.dial(b"SCALE-01", line() + b"\r\n")
        await scale.oks(1)
        assert len(await here.held()) == 2


async def test_the_same_line_of_another_device_is_another_record(tmp_path):
    async with hall(tmp_path / "data") as here:
        first = await here.dial(line() + b"\r\n", b"SCALE-01")
        await first.oks(1)
        await here.until(lambda: "SCALE-01" in here.registry.devices)
        second = await here.dial(b"SCALE-02", line() + b"\r\n")
        await second.oks(1)
        held = [(told["station"], told["kind"]) for told in await here.held()]
        assert sorted(held) == [("SCALE-01", "correction"), ("SCALE-02", "weighing"), ("unregistered", "weighing")]


async def test_a_scale_that_dials_in_anew_and_repeats_before_its_name_makes_no_second_record(tmp_path):
    async with hall(tmp_path / "data") as here:
        scale = await here.dial(b"SCALE-01", line() + b"\r\n")
        await scale.oks(1)
        await scale.hang_up()
        await here.until(lambda: not here.device().peers)
        again = await here.dial(b'P"' + line("10:30:01") + b"\r\n", line() + b"\r\n", b"SCALE-01")
        await again.oks(2)
        assert len(await here.held()) == 1


async def test_an_event_before_the_name_gets_the_unit_and_the_zone_of_its_scale(tmp_path):
    istanbul = timezone(timedelta(hours=3))
    scales = {"SCALE-07": ScaleProfile("kg", 2, "windows-1254", istanbul)}
    async with hall(tmp_path / "data", scales=scales) as here:
        scale = await here.dial(line("13:30:00") + b"\r\n", b"SCALE-07")
        await scale.oks(1)
        await here.until(lambda: here.device("SCALE-07").card.event_count == 1)
        first, told = await here.held()
        assert (first["unit"], "clock-suspect" in first["details"]["notes"]) == ("g", True)
        assert (Decimal(told["weight"]), told["unit"]) == (Decimal("96.76"), "kg")
        assert told["measured_at"] == "2026-01-30T10:30:00.000000+00:00"


async def test_where_only_listed_scales_may_come_in_an_event_without_a_name_is_not_taken(tmp_path):
    scales = {"SCALE-01": RULES.profile}
    async with hall(tmp_path / "data", scales=scales, only_listed=True) as here:
        scale = await here.dial(line() + b"\r\n")
        assert await scale.is_silent()
        scale.send(b"SCALE-01", line() + b"\r\n")
        await scale.oks(1)
        assert [held["station"] for held in await here.held()] == ["SCALE-01"]
        assert [kept.reason for kept in await here.rejected()] == ["no-name"]
