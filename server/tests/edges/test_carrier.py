"""What else an edge asks and tells over REST: sessions with their tag, offline batches, signs of life."""

import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from edge_api import event, joined, session
from scaleledger_server.devices.models import Gateway, GatewayAlarm
from scaleledger_server.devices.services import watch
from scaleledger_server.labels.models import Printer
from scaleledger_server.shifts.models import Edge, Scale, SessionChange
from scaleledger_server.weighing.models import OfflineBatch

pytestmark = pytest.mark.django_db


@pytest.fixture
def api():
    return joined()


def told_sessions(api, query="device_ids=SCALE-01,SCALE-02", **headers):
    status, body = api.get(f"sessions?{query}", **headers)
    return status, body, api.answer.headers.get("ETag", "")


def test_it_works(api):
    began = session(api.scale(), animal_species="cattle")
    status, body, tag = told_sessions(api)
    assert (status, body["ended"]) == (200, [])
    [told] = body["sessions"]
    assert (told["cloudSessionId"], told["deviceId"], told["animalTag"], told["animalSpecies"], told["status"]) == (
        str(began.pk), "SCALE-01", "TR-0001", "cattle", "active",
    )  # fmt: skip
    assert tag.startswith('"sessions-')
    assert len(tag) == len('"sessions-') + 17


def test_an_unchanged_list_is_one_statement_and_no_body_and_a_changed_one_is_told_at_once(api):
    began = session(api.scale())
    _, _, tag = told_sessions(api)
    for shown in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        with CaptureQueriesContext(connection) as made:
            assert told_sessions(api, **{"If-None-Match": shown}) == (304, None, tag)
        assert len(made) == 2, "who asks, and whether there is news"
    SessionChange.objects.create(session=began, at=timezone.now(), status="paused")
    status, _, newer = told_sessions(api, **{"If-None-Match": tag})
    assert (status, newer != tag) == (200, True)
    assert told_sessions(api, "device_ids=SCALE-02", **{"If-None-Match": newer})[0] == 200, "another question"


def test_ends_are_told_for_a_day(api):
    now = timezone.now()
    for hours, tag in ((1, "A"), (23, "B"), (25, "C")):
        session(
            api.scale(), tag, status="ended", ended_at=now - timedelta(hours=hours), started_at=now - timedelta(days=2)
        )
    assert len(told_sessions(api)[1]["ended"]) == 2


def test_only_ones_own_sessions_are_told(api):
    session(joined("plant-2").scale())
    session(api.scale("SCALE-09"))
    assert told_sessions(api)[1]["sessions"] == []
    assert len(told_sessions(api, "")[1]["sessions"]) == 1


@pytest.mark.parametrize("query", ["device_ids=" + ",".join(["x"] * 501), "device_ids=a%00b"])
def test_a_question_that_cannot_be_answered_is_refused(api, query):
    assert told_sessions(api, query)[0] == 422


def batch_told(batch, events, **fields):
    now = timezone.now()
    told = {
        "batchId": batch,
        "deviceId": "SCALE-01",
        "eventIds": [one["localEventId"] for one in events],
        "eventCount": len(events),
        "totalWeightGrams": sum(one["weightGrams"] for one in events),
        "startedAt": (now - timedelta(minutes=10)).isoformat(),
        "endedAt": now.isoformat(),
    }
    return told | fields


def test_a_batch_is_complete_when_no_event_of_it_is_missing(api):
    batch = str(uuid.uuid4())
    told = [event(offlineMode=True, offlineBatchId=batch) for _ in range(3)]
    api.deliver(*told[:2])
    status, body = api.post("offline-batches/ack", batch_told(batch, told))
    assert (status, body["status"], body["missing"]) == (200, "received", [told[2]["localEventId"]])
    assert OfflineBatch.objects.get().completed_at is None
    api.deliver(told[2])
    status, body = api.post("offline-batches/ack", batch_told(batch, told))
    assert (body["status"], body["missing"]) == ("received", [])
    first = body["receivedAt"]
    row = OfflineBatch.objects.get()
    assert (row.event_count, row.total_grams, row.completed_at.isoformat()) == (3, 3 * 9676, first)
    status, body = api.post("offline-batches/ack", batch_told(batch, told, eventCount=99))
    assert (body["status"], body["missing"], body["receivedAt"]) == ("already_received", [], first)
    assert OfflineBatch.objects.get().event_count == 3


def test_a_batch_whose_edge_counted_events_that_it_never_had_is_not_complete(api):
    """The first programs raise their counts before they store."""
    batch = str(uuid.uuid4())
    told = [event(offlineBatchId=batch) for _ in range(2)]
    api.deliver(*told)
    said = batch_told(batch, told, eventIds=[], eventCount=3)
    assert api.post("offline-batches/ack", said)[1]["status"] == "received"
    assert OfflineBatch.objects.get().completed_at is None
    assert api.post("offline-batches/ack", {**said, "eventCount": 2})[1]["status"] == "received"
    assert OfflineBatch.objects.get().completed_at is not None


def test_an_empty_batch_is_complete_and_known_before_its_events(api):
    batch = str(uuid.uuid4())
    assert api.post("offline-batches/ack", batch_told(batch, []))[1]["missing"] == []
    assert OfflineBatch.objects.get().completed_at is not None
    assert api.deliver(event(offlineBatchId=batch)) == ["accepted"]
    assert OfflineBatch.objects.count() == 1


def test_events_of_another_edge_count_for_nothing(api):
    told = event()
    joined("plant-2").deliver(told)
    body = api.post("offline-batches/ack", batch_told(str(uuid.uuid4()), [told]))[1]
    assert body["missing"] == [told["localEventId"]]


def test_another_edges_batch_cannot_be_ended(api):
    batch, other = str(uuid.uuid4()), joined("plant-2")
    assert api.post("offline-batches/ack", batch_told(batch, []))[0] == 200
    assert other.post("offline-batches/ack", batch_told(batch, []))[0] == 422


@pytest.mark.parametrize(
    "change",
    [
        {"batchId": 1},
        {"eventIds": ["x"]},
        {"eventIds": None},
        {"eventCount": -1},
        {"eventCount": 2**31},
        {"deviceId": ""},
    ],
)
def test_a_batch_that_breaks_the_contract_is_refused(api, change):
    assert api.post("offline-batches/ack", batch_told(str(uuid.uuid4()), [], **change))[0] == 422
    assert not OfflineBatch.objects.exists()


def test_a_large_batch_asks_for_its_missing_in_few_statements(api):
    told = [event() for _ in range(400)]
    api.deliver(*told)
    others = [event() for _ in range(1200)]
    with CaptureQueriesContext(connection) as made:
        body = api.post("offline-batches/ack", batch_told(str(uuid.uuid4()), [*told, *others]))[1]
    assert body["missing"] == [one["localEventId"] for one in others]
    assert len(made) <= 20


def test_what_scales_do_is_kept(api):
    said = {"deviceId": "SCALE-01", "status": "online", "heartbeatCount": 7, "eventCount": 3, "sourceIp": "192.0.2.44"}
    assert api.post("devices/status", {**said, "deviceType": "retail", "globalDeviceId": "x"}) == (200, {"ok": True})
    api.post(
        "devices/status",
        {"deviceId": "SCALE-01", "status": "disconnected", "heartbeatCount": 0, "eventCount": 0, "reason": "closed"},
    )
    scale = Scale.objects.get()
    assert (scale.status, scale.heartbeat_count, scale.source_ip, scale.type) == (
        "disconnected",
        7,
        "192.0.2.44",
        "retail",
    )


def test_a_scale_that_changed_its_name_leaves_no_ghost_connected(api):
    """In the first programs the scale of the old name stayed connected for ever; here the edge's newest word of each stands."""
    for device, status in (("SCALE-01", "online"), ("SCALE-01", "disconnected"), ("SCALE-02", "online")):
        api.post("devices/status", {"deviceId": device, "status": status})
    beat = {"deviceId": "SCALE-01", "status": "disconnected", "lastHeartbeatAt": None}
    api.post("heartbeat", {"devices": [beat, {"deviceId": "SCALE-02", "status": "idle"}]})
    assert dict(Scale.objects.values_list("device_id", "status")) == {"SCALE-01": "disconnected", "SCALE-02": "idle"}


def test_a_heartbeat_tells_of_the_edge_its_scales_and_its_printers(api):
    now = timezone.now()
    body = {
        "version": "0.3.0", "uptimeSec": 3600, "health": "degraded",
        "devices": [{"deviceId": "SCALE-01", "globalDeviceId": "p-SCALE-01", "deviceType": "disassembly", "status": "ONLINE",
                     "lastHeartbeatAt": now.isoformat(), "lastEventAt": None}, {"deviceId": "SCALE-02", "status": "on fire"}],
        "printers": [{"localPrinterId": "tsc-1", "status": "warning", "lastSeenAt": now.isoformat(), "lastError": None,
                      "warnings": ["paper_low"]}],
    }  # fmt: skip
    assert api.post("heartbeat", body) == (200, {"ok": True})
    edge = api.row
    assert (edge.reported["health"], edge.reported["uptime_s"], edge.gateway.reported["version"]) == (
        "degraded",
        3600,
        "0.3.0",
    )
    assert edge.gateway.last_heartbeat is not None
    assert dict(Scale.objects.values_list("device_id", "status")) == {"SCALE-01": "online", "SCALE-02": "unknown"}
    assert Scale.objects.get(device_id="SCALE-01").last_heartbeat_at == now
    printer = Printer.objects.get()
    assert (printer.printer_id, printer.status, printer.warnings) == ("tsc-1", "warning", ["paper_low"])


@pytest.mark.parametrize(
    "body", [[], {"devices": {}}, {"uptimeSec": -1}, {"printers": [{}]}, {"devices": [{"deviceId": "a,b"}]}]
)
def test_a_heartbeat_that_breaks_the_contract_is_refused(api, body):
    assert api.post("heartbeat", body)[0] == 422


def test_an_edge_that_falls_silent_is_late_and_any_call_shows_that_it_lives(api):
    api.post("heartbeat", {})
    past = timezone.now() - timedelta(minutes=10)
    Edge.objects.update(last_seen_at=past)
    Gateway.objects.update(last_heartbeat=past)
    watch(timezone.now())
    assert GatewayAlarm.objects.get().kind == "late"
    assert api.get("config")[0] == 200
    assert not GatewayAlarm.objects.filter(closed_at__isnull=True).exists()
