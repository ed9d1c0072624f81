"""Whatever an edge sends, it is told what is wrong in the contract's form, or it is stored; the server never fails at it."""

import json
import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_api import event, joined
from scaleledger_server.weighing.models import Cut, WeighingRecord

PATHS = ["register", "/api/v1/activate", "events", "events/batch", "offline-batches/ack", "devices/status", "heartbeat"]
NAMES = [
    *event(), "grossGrams", "tareGrams", "operator", "flags", "notes", "revision", "measuredAt", "edgeId", "siteId", "code",
    "version", "capabilities", "batchId", "eventIds", "eventCount", "startedAt", "status", "devices", "printers", "uptimeSec",
]  # fmt: skip
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**25), 10**25), st.floats(), st.text(max_size=20),
    st.sampled_from([
        "\0", "\ud800", "9" * 200, "SCALE-01", str(uuid.UUID(int=1)), "2026-11-21T10:00:00Z", "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59", "𝟙", "NaN", "2026-11-21",
    ]),
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=12,
)
pytestmark = pytest.mark.django_db


@pytest.fixture
def api(monkeypatch):
    monkeypatch.setattr("scaleledger_server.rates.spend", lambda *_: None)
    return joined()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(PATHS), body=VALUES)
def test_it_works(api, path, body):
    status, _ = api.post(path, json.dumps(body).encode())
    assert status in {200, 400, 404, 422}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(st.dictionaries(st.sampled_from(NAMES), LEAVES, min_size=1, max_size=2), min_size=1, max_size=4)
)
def test_each_event_of_a_batch_is_judged_alone_and_what_is_accepted_is_held(api, changes):
    told = [event(**change) for change in changes]
    status, body = api.post("events/batch", {"events": [event(), *told]})
    assert status == 200
    statuses = [one["status"] for one in body["results"]]
    assert (statuses[0], len(statuses)) == ("accepted", len(told) + 1)
    for one in body["results"]:
        if one["status"] != "failed":
            assert Cut.objects.filter(pk=one["cloudEventId"]).exists()
            assert WeighingRecord.objects.filter(uuid=one["cloudEventId"]).exists()
