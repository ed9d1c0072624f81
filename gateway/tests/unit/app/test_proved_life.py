"""A gateway's life at a centre that wants its key proved; `test_lifecycle` holds what is true at every centre."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from fakes.centre import Books
from fakes.heard_log import HeardLog
from fakes.living_gateway import LivingGateway
from fakes.outbox import MAC, START, MemoryIdentity, MemoryOutbox
from fakes.proved_books import GATEWAY_KEY, OTHER_KEY, SERVER_KEY, ProvedBooks
from fakes.virtual_clock import LoopClock, virtual
from scaleledger.app import lifecycle
from scaleledger.app.life_table import State
from scaleledger.domain.standing import Claim, HostReport, StationRefused, StationReport, fingerprint

CLAIM = Claim("K7Q2", "ABCDEFGHJKMNPQRS")
CHALLENGE, PROOF = ("POST", "devices/api/gateways/challenge/"), ("POST", "devices/api/gateways/")


@pytest.fixture
def said(monkeypatch):
    """What the lifecycle tells the log."""
    log = HeardLog()
    monkeypatch.setattr(lifecycle, "log", log)
    return log


def gateway_at(books, **given):
    return LivingGateway(books, **({"key": GATEWAY_KEY} | given))


def claiming(code=CLAIM):
    return MemoryIdentity(public_key=GATEWAY_KEY.public, claim=code)


@virtual
async def test_a_gateway_proves_its_key_waits_for_approval_and_delivers_signed():
    books = ProvedBooks(clock=LoopClock(), approves=False)
    async with gateway_at(books, outbox=MemoryOutbox(3)) as gateway:
        await asyncio.sleep(60)
        assert gateway.life.state is State.SYNC
        assert 5 <= books.calls.count(PROOF) <= 8
        books.approve()
        await asyncio.sleep(15)
        assert gateway.happened == ["approved"]
        assert gateway.outbox.owed == []
    assert not any(method == "GET" and MAC in path for method, path in books.calls)
    assert gateway.identity.server_key == SERVER_KEY.public
    assert books.refused == []


@virtual
async def test_while_it_waits_the_log_shows_the_fingerprint_once(said):
    async with gateway_at(ProvedBooks(clock=LoopClock(), approves=False)):
        await asyncio.sleep(120)
    (told,) = said.of("net.pending")
    assert told["fingerprint"] == fingerprint(GATEWAY_KEY.public)
    assert told["mac_address"] == MAC


@virtual
async def test_a_claim_makes_it_active_at_once_and_is_dropped():
    books = ProvedBooks(clock=LoopClock(), approves=False, claims={CLAIM.id: CLAIM.secret})
    async with gateway_at(books, identity=claiming()) as gateway:
        await asyncio.sleep(1)
        assert gateway.happened == ["approved"]
        assert gateway.identity.claim is None


@virtual
async def test_a_claim_that_is_refused_is_told_once_dropped_and_done_without(said):
    books = ProvedBooks(clock=LoopClock(), approves=False, claims={CLAIM.id: "0" * 16})
    async with gateway_at(books, identity=claiming()) as gateway:
        await asyncio.sleep(60)
        assert gateway.identity.claim is None
        assert gateway.life.state is State.SYNC
        books.approve()
        await asyncio.sleep(15)
        assert gateway.happened == ["approved"]
    assert said.events.count("net.claim_refused") == 1
    assert books.refused == ["claim_wrong"]


@virtual
async def test_a_claim_is_kept_while_the_link_is_down():
    books = ProvedBooks(clock=LoopClock(), approves=False, claims={CLAIM.id: CLAIM.secret})
    gateway = gateway_at(books, identity=claiming())
    gateway.weather.state = "away"
    async with gateway:
        await asyncio.sleep(600)
        assert gateway.identity.claim == CLAIM
        gateway.weather.state = "up"
        await asyncio.sleep(61)
        assert gateway.happened == ["link back", "approved"]


@virtual
async def test_a_challenge_that_was_answered_before_is_asked_for_anew():
    class Replays(ProvedBooks):
        """Gives the first challenge twice, as a cache on the way would."""

        def _challenge(self):
            answered = super()._challenge()
            self.first = getattr(self, "first", answered)
            return self.first if len(self.challenges) == 2 else answered

    books = Replays(clock=LoopClock(), approves=False)
    async with gateway_at(books) as gateway:
        await asyncio.sleep(10.5)
        assert books.refused == ["challenge_used"]
        assert gateway.life.link_up
        assert gateway.life.state is State.SYNC
        assert books.calls.count(CHALLENGE) == 3


@virtual
async def test_a_centre_that_takes_no_challenge_of_its_own_is_asked_ever_more_slowly():
    class Forgetful(ProvedBooks):
        def _prove(self, stated):
            return 403, self._error("challenge_unknown")

    books = Forgetful(clock=LoopClock())
    async with gateway_at(books) as gateway:
        await asyncio.sleep(3600)
        assert not gateway.life.link_up
        assert gateway.happened == []
        assert books.calls.count(PROOF) < 300


@virtual
async def test_another_key_under_the_same_mac_address_is_declined_until_a_person_decides(said):
    books = ProvedBooks(clock=LoopClock(), knows_key=OTHER_KEY.public)
    async with gateway_at(books) as gateway:
        await asyncio.sleep(300)
        assert gateway.happened == []
        assert 25 <= books.calls.count(PROOF) <= 31
        books.keys.clear()
        await asyncio.sleep(15)
        assert gateway.happened == ["approved"]
    assert said.events.count("net.declined") == 1


@virtual
async def test_a_token_is_renewed_before_its_end_without_stopping_a_delivery():
    books = ProvedBooks(clock=LoopClock(), token_life_s=3 * 3600)
    async with gateway_at(books) as gateway:
        for minutes in range(0, 540, 10):
            gateway.outbox.append()
            await asyncio.sleep(600)
            assert gateway.outbox.owed == [], minutes
    assert "token_expired" not in books.refused
    assert 4 <= books.tokens <= 6
    assert gateway.happened == ["approved"]
    assert gateway.identity.credentials.token == f"token-{books.tokens}"
    assert gateway.identity.credentials.token_expires_at > START + timedelta(hours=9)


@virtual
async def test_a_kept_token_with_an_end_is_renewed_too():
    books = ProvedBooks(clock=LoopClock(), token_life_s=7200, knows_key=GATEWAY_KEY.public)
    _, status = books.answer(*CHALLENGE, {}, b"")[0], books._proved_status(MAC)
    async with gateway_at(books, token=status["access_token"]) as gateway:
        await asyncio.sleep(7260)
        assert gateway.happened == []
        assert 2 <= books.tokens <= 3
    assert "token_expired" not in books.refused


@pytest.mark.parametrize("met_by", ["a heartbeat", "a delivery"])
@virtual
async def test_a_token_that_ended_costs_a_quiet_sync(met_by, said):
    books = ProvedBooks(clock=LoopClock(), knows_key=GATEWAY_KEY.public)
    async with gateway_at(books) as gateway:
        await asyncio.sleep(45)
        books.ends = dict.fromkeys(books.ends, books.now())
        if met_by == "a delivery":
            gateway.outbox.append()
            await asyncio.sleep(2)
        else:
            await asyncio.sleep(20)
            gateway.outbox.append()
            await asyncio.sleep(2)
        assert gateway.outbox.owed == []
    assert gateway.happened == ["approved"]
    assert gateway.identity.cleared == 0
    assert "net.credentials_cleared" not in said.events


@virtual
async def test_a_centre_whose_tokens_are_over_at_once_is_not_hammered():
    books = ProvedBooks(clock=LoopClock(), token_life_s=0)
    async with gateway_at(books):
        await asyncio.sleep(3600)
    assert len(books.calls) < 3 * 200


@virtual
async def test_a_clock_that_is_a_day_ahead_does_not_spend_tokens():
    class Ahead(LoopClock):
        def now(self):
            return super().now() - timedelta(days=1)

    books = ProvedBooks(clock=Ahead(), token_life_s=7200)
    async with gateway_at(books):
        await asyncio.sleep(7200)
    assert books.tokens <= 4


@virtual
async def test_a_plain_centre_is_spoken_to_plainly():
    async with gateway_at(Books(), outbox=MemoryOutbox(3)) as gateway:
        await asyncio.sleep(15)
        assert gateway.outbox.owed == []
        assert gateway.books.calls.count(PROOF) == 1
        assert ("GET", f"devices/api/gateways/{MAC}/") in gateway.books.calls


class Begins(ProvedBooks):
    """A front that knows nobody yet, in words that a plain server might use; behind it a centre that wants proofs."""

    begun = False

    def answer(self, method, path, headers, body):
        if not self.begun and (method == "GET" or path == CHALLENGE[1]):
            self.calls.append((method, path))
            return 404, {"detail": "Not found."}
        return super().answer(method, path, headers, body)


@virtual
async def test_a_centre_taken_for_a_plain_one_while_it_began_is_shown_the_proof_after_all():
    books = Begins(clock=LoopClock())
    async with gateway_at(books, outbox=MemoryOutbox(3)) as gateway:
        await asyncio.sleep(30)
        assert "key_required" in books.refused
        books.begun = True
        await asyncio.sleep(90)
        assert gateway.happened[-1] == "approved"
        assert gateway.outbox.owed == []


@virtual
async def test_the_heartbeat_tells_of_host_stations_clock_and_receipt():
    books = ProvedBooks(clock=LoopClock())
    gateway = gateway_at(books, outbox=MemoryOutbox(4))
    report = StationReport("dock-1", "centre", "suwol-1000", "loop://1", "up", "idle")
    gateway.life.read_host = lambda: HostReport("3.11.7", "Linux x86_64", 60, 10, 20)
    gateway.life.read_stations = lambda: ((report,), (StationRefused("dock-9", "no such driver"),))
    alive = []
    gateway.life.on_alive = alive.append
    async with gateway:
        await asyncio.sleep(65)
    last = books.heartbeats[-1]
    assert (last["receipt_seq"], last["disk_free_bytes"], last["uptime_s"]) == (4, 10, 60)
    assert abs(last["clock_offset_ms"]) <= 50
    assert [s["name"] for s in last["stations"]] == ["dock-1"]
    assert [s["name"] for s in last["stations_refused"]] == ["dock-9"]
    assert {a.market_version for a in alive} == {"1"}
    assert gateway.outbox.receipts[-1].upto_seq == 4


@virtual
async def test_a_slow_exchange_says_nothing_of_the_clock():
    books = ProvedBooks(clock=LoopClock())
    gateway = gateway_at(books)
    gateway.weather.latency_s = 2.5
    async with gateway:
        await asyncio.sleep(200)
    assert len(books.heartbeats) > 3
    assert not any("clock_offset_ms" in sign for sign in books.heartbeats)


@virtual
async def test_another_server_key_is_told_once_and_not_believed(said):
    books = ProvedBooks(clock=LoopClock())
    async with gateway_at(books) as gateway:
        await asyncio.sleep(31)
        books.key = OTHER_KEY
        for _ in range(3):
            gateway.weather.state = "away"
            await asyncio.sleep(120)
            gateway.weather.state = "up"
            await asyncio.sleep(120)
    assert gateway.identity.server_key == SERVER_KEY.public
    assert said.events.count("net.server_key_changed") == 1


@virtual
async def test_a_revoked_gateway_loses_its_credentials_and_proves_itself_anew():
    books = ProvedBooks(clock=LoopClock())
    async with gateway_at(books) as gateway:
        await asyncio.sleep(45)
        books.revoke()
        gateway.outbox.append()
        await asyncio.sleep(40)
        assert gateway.happened == ["approved", "cleared", "approved"]
        assert gateway.outbox.owed == []


@virtual
async def test_a_bare_refusal_of_the_heartbeat_is_settled_by_asking_whose_the_token_is():
    class Proxied(ProvedBooks):
        def answer(self, method, path, headers, body):
            if path.endswith("heartbeat/"):
                self.calls.append((method, path))
                return 401, {"detail": "the proxy does not like this"}
            return super().answer(method, path, headers, body)

    books = Proxied(clock=LoopClock())
    async with gateway_at(books, outbox=MemoryOutbox(3)) as gateway:
        await asyncio.sleep(600)
        assert gateway.identity.cleared == 0
        assert gateway.outbox.owed == []
        books.revoke()
        await asyncio.sleep(120)
        assert gateway.identity.cleared >= 1


@virtual
async def test_a_delivery_under_a_foreign_signature_stays_owed():
    books = ProvedBooks(clock=LoopClock(), knows_key=OTHER_KEY.public)
    identity = MemoryIdentity("token-0", GATEWAY_KEY.public)
    books.gateways["token-0"] = "token-0"
    books.ends["token-0"] = START + timedelta(days=1)
    async with gateway_at(books, identity=identity, outbox=MemoryOutbox(3)) as gateway:
        await asyncio.sleep(600)
        assert gateway.outbox.owed == [1, 2, 3]
        assert gateway.identity.cleared == 0
        assert gateway.uplink.ready
    assert books.held == {}


@virtual
async def test_the_address_and_name_of_the_gateway_reach_the_centre_with_the_proof():
    seen = []

    class Listens(ProvedBooks):
        def _prove(self, stated):
            seen.append(stated)
            return super()._prove(stated)

    identity = MemoryIdentity(public_key=GATEWAY_KEY.public)
    identity.credentials = replace(identity.credentials, hostname="dock-pc")
    async with gateway_at(Listens(clock=LoopClock()), identity=identity):
        await asyncio.sleep(1)
    assert (seen[0]["hostname"], seen[0]["ip_address"], seen[0]["name"]) == ("dock-pc", "192.0.2.10", "Dock")
