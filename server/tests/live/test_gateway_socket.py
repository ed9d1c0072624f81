"""The gateway's own socket: who may be on it, what is told there, and what ends it."""

import asyncio
import contextlib
import json
import time

import pytest
from websockets.exceptions import ConnectionClosed

from gateway_ledgers import LedgerOf
from live_sockets import Centre, GatewayLine, Line, PageLine
from scaleledger_server.live.gateway_socket import gateway_socket
from server_api import example
from server_processes import Client

PLAIN_MAC = "02:5a:1e:d6:e4:51"


def code_of(centre, gateway_id, token="", **others):
    with GatewayLine(centre.port, gateway_id, token, **others) as line:
        return line.closed_with()


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    """A server that takes no plain clients and shows pages to nobody without a login."""
    with Centre(tmp_path_factory.mktemp("strict")) as centre:
        yield centre


def plain_gateway(centre, mac):
    """The id of a gateway that shows no key, approved."""
    with Client(centre.port) as client:
        assert client.post("/devices/api/gateways/", LedgerOf(mac).registration())[0] in (200, 201)
        centre.command("approve", mac)
        return client.get(f"/devices/api/gateways/{mac}/")[1]["id"]


def test_a_wrong_token_and_another_gateways_token_are_refused_alike(centre, enrolled):
    _, gateway_id, token = enrolled
    assert code_of(centre, gateway_id, "x" * 43) == 4401
    assert code_of(centre, gateway_id, token, scheme="Basic") == 4401
    assert code_of(centre, gateway_id + 100, token) == 4401
    assert code_of(centre, gateway_id + 100, "x" * 43) == 4401


def test_a_gateway_with_a_key_needs_its_token_even_where_plain_clients_are_allowed(centre, enrolled):
    _, gateway_id, _ = enrolled
    assert code_of(centre, gateway_id) == 4401


def test_a_plain_client_needs_no_header_where_that_is_allowed(centre):
    with GatewayLine(centre.port, plain_gateway(centre, PLAIN_MAC)) as line:
        line.hears_nothing(0.3)


def test_without_a_header_a_strict_server_says_that_it_takes_no_plain_clients(strict):
    assert code_of(strict, 1) == 4403


def test_a_newer_connection_ends_the_older_one(centre, enrolled):
    _, gateway_id, token = enrolled
    with GatewayLine(centre.port, gateway_id, token) as older, GatewayLine(centre.port, gateway_id, token) as newer:
        assert older.closed_with() == 4409
        newer.hears_nothing(0.3)


class SocketInMemory:
    """A gateway's socket that opens, says nothing, and tells how it was closed."""

    def __init__(self):
        self._to_come = [{"type": "websocket.connect"}]
        self.accepted, self.closed = asyncio.Event(), asyncio.Queue()

    async def receive(self):
        return self._to_come.pop() if self._to_come else await asyncio.get_running_loop().create_future()

    async def send(self, message):
        self.accepted.set()
        if message["type"] == "websocket.close":
            self.closed.put_nowait(message["code"])


class WireThatPassesOnAtOnce:
    def __init__(self):
        self.callbacks, self.announced = [], asyncio.Event()

    def join(self, _group, callback):
        self.callbacks.append(callback)

    def leave(self, _group, callback):
        self.callbacks.remove(callback)

    def on_restored(self, _callback): ...
    def forget_restored(self, _callback): ...

    def post(self, _group, message):
        for callback in tuple(self.callbacks):
            callback(message)
        self.announced.set()


async def test_of_two_connections_the_older_one_ends_though_it_was_let_in_later(monkeypatch):
    """The newer one may have said that it is there while the older one's right to connect was still looked up."""
    lookups = [asyncio.Event(), asyncio.Event()]
    asked = iter(lookups)
    monkeypatch.setattr("scaleledger_server.live.centre.may_connect", lambda *_: next(asked).wait())
    wire, older, newer = WireThatPassesOnAtOnce(), SocketInMemory(), SocketInMemory()
    scope = {"url_route": {"kwargs": {"gateway_id": 1}}, "headers": [], "state": {"switchboard": wire}}
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        running = []
        for socket in (older, newer):
            running.append(tasks.create_task(gateway_socket(scope, socket.receive, socket.send)))
            await socket.accepted.wait()
        for lookup in reversed(lookups):
            wire.announced.clear()
            lookup.set()
            await wire.announced.wait()
        assert await older.closed.get() == 4409
        assert newer.closed.empty()
        for task in running:
            task.cancel()


@pytest.mark.parametrize(
    "name", ["channel_from_gateway.live", "channel_from_gateway.plain", "channel_from_gateway.scanned"]
)
def test_every_example_of_the_contract_is_taken(centre, enrolled, name):
    _, gateway_id, token = enrolled
    with GatewayLine(centre.port, gateway_id, token) as line:
        for _ in range(3):
            line.say(example(name))
        line.say({"type": "something.new", "payload": {"of": "a later version"}})
        line.hears_nothing(0.3)


def test_scanned_ports_are_kept(centre, enrolled):
    _, gateway_id, token = enrolled
    with GatewayLine(centre.port, gateway_id, token) as line:
        line.say(example("channel_from_gateway.scanned"))
        end = time.monotonic() + 10
        while not (kept := centre.rows("SELECT device, vid FROM devices_scannedport")):
            assert time.monotonic() < end
            time.sleep(0.05)
    assert [tuple(row) for row in kept] == [("/dev/ttyUSB0", "1027")]


def test_what_cannot_be_read_is_borne_a_hundred_times(centre, enrolled):
    _, gateway_id, token = enrolled
    with GatewayLine(centre.port, gateway_id, token) as line:
        broken = [
            "no json",
            "[]",
            "{}",
            b"\xff\xfe",
            '{"type":"weight_update","value":NaN}',
            '{"type":"weight_update"}',
        ]
        for step in range(99):
            line.say(broken[step % len(broken)])
            time.sleep(0.021)  # within the pace that is allowed
        line.hears_nothing(0.3)
        line.say("no json")
        assert line.closed_with() == 4400


def test_more_than_fifty_messages_a_second_end_the_socket(centre, enrolled):
    _, gateway_id, token = enrolled
    with GatewayLine(centre.port, gateway_id, token) as line:
        with contextlib.suppress(ConnectionClosed):  # it may end before all is said
            for _ in range(300):
                line.say({"type": "weight_update", "value": 1})
        assert line.closed_with() == 4400


def test_a_frame_that_is_too_large_ends_the_socket(centre, enrolled):
    _, gateway_id, token = enrolled
    with GatewayLine(centre.port, gateway_id, token) as line:
        line.say(json.dumps({"type": "x", "payload": "x" * 70_000}))
        assert line.closed_with() == 1009


def test_a_plain_client_gets_its_token_when_it_is_approved_and_no_other(centre, enrolled):
    mac = "02:5a:1e:d6:e4:52"
    with Line(centre.port, "/ws/devices/gateways/provisioning/") as line:
        assert line.hear() == example("provisioning_to_client.identify")
        line.say({"type": "something.else"})
        identity = example("provisioning_from_client.identity")
        identity["payload"]["mac_address"] = mac.upper().replace(":", "-")
        line.say(identity)
        line.hears_nothing(0.5)
        centre.command("approve", mac)
        message = line.hear()
    assert message["type"] == "gateway.registered"
    token = message["payload"]["access_token"]
    with Client(centre.port, token) as client:
        status, body = client.get("/devices/api/gateways/self/")
    assert (status, body["mac_address"], body["access_token"]) == (200, mac, token)
    assert plain_socket_works(centre, body["id"], token)

    ledger, _, _ = enrolled
    with Line(centre.port, "/ws/devices/gateways/provisioning/") as line:
        line.hear()
        identity["payload"]["mac_address"] = ledger.mac
        line.say(identity)
        refused = line.hear()
        assert (refused["type"], refused["payload"]["code"]) == ("refused", "mac_conflict")
        assert line.closed_with() == 4403


def plain_socket_works(centre, gateway_id, token):
    with GatewayLine(centre.port, gateway_id, token, scheme="Gateway") as line:
        line.hears_nothing(0.2)
    return True


@pytest.mark.parametrize(
    "payload", [{"mac_address": "nonsense", "hostname": "a", "ip_address": "b"}, {"mac_address": 7}, {}, "text"]
)
def test_an_identity_that_is_none_is_refused(centre, payload):
    with Line(centre.port, "/ws/devices/gateways/provisioning/") as line:
        line.hear()
        line.say({"type": "identity", "payload": payload})
        assert line.hear()["payload"]["code"] == "invalid"
        assert line.closed_with() == 4403


def test_a_strict_server_refuses_provisioning_in_words(strict):
    with Line(strict.port, "/ws/devices/gateways/provisioning/") as line:
        refused = line.hear()
        assert (refused["type"], refused["payload"]["code"]) == ("refused", "key_required")
        assert line.closed_with() == 4403


def test_live_weights_are_for_people_who_are_logged_in(strict):
    with PageLine(strict.port) as page:
        assert page.closed_with() == 4401
    with PageLine(strict.port, session="x" * 32) as page:
        assert page.closed_with() == 4401


def test_a_server_that_stops_says_so_to_gateways_and_pages(tmp_path):
    with Centre(tmp_path, OPEN_PAGES="1") as centre:
        gateway_id, token = centre.enrol(LedgerOf(signed=True))
        with GatewayLine(centre.port, gateway_id, token) as gateway, PageLine(centre.port) as page:
            page.watch()
            gateway.hear()
            status, printed = centre.stop()
            assert (gateway.closed_with(), page.closed_with()) == (1012, 1012)
    assert status == 0, printed
    assert "Traceback" not in printed
