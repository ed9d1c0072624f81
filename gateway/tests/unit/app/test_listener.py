"""The end-to-end cases of a scale that dials in, over real TCP and with the real store."""

from fakes.scale_hall import ASK, hall, line


async def test_an_event_is_kept_with_all_that_its_line_says_before_it_is_acknowledged(tmp_path):
    async with hall(tmp_path / "data") as here:
        scale = await here.dial(b"SCALE-01")
        scale.send_lines(line())
        await scale.oks(1)
        [held] = await here.held()
        assert (held["station"], held["weight"], held["unit"], held["mode"]) == ("SCALE-01", "9676", "g", "event")
        assert bytes.fromhex(held["raw"]) == line()
        assert held["measured_at"] == "2026-01-30T10:30:00.000000+00:00"
        peer = held["details"].pop("peer")
        assert peer.startswith("127.0.0.1:")
        assert held["details"] == {
            "device": "SCALE-01",
            "listener": "hall",
            "product": "KIYMA",
            "plu": "000000000004",
            "number": "00001",
            "code": "0000",
            "operator": "KAAN",
            "company": "KORKUT",
            "flags": "2,0,2,1,N",
            "gross": "72091",
            "tare": "62415",
            "scale_time": "30.01.2026 10:30:00",
            "received_at": "2026-01-30T10:30:00.000000+00:00",
        }


async def test_the_question_is_answered_once_everything_before_it_is_durable(tmp_path):
    async with hall(tmp_path / "data") as here:
        scale = await here.dial(b"SCALE-01", line() + b"\r\n", ASK)
        await scale.oks(2)
        scale.send(ASK)
        await scale.oks(1)


async def test_the_same_line_again_is_acknowledged_and_the_same_record(tmp_path):
    async with hall(tmp_path / "data") as here:
        scale = await here.dial(b"SCALE-01")
        for wait_s in (0, 1, 4, 30, 300):
            here.clock.passes(wait_s)
            scale.send_lines(line())
            await scale.oks(1)
        assert len(await here.held()) == 1
        assert here.device().repeats == 4
        assert not await here.rejected()


async def test_a_print_copy_is_acknowledged_and_the_same_record(tmp_path):
    async with hall(tmp_path / "data") as here:
        scale = await here.dial(b"SCALE-01")
        scale.send_lines(line("10:30:00"), b'P"' + line("10:30:01"))
        await scale.oks(2)
        scale.send_lines(b'P"' + line("10:30:01"))
        await scale.oks(1)
        assert len(await here.held()) == 1
        assert (here.device().copies, here.device().card.event_count) == (2, 1)


async def test_an_equal_cut_after_the_first_one_was_printed_is_no_copy_of_it(tmp_path):
    async with hall(tmp_path / "data") as here:
        scale = await here.dial(b"SCALE-01")
        scale.send_lines(line("10:30:00"), b'P"' + line("10:30:00"), line("10:30:01"))
        await scale.oks(3)
        assert [held["details"].get("notes") for held in await here.held()] == [None, "possible-copy"]


async def test_two_equal_cuts_two_seconds_apart_are_two_records_and_the_second_says_so(tmp_path):
    async with hall(tmp_path / "data") as here:
        scale = await here.dial(b"SCALE-01")
        scale.send_lines(line("10:30:00"), line("10:30:02"))
        await scale.oks(2)
        assert [held["details"].get("notes") for held in await here.held()] == [None, "possible-copy"]


async def test_two_glued_events_of_which_the_first_is_known_are_both_taken(tmp_path):
    async with hall(tmp_path / "data") as here:
        scale = await here.dial(b"SCALE-01")
        scale.send_lines(line())
        await scale.oks(1)
        scale.send_lines(line(), line("10:31:00", 500))
        await scale.oks(2)
        assert [held["weight"] for held in await here.held()] == ["9676", "500"]


async def test_a_bad_line_gets_no_ok_and_is_kept_with_its_bytes(tmp_path):
    async with hall(tmp_path / "data") as here:
        scale = await here.dial(b"SCALE-01")
        scale.send_lines(line(plu="12"))
        assert await scale.is_silent()
        scale.send(ASK)
        assert await scale.is_silent(), "an OK would call kept what was not taken as a weighing"
        scale.send_lines(line(plu="12"), line("10:31:00"))
        await scale.oks(1)
        [kept] = await here.rejected()
        assert (kept.device_id, kept.reason, kept.line, kept.times) == ("SCALE-01", "bad-plu", line(plu="12"), 2)
        assert here.device().problems == {"bad-plu": 2}


async def test_six_hundred_lines_in_one_chunk_are_six_hundred_records_in_order(tmp_path):
    async with hall(tmp_path / "data", clock_tolerance_s=86_400) as here:
        lines = [line(f"10:{n // 60:02}:{n % 60:02}", n + 1) for n in range(600)]
        scale = await here.dial(b"SCALE-01")
        scale.send_lines(*lines)
        await scale.oks(600, within_s=20)
        assert [held["weight"] for held in await here.held()] == [str(n + 1) for n in range(600)]
