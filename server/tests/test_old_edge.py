"""An edge that exists today, unchanged and without a key, is served by a real server; and nothing it repeats is held twice."""

import json
import uuid
from functools import partial

import pytest

from administrator import Administrator
from edge_api import event
from old_edge import Disconnected, OldEdge
from racing import together
from server_processes import ServerProcess

PASSWORD = "a password of the tests"


class Plant:
    """A server that allows plain clients, and the person who runs it."""

    def __init__(self, folder):
        self.process = ServerProcess(folder, SCALELEDGER_SERVER_PLAIN_CLIENTS="1")
        self.process.start()
        words = folder / "password"
        words.write_text(PASSWORD)
        self.process.command("administrator", "--name", "admin", "--password-file", str(words))
        self.url = f"http://127.0.0.1:{self.process.port}/api/v1"
        self.person = Administrator(self.process.port, "admin", PASSWORD)

    def approve_all(self):
        found = json.loads(self.process.command("gateways", "--json").stdout)
        for gateway in found:
            chosen = {"action": "approve", "_selected_action": gateway["id"], "confirmed": "yes"}
            assert self.person.post("/admin/devices/gateway/", **chosen)[0] == 302


@pytest.fixture(scope="module")
def plant(tmp_path_factory):
    found = Plant(tmp_path_factory.mktemp("plant"))
    yield found
    if found.process.process.poll() is None:
        found.process.stop()


@pytest.fixture(scope="module")
def edge(plant):
    """An edge that registered, waited and was approved."""
    edge = OldEdge(plant.url)
    edge.register()
    first = edge.edge_id
    with pytest.raises(Disconnected, match="not_approved"):
        edge.is_live()
    edge.register()
    assert (edge.edge_id, edge.lost) == (first, 0), "while it waits it stays who it is"
    plant.approve_all()
    return edge


def test_it_registers_waits_and_lives(edge):
    assert edge.is_live()


def test_it_finds_its_sessions_and_asks_again_by_their_tag(edge):
    edge.tell_status("SCALE-01", "online")
    edge.tag = ""
    assert edge.poll("SCALE-01", "SCALE-02")
    assert not edge.poll("SCALE-01", "SCALE-02")
    assert edge.session_of("SCALE-01") is None


def test_what_it_repeats_is_held_once(plant, edge):
    one = event()
    assert [edge.post(one) for _ in range(3)] == ["accepted", "duplicate", "duplicate"]
    batch = str(uuid.uuid4())
    many = [event(offlineMode=True, offlineBatchId=batch, deviceId="SCALE-02") for _ in range(120)]
    assert edge.post_batch(many) == ["accepted"] * 120
    assert edge.post_batch(many) == ["duplicate"] * 120
    assert [edge.end_batch(batch, "SCALE-02", many) for _ in range(2)] == ["received", "already_received"]
    held = [json.loads(line)["uuid"] for line in plant.process.command("records", "--each").stdout.splitlines()]
    assert sorted(held) == sorted(told["localEventId"] for told in [one, *many])
    assert plant.process.rows("SELECT count(*), sum(net_grams) FROM weighing_cut") == [(121, 121 * 9676)]


def test_its_other_calls_are_answered(edge):
    edge.beat("SCALE-01", "SCALE-02")
    edge.tell_status("SCALE-01", "disconnected")


def test_the_same_events_over_many_connections_at_once_are_held_once(plant, edge):
    batch = str(uuid.uuid4())
    before = plant.process.rows("SELECT count(*) FROM weighing_cut")[0][0]
    told = [event(deviceId=f"SCALE-1{n % 3}", offlineMode=True, offlineBatchId=batch) for n in range(45)]

    def deliver(number):
        statuses = edge.post_batch([*told[number:], *told[:number]])
        return statuses.count("accepted")

    counts = together(*(partial(deliver, 5 * number) for number in range(6)))
    held = plant.process.rows("SELECT count(*) FROM weighing_cut")[0][0] - before
    assert (sum(counts), held) == (45, 45)


def test_after_a_kill_all_that_was_answered_is_there(plant, edge):
    told = [event() for _ in range(60)]
    assert edge.post_batch(told) == ["accepted"] * 60
    plant.process.kill()
    plant.process.start()
    edge.port = plant.process.port
    assert edge.post_batch(told) == ["duplicate"] * 60


def test_a_server_that_does_not_know_it_any_more_makes_it_register_anew(edge):
    stranger = OldEdge(f"http://{edge.host}:{edge.port}/api/v1/edge/")
    stranger.edge_id = str(uuid.uuid4())
    with pytest.raises(Disconnected, match="invalid_edge"):
        stranger.is_live()
    assert (stranger.lost, stranger.edge_id) == (1, None)
    stranger.register()
    assert stranger.edge_id
