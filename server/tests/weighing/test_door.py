"""Whatever is thrown at the door: an answer in the contract's form, and never a 5xx."""

import json

import pytest
from django.db import OperationalError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scaleledger_server.limits import BODY_BYTES_MAX
from scaleledger_server.weighing import api as weighing_api
from scaleledger_server.weighing.models import WeighingRecord
from server_api import example

PATHS = [
    "/devices/api/gateways/",
    "/devices/api/gateways/heartbeat/",
    "/api/weighing/records/",
    "/api/weighing/records/batch/",
]
NASTY = [
    b"null", b"[]", b"{}", b'""', b"0", b"true", b"nul", b"{", b"\xff\xfe", b"\x00", b"[" * 10_000 + b"]" * 10_000,
    b'{"a":' * 10_000 + b"1" + b"}" * 10_000, b"9" * 5_000, b'{"uuid":' + b"9" * 5_000 + b"}", b'{"a":1,"a":2}',
    b'"\\ud800"', b'{"\\ud800":1}', b'{"\\u0000":1}', b"NaN", b"[NaN,Infinity]", b"1e999999999999999999999",
    b'{"records":[null,1,"x",[],{},NaN,{"uuid":"\\ud800"},{"uuid":[]}],"head":null}',
    b"\xef\xbb\xbf{}", "{}".encode("utf-16"), b'{"records":' + b"[" * 5_000 + b"]" * 5_000 + b',"head":{}}',
]  # fmt: skip


def test_it_works(joined, ledger):
    _, api = joined
    assert api.deliver(ledger.record())[0] == 201


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", NASTY, ids=range(len(NASTY)))
def test_nasty_bodies_are_refused(joined, path, body):
    _, api = joined
    status, answer = api.post(path, body)
    if body == b"{}" and "heartbeat" in path:
        assert status == 200, "a sign of life may say nothing"
    else:
        assert (status in {400, 422}, answer["code"]) == (True, "invalid")


def test_each_nasty_item_is_refused_alone(joined, ledger):
    _, api = joined
    good = ledger.record()
    for value in (None, 1, "x", [], {}, {"uuid": []}, {"uuid": "\ud800"}, [[]] * 100):
        outcomes, body = api.deliver_batch({"records": [value, good], "head": ledger.head()})
        assert outcomes[0] == "invalid"
        assert body["results"][0]["uuid"] is None
        assert outcomes[1] in {"created", "held"}


@pytest.mark.parametrize(
    "payload", ["null", "[]", "{", "{}", "[" * 8000, '{"v":1,"v":1}', "\ud800\ud800", "a\0", "NaN", "9" * 9000]
)
def test_nasty_payloads_are_refused(joined, ledger, payload):
    _, api = joined
    record = ledger.record()
    record["ledger"]["payload"] = payload
    assert api.deliver(record)[0] == 422


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
FIELDS = ("uuid", "rfid_uid", "weight", "measured_at", "ledger")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(field=st.sampled_from(FIELDS), value=json_values)
def test_no_value_in_any_field_breaks_it(joined, field, value):
    _, api = joined
    status, _ = api.deliver({**example("weighing_record.ledger"), field: value})
    assert status in {201, 200, 409, 422}


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(example("payload.record-1"))), value=json_values)
def test_no_value_in_any_payload_field_breaks_it(joined, ledger, name, value):
    _, api = joined
    record = example("weighing_record.ledger")
    from gateway_ledgers import canonical

    try:
        record["ledger"]["payload"] = canonical({**example("payload.record-1"), name: value})
    except ValueError:
        return
    assert api.deliver(record)[0] in {201, 200, 409, 422}


def test_too_much_is_too_much(joined):
    _, api = joined
    for path in PATHS:
        status, body = api.post(path, b" " * (BODY_BYTES_MAX + 1))
        assert (status, body["code"]) == (413, "body_too_large")


def test_an_empty_body_is_no_record(joined):
    _, api = joined
    assert api.post("/api/weighing/records/")[1]["code"] == "invalid"


@pytest.mark.parametrize(
    "path", ["/api", "/api/", "/api/weighing/records", "/devices/api/", "/devices/api/nope/", "/api/../x"]
)
def test_unknown_paths_answer_in_the_contracts_form(api, path):
    status, body = api.get(path)
    assert (status, body["code"]) == (404, "not_found")


def test_a_wrong_method_answers_in_the_contracts_form(api):
    answer = api.client.put("/api/weighing/records/", b"")
    assert (answer.status_code, answer["Allow"]) == (405, "POST")
    assert answer.json()["code"] == "not_found"


def test_a_wrong_host_answers_in_the_contracts_form(api):
    answer = api.client.get("/api/weighing/records/", headers={"Host": "elsewhere.example"})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")


def test_a_database_that_cannot_write_is_tried_again(joined, ledger, monkeypatch):
    _, api = joined

    def locked(*_):
        raise OperationalError("database is locked")

    monkeypatch.setattr(weighing_api, "ingest", locked)
    body = json.dumps(ledger.record()).encode()
    headers = api.headers() | api._signature(body)
    answer = api.client.post("/api/weighing/records/", body, content_type="application/json", headers=headers)
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert not WeighingRecord.objects.exists()
