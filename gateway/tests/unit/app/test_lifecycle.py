import asyncio

import pytest

from fakes.centre import Books
from fakes.living_gateway import LivingGateway
from fakes.outbox import MAC, MemoryIdentity, MemoryOutbox, batch_of, weighing
from fakes.virtual_clock import virtual
from scaleledger.app.clock import SystemClock, boot_id, utc_offset_min
from scaleledger.app.life_table import TABLE, Event, State
from scaleledger.domain.delivery import ItemOutcome, Outcome
from scaleledger.domain.errors import StoreError


def test_every_state_can_be_reached_and_left():
    assert set(TABLE.values()) | {State.INITIALIZE} == set(State)
    assert {state for state, _ in TABLE} == set(State)
    assert {event for _, event in TABLE} == set(Event)


@virtual
async def test_an_unknown_gateway_registers_waits_for_approval_and_lives():
    async with LivingGateway(Books(approves=False)) as gateway:
        await asyncio.sleep(60)
        assert gateway.life.state is State.SYNC
        assert 5 <= gateway.books.calls.count(("GET", f"devices/api/gateways/{MAC}/")) <= 8
        assert gateway.books.calls.count(("POST", "devices/api/gateways/")) == 1
        gateway.books.approves = True
        await asyncio.sleep(11)
        assert gateway.life.state is State.HEARTBEAT
        assert gateway.happened == ["approved"]
        assert gateway.identity.credentials.token == "token-1"
        await asyncio.sleep(300)
        assert 10 <= len(gateway.books.heartbeats) <= 12
        assert len(gateway.identity.heartbeats) == len(gateway.books.heartbeats)


@virtual
async def test_a_kept_token_lives_at_once_and_learns_what_the_centre_offers():
    async with LivingGateway(Books(knows_mac=True), token="token-1", outbox=MemoryOutbox(50)) as gateway:
        await asyncio.sleep(10)
        assert gateway.life.state is State.HEARTBEAT
        assert gateway.outbox.owed == []
        gateway.outbox.append()
        await asyncio.sleep(1)
        assert gateway.books.heads[-1]["seq"] == 51
        assert not any(path == "devices/api/gateways/" for _, path in gateway.books.calls)


@virtual
async def test_a_start_without_network_keeps_its_identity_and_delivers_when_it_is_back():
    gateway = LivingGateway(Books(knows_mac=True), token="token-1", outbox=MemoryOutbox(5))
    gateway.weather.state = "away"
    async with gateway:
        await asyncio.sleep(7200)
        assert gateway.uplink.ready
        assert not gateway.life.link_up
        gateway.weather.state = "up"
        await asyncio.sleep(61)
        assert gateway.outbox.owed == []
        assert gateway.happened == ["link back"]
        assert gateway.life.link_up


@virtual
async def test_refused_credentials_are_cleared_and_won_anew_and_no_record_is_lost():
    async with LivingGateway(Books(knows_mac=True), token="token-1") as gateway:
        await asyncio.sleep(100)
        gateway.books.revoke()
        for _ in range(10):
            gateway.outbox.append()
        await asyncio.sleep(15)
        assert gateway.happened == ["cleared", "approved"]
        assert gateway.identity.credentials.token == "token-2"
        assert gateway.outbox.owed == []
        assert len(gateway.books.held) == 10
        assert gateway.books.without_token == 0


@virtual
async def test_a_deleted_gateway_registers_anew():
    async with LivingGateway(Books(knows_mac=True), token="token-1") as gateway:
        await asyncio.sleep(10)
        gateway.books.gateways.clear()
        await asyncio.sleep(35)
        assert gateway.happened == ["cleared", "approved"]
        assert gateway.books.calls.count(("POST", "devices/api/gateways/")) == 1


@virtual
async def test_a_plain_servers_bare_refusal_counts_when_its_status_agrees():
    async with LivingGateway(Books(plain=True, knows_mac=True), token="token-1", outbox=MemoryOutbox(3)) as gateway:
        await asyncio.sleep(40)
        assert gateway.outbox.owed == []
        gateway.books.revoke()
        gateway.outbox.append()
        await asyncio.sleep(70)
        assert gateway.happened.count("cleared") == 1
        assert gateway.outbox.owed == []


@pytest.mark.parametrize("status", [401, 403, 404])
@virtual
async def test_a_proxys_bare_refusal_of_the_heartbeat_changes_nothing(status):
    class Proxied(Books):
        def answer(self, method, path, headers, body):
            if path.endswith("heartbeat/"):
                return status, {"detail": "the proxy does not like this"}
            return super().answer(method, path, headers, body)

    async with LivingGateway(Proxied(knows_mac=True), token="token-1", outbox=MemoryOutbox(3)) as gateway:
        await asyncio.sleep(600)
        assert gateway.identity.cleared == 0
        assert gateway.outbox.owed == []


@virtual
async def test_a_portal_never_clears_credentials_and_never_marks_sent():
    async with LivingGateway(Books(knows_mac=True), token="token-1") as gateway:
        await asyncio.sleep(10)
        gateway.weather.state = "html"
        gateway.outbox.append()
        await asyncio.sleep(7200)
        assert (gateway.identity.cleared, gateway.outbox.owed, gateway.books.held) == (0, [1], {})


@virtual
async def test_a_centre_that_refuses_each_token_it_gives_is_not_hammered():
    class Fickle(Books):
        def answer(self, method, path, headers, body):
            if path.endswith("heartbeat/"):
                self.calls.append((method, path))
                return 401, {"code": "token_unknown", "detail": "not that one"}
            return super().answer(method, path, headers, body)

    async with LivingGateway(Fickle(knows_mac=True), token="token-1") as gateway:
        await asyncio.sleep(3600)
        assert len(gateway.books.calls) < 3 * 180


@virtual
async def test_a_declined_registration_is_told_and_asked_again_only_slowly():
    class Conflicting(Books):
        def answer(self, method, path, headers, body):
            if (method, path) == ("POST", "devices/api/gateways/"):
                self.calls.append((method, path))
                return 409, {"code": "mac_conflict", "detail": "another key"}
            return super().answer(method, path, headers, body)

    async with LivingGateway(Conflicting()) as gateway:
        await asyncio.sleep(600)
        assert 50 <= gateway.books.calls.count(("POST", "devices/api/gateways/")) <= 61
        assert gateway.happened == []


@virtual
async def test_the_heartbeat_carries_the_books_and_the_head():
    gateway = LivingGateway(Books(knows_mac=True), token="token-1", outbox=MemoryOutbox(4))
    await gateway.outbox.settle("central", [ItemOutcome(2, Outcome.QUARANTINE)])

    async def read_head():
        return batch_of(weighing(4)).head

    gateway.life.read_head = read_head
    async with gateway:
        await asyncio.sleep(40)
    first = gateway.books.heartbeats[0]
    assert (first["queued"], first["quarantined"], first["head"]["seq"]) == (3, 1, 4)
    assert gateway.books.heartbeats[-1]["queued"] == 0


@virtual
async def test_a_sick_disk_does_not_make_the_gateway_look_dead():
    class Sick(MemoryOutbox):
        async def counts(self, uplink):
            raise StoreError("no counts")

    async with LivingGateway(Books(knows_mac=True), token="token-1", outbox=Sick()) as gateway:
        await asyncio.sleep(100)
        assert len(gateway.books.heartbeats) == 4


@virtual
async def test_a_disk_that_keeps_nothing_neither_hurries_the_heartbeat_nor_stops_delivery():
    class Full(MemoryIdentity):
        async def keep_token(self, token, status, expires_at=None):
            raise StoreError("no room")

        async def note_heartbeat(self, at):
            raise StoreError("no room")

    async with LivingGateway(Books(knows_mac=True), identity=Full(), outbox=MemoryOutbox(3)) as gateway:
        await asyncio.sleep(100)
        assert gateway.outbox.owed == []
        assert len(gateway.books.heartbeats) == 4
        assert gateway.life.link_up


@virtual
async def test_a_disk_that_cannot_forget_the_token_is_not_asked_in_a_hot_loop():
    class Stuck(MemoryIdentity):
        tries = 0

        async def clear_token(self, status):
            self.tries += 1
            raise StoreError("no room")

    async with LivingGateway(Books(knows_mac=True), identity=Stuck("token-1")) as gateway:
        await asyncio.sleep(10)
        gateway.books.revoke()
        await asyncio.sleep(3600)
        assert 10 < gateway.identity.tries < 200


@virtual
async def test_with_nothing_to_deliver_only_heartbeats_go_out():
    async with LivingGateway(Books(knows_mac=True), token="token-1") as gateway:
        await asyncio.sleep(31)
        seen = len(gateway.books.calls)
        await asyncio.sleep(3600)
        assert set(gateway.books.calls[seen:]) == {("POST", "devices/api/gateways/heartbeat/")}


def test_the_real_clock_agrees_with_the_event_loop(tmp_path):
    clock = SystemClock()
    loop = asyncio.new_event_loop()
    try:
        before, middle, after = loop.time(), clock.monotonic(), loop.time()
    finally:
        loop.close()
    assert before <= middle <= after
    assert clock.now().utcoffset().total_seconds() == 0
    (tmp_path / "boot").write_text("7c9e6679\n", encoding="ascii")
    assert boot_id(tmp_path / "boot") == "7c9e6679"
    assert boot_id(tmp_path / "none") != boot_id(tmp_path / "none")
    assert -16 * 60 < utc_offset_min() < 16 * 60
