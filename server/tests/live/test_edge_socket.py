"""The WebSocket carrier: who is let in, what is told and acknowledged, in what order, and what ends it."""

import contextlib
import time

import pytest
from websockets.exceptions import ConnectionClosed

from edge_lines import EdgeLine, PlantCentre
from plants import event

PATHS = ["/edge/ws", "/edge", "/"]


@pytest.fixture(scope="module")
def centre(tmp_path_factory):
    with PlantCentre(tmp_path_factory.mktemp("plant")) as centre:
        yield centre


@pytest.fixture
def edge(centre):
    with centre.edge() as line:
        yield line


def ids(events):
    return [one["localEventId"] for one in events]


def code_of(line):
    with line:
        return line.closed_with()


def rows_of(centre, query, wanted):
    """What the query answers once it answers what is wanted; else what it answered last."""
    end = time.monotonic() + 10
    while (found := [tuple(row) for row in centre.rows(query)]) != wanted and time.monotonic() < end:
        time.sleep(0.05)
    return found


@pytest.mark.parametrize("path", PATHS)
def test_an_edge_registers_once_and_keeps_its_id(centre, path):
    with centre.edge(path=path) as first:
        edge_id = first.edge_id
        assert first.sessions == {"sessions": [], "ended": []}
    with centre.edge(edge_id, path=path) as again:
        assert again.edge_id == edge_id
        again.register()  # the handshake's header names it, as the first clients send no id in the message
        assert again.edge_id == edge_id


def test_a_wrong_key_an_unknown_edge_and_no_key_are_refused(centre, edge):
    for key, edge_id in (("wrong", None), ("wrong", edge.edge_id), ("", None), ("", edge.edge_id)):
        line = EdgeLine(centre.port, key, edge_id, registers=False)
        line.tell("register", {"edgeId": edge_id})
        assert code_of(line) == 4401


def test_an_edge_that_is_put_out_of_use_is_ended_and_not_let_in_again(centre):
    with centre.edge() as line:
        centre.shell(
            "from scaleledger_server.shifts.models import Edge; from scaleledger_server.devices import services;"
            f"services.revoke(Edge.objects.get(pk={line.edge_id!r}).gateway)"
        )
        again = EdgeLine(centre.port, PlantCentre.KEY, line.edge_id, registers=False)
        again.tell("register", {"edgeId": line.edge_id})
        assert code_of(again) == 4403


def test_nothing_is_taken_before_register(centre):
    line = EdgeLine(centre.port, PlantCentre.KEY, registers=False)
    line.tell("event", event(1))
    line.tell("ping", {})
    assert line.hear_type("pong") == {}
    assert line.passed == []
    line.register()
    assert rows_of(centre, "SELECT 1 FROM weighing_cut WHERE net_grams = 1001", []) == []
    line.__exit__()


def test_a_newer_connection_ends_the_older_one(centre, edge):
    with centre.edge(edge.edge_id) as newer:
        assert edge.closed_with() == 4409
        newer.tell("ping", {})
        newer.hear_type("pong")


def test_each_event_is_acknowledged_in_order_and_once_held_is_a_duplicate(centre, edge):
    sent = [event(number) for number in range(100, 130)]
    for one in sent:
        edge.tell("event", one)
    assert edge.acknowledged(30) == [(name, "accepted") for name in ids(sent)]
    edge.tell("event_batch", {"events": sent[:10]})
    edge.tell("event", sent[10])
    assert edge.acknowledged(11) == [(name, "duplicate") for name in ids(sent[:11])]
    held = centre.rows("SELECT count(*), sum(net_grams) FROM weighing_cut WHERE net_grams BETWEEN 1100 AND 1129")
    assert tuple(held[0]) == (30, sum(range(1100, 1130)))


def test_what_is_wrong_is_rejected_with_a_reason_and_costs_its_neighbours_nothing(edge):
    wrong = event(201, weightGrams="a lot")
    edge.tell("event_batch", {"events": [event(200), wrong, "no event", event(202)]})
    first, second, third, fourth = edge.acknowledged(4)
    assert (first[1], fourth[1]) == ("accepted", "accepted")
    assert second[0] == wrong["localEventId"]
    assert "weightGrams" in second[1]
    assert third[0] == ""


def test_five_hundred_events_fit_into_one_message(edge):
    sent = [event(number, company="K" * 90, operator="O" * 90) for number in range(1000, 1500)]
    edge.tell("event_batch", {"events": sent})
    assert edge.acknowledged(500) == [(name, "accepted") for name in ids(sent)]


def test_an_offline_batch_is_counted_after_the_events_that_came_before_its_end(centre, edge):
    batch = "11111111-2222-8333-8444-555555555555"
    sent = [event(number, offlineMode=True, offlineBatchId=batch) for number in range(300, 340)]
    told = {"batchId": batch, "deviceId": "SCALE-01", "startedAt": "2026-11-21T08:00:00+00:00"}
    edge.tell("offline_batch_start", told)
    for one in sent:
        edge.tell("event", one)
    over = {"endedAt": "2026-11-21T08:30:00+00:00", "eventCount": 40, "totalWeightGrams": 1}
    edge.tell("offline_batch_end", {**told, **over, "eventIds": ids(sent)})
    receipt = edge.hear_type("offline_batch_ack")
    assert (receipt["batchId"], receipt["status"], receipt["missing"]) == (batch, "received", [])
    assert [message["type"] for message in edge.passed] == ["event_ack"] * 40
    missing = event(999)["localEventId"]
    edge.tell("offline_batch_end", {**told, **over, "eventIds": [*ids(sent), missing]})
    receipt = edge.hear_type("offline_batch_ack")
    assert (receipt["status"], receipt["missing"]) == ("already_received", [missing])


def test_what_scales_do_is_kept_and_written_once_for_many_messages(centre):
    query = (
        "SELECT device_id, status, heartbeat_count, source_ip FROM shifts_scale WHERE device_id LIKE 'P-%' ORDER BY 1"
    )
    with centre.edge() as line:
        line.tell("device_connected", {"deviceId": "P-01", "sourceIp": "192.0.2.9", "deviceType": "disassembly"})
        for count in range(1, 80):
            line.tell("device_heartbeat", {"deviceId": "P-01", "status": "idle", "heartbeatCount": count})
        line.tell("device_connected", {"deviceId": "P-02", "sourceIp": "192.0.2.10"})
        line.tell("device_disconnected", {"deviceId": "P-02", "reason": "closed"})
        wanted = [("P-01", "idle", 79, "192.0.2.9"), ("P-02", "disconnected", 0, "192.0.2.10")]
        assert rows_of(centre, query, wanted) == wanted


def test_what_cannot_be_read_is_borne_a_hundred_times(edge):
    for step in range(99):
        edge.say(["no json", "[]", "{}", b"\xff", '{"type":"event_batch","payload":{"events":7}}'][step % 5])
    edge.tell("something_new", {"of": "a later version"})
    edge.tell("event", event(400))
    assert edge.acknowledged(1)[0][1] == "accepted"
    edge.say("no json")
    assert edge.closed_with() == 4400


def test_too_many_messages_that_are_no_events_end_the_socket(edge):
    with contextlib.suppress(ConnectionClosed):  # it may end before all is said
        for _ in range(3000):
            edge.tell("ping", {})
    assert edge.closed_with() == 4400


def test_a_server_that_stops_says_that_it_will_be_back(tmp_path):
    with PlantCentre(tmp_path) as centre, centre.edge() as line:
        status, printed = centre.stop()
        assert line.closed_with() == 1012
    assert status == 0, printed
    assert "Traceback" not in printed
