"""Who is there and how it stands: no ghosts, no flapping, two scales with one number told apart."""

from datetime import UTC, datetime

from fakes.scale_hall import RULES, hall, line
from scaleledger.domain.cloud import DeviceAlive, DeviceConnected, DeviceDisconnected
from scaleledger.domain.device import DeviceStatus
from scaleledger.domain.session import SessionChange, SessionStatus, WorkSession


async def test_a_link_that_names_itself_anew_leaves_no_ghost(tmp_path):
    """Fault 26."""
    async with hall(tmp_path / "data") as here:
        told = []
        here.registry.hears.append(told.append)
        scale = await here.dial(b"SCALE-01", b"SCALE-02")
        await here.until(lambda: here.device("SCALE-02").peers)
        assert here.device("SCALE-01").status is DeviceStatus.DISCONNECTED
        await scale.hang_up()
        await here.until(lambda: not here.device("SCALE-02").peers)
        assert [(type(each), each.device_id) for each in told] == [
            (DeviceConnected, "SCALE-01"),
            (DeviceDisconnected, "SCALE-01"),
            (DeviceConnected, "SCALE-02"),
            (DeviceDisconnected, "SCALE-02"),
        ]


async def test_a_link_that_neither_names_itself_nor_weighs_is_closed_and_one_that_weighs_stays(tmp_path):
    """Fault 27."""
    async with hall(tmp_path / "data", registration_s=0.3) as here:
        weighs = await here.dial(line() + b"\r\n")
        nobody = await here.dial(b"HB")
        await weighs.oks(1)
        assert await nobody.closed() == b""
        weighs.send_lines(line("10:31:00"))
        await weighs.oks(1)


async def test_a_silent_link_turns_stale_and_is_closed(tmp_path):
    async with hall(tmp_path / "data", stale_s=0.2, lost_s=1.0) as here:
        scale = await here.dial(b"SCALE-01")
        await here.until(lambda: here.device().status is DeviceStatus.ONLINE)
        await here.until(lambda: here.device().status is DeviceStatus.STALE)
        await scale.closed()
        await here.until(lambda: here.device().status is DeviceStatus.DISCONNECTED)


async def test_a_scale_that_lives_and_does_not_weigh_is_idle_until_it_does(tmp_path):
    async with hall(tmp_path / "data", idle_s=0.2) as here:
        scale = await here.dial(b"SCALE-01")
        await here.until(lambda: here.device().status is DeviceStatus.IDLE)
        scale.send_lines(line())
        await here.until(lambda: here.device().status is DeviceStatus.ONLINE)


async def test_a_scale_that_dials_in_anew_replaces_its_silent_link(tmp_path):
    async with hall(tmp_path / "data", stale_s=0.3) as here:
        old = await here.dial(b"SCALE-01")
        await here.until(lambda: here.device().peers)
        new = await here.dial(b"SCALE-01")
        await old.closed()
        new.send_lines(line())
        await new.oks(1)
        assert (len(here.device().peers), here.device().conflict) == (1, False)


async def test_two_living_scales_with_one_number_are_a_conflict_and_both_are_kept(tmp_path):
    """Fault 27: theirs were merged silently."""
    async with hall(tmp_path / "data") as here:
        one, two = await here.dial(b"SCALE-01"), await here.dial(b"SCALE-01")
        await here.until(lambda: len(here.device().peers) == 2)
        assert not here.device().conflict
        one.send_lines(line(net=1))
        await one.oks(1)
        two.send_lines(line(net=2))
        await two.oks(1)
        assert here.device().conflict
        held = await here.held()
        assert [told["station"] for told in held] == ["SCALE-01", "SCALE-01"]
        assert len({told["details"]["peer"] for told in held}) == 2
        await two.hang_up()
        await here.until(lambda: not here.device().conflict)


async def test_a_scale_that_is_not_listed_is_turned_away_before_anything_of_it_is_taken(tmp_path):
    async with hall(tmp_path / "data", only_listed=True, scales={"SCALE-01": RULES.profile}) as here:
        stranger = await here.dial(b"SCALE-02", line() + b"\r\n")
        assert await stranger.closed() == b""
        assert "SCALE-02" not in here.registry.devices
        assert not await here.held()


async def test_words_of_people_and_counters_outlast_a_restart(tmp_path):
    async with hall(tmp_path / "data") as here:
        scale = await here.dial(b"SCALE-01", b"HB", b"HB", line() + b"\r\n")
        await scale.oks(1)
        await here.registry.describe("SCALE-01", name="<b>Saw</b>", location="Hall 2", kind="retail")
    async with hall(tmp_path / "data") as here:
        card = here.device().card
        assert (card.name, card.location, card.type) == ("<b>Saw</b>", "Hall 2", "retail")
        assert (card.heartbeat_count, card.event_count) == (2, 1)
        assert here.device().weight == 9676


async def test_heartbeats_are_told_and_never_written_one_by_one(tmp_path):
    async with hall(tmp_path / "data") as here:
        told, kept = [], []
        here.registry.hears.append(told.append)
        await here.dial(b"SCALE-01")
        await here.until(lambda: here.device().peers)
        keep = here.registry._shelf.keep

        async def counted(cards):
            kept.append(cards)
            await keep(cards)

        here.registry._shelf.keep = counted
        scale = here.dialled[0]
        scale.send(b"HB" * 50)
        await here.until(lambda: here.device().card.heartbeat_count == 50)
        assert [each.heartbeat_count for each in told if isinstance(each, DeviceAlive)] == list(range(1, 51))
        assert len(kept) <= 1


class OneSession:
    """One session on SCALE-01, from half past ten on."""

    def at(self, device_id, at):
        began = datetime(2026, 1, 30, 10, 30, tzinfo=UTC)
        if device_id != "SCALE-01" or at < began:
            return None
        changes = (SessionChange(began, SessionStatus.ACTIVE),)
        return WorkSession("s-1", device_id, changes, "a-1", "TR-52", "cattle", "op-9")


async def test_an_event_belongs_to_the_session_of_its_own_time(tmp_path):
    async with hall(tmp_path / "data", sessions=OneSession()) as here:
        here.clock.passes(60)
        scale = await here.dial(b"SCALE-01")
        scale.send_lines(line("10:29:59", 5), line("10:30:00"))
        await scale.oks(2)
        before, within = [told["details"] for told in await here.held()]
        assert "session" not in before
        named = {name: within[name] for name in ("session", "animal_id", "animal_tag", "animal_species", "operator_id")}
        assert list(named.values()) == ["s-1", "a-1", "TR-52", "cattle", "op-9"]
        assert here.registry.connected() == {"SCALE-01": True}
