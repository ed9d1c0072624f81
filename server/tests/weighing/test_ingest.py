"""Records are taken in once, whatever is repeated, reordered or forged."""

import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from gateway_ledgers import LedgerOf, canonical
from scaleledger_server.devices.models import Gateway, HeadAlarm
from scaleledger_server.weighing import chain, queries
from scaleledger_server.weighing.models import IngestConflict, WeighingRecord
from server_api import as_contract, example, join


def test_it_works(db):
    gateway, api = join(LedgerOf())
    outcomes, body = api.deliver_batch(example("weighing_batch.two"))
    assert outcomes == ["created", "created"]
    assert body["anchor"] == example("batch_result.mixed")["anchor"]
    assert api.deliver_batch(example("weighing_batch.two"))[0] == ["held", "held"]
    status, stored = api.deliver(example("weighing_record.ledger"))
    expected = {**example("stored_record.ledger"), "received_at": stored["received_at"]}
    assert (status, as_contract(stored, "stored_record")) == (200, expected)
    assert chain.check(gateway).ok
    assert queries.counts() == {
        "total": 2, "gateways": {gateway.mac_address: 2}, "stations": {"dock-1": 2}, "duplicates": 0,
    }  # fmt: skip


def test_the_mixed_example_is_what_the_server_says(db):
    _, api = join(LedgerOf())
    batch = example("weighing_batch.two")
    batch["records"][1]["measured_at"] = "soon"
    _, body = api.deliver_batch(batch)
    receipt = body.pop("receipt")
    assert body == example("batch_result.mixed")
    assert (receipt["upto_seq"], receipt["hash"]) == (1, batch["records"][0]["ledger"]["hash"])


@pytest.mark.parametrize("name", ["weighing_record.plain", "weighing_record.ledger"])
def test_one_record_is_created_and_then_held(db, name):
    _, api = join(LedgerOf())
    answers = [api.deliver(example(name)) for _ in range(2)]
    assert [status for status, _ in answers] == [201, 200]
    assert answers[0][1] == answers[1][1]
    as_contract(answers[0][1], "stored_record")


def test_the_printed_digits_are_kept(joined, ledger):
    _, api = joined
    body = json.dumps(ledger.record(weight="75.50")).encode()
    headers = api.headers() | api._signature(body)
    answer = api.client.post("/api/weighing/records/", body, content_type="application/json", headers=headers)
    assert b'"weight": 75.50,' in answer.content
    assert WeighingRecord.objects.get().weight_text == "75.50"


def test_weights_are_exact(joined):
    _, api = joined
    for number, weight in enumerate(("12345678901234.123456", "-0.000001", "3", "1e2", "0.30")):
        body = f'{{"uuid":"{number:08d}-0000-4000-8000-000000000000","rfid_uid":"","weight":{weight},'
        body += '"measured_at":"2026-11-21T02:10:01+00:00"}'
        assert api.post("/api/weighing/records/", body.encode())[0] == 201, weight
    texts = list(WeighingRecord.objects.order_by("id").values_list("weight_text", flat=True))
    assert texts == ["12345678901234.123456", "-0.000001", "3", "100", "0.30"]


def test_the_same_uuid_with_other_content_is_a_conflict(joined, ledger):
    gateway, api = joined
    record = ledger.record()
    api.deliver(record)
    plain = {name: record[name] for name in ("uuid", "rfid_uid", "weight", "measured_at")}
    assert api.deliver(plain)[0] == 200, "a client without a ledger tells the same weighing"
    for _ in range(2):
        status, body = api.deliver({**plain, "weight": 9.5})
        assert (status, body["code"]) == (409, "uuid_conflict")
    row = IngestConflict.objects.get()
    assert (row.kind, row.times, json.loads(row.content)["weight"]) == ("uuid", 2, "9.5")
    assert WeighingRecord.objects.get().weight_text == "152.50"
    assert chain.check(gateway).ok


def test_the_same_number_with_another_uuid_is_a_conflict(joined, ledger):
    _, api = joined
    first, fork = ledger.record(), LedgerOf(ledger.mac).record(weight="1.00")
    assert api.deliver(first)[0] == 201
    assert api.deliver(fork)[1]["code"] == "uuid_conflict"
    assert IngestConflict.objects.get().kind == "seq"


def test_a_fork_is_not_followed(joined, ledger):
    gateway, api = joined
    api.deliver_batch(ledger.batch(3))
    fork = LedgerOf(ledger.mac)
    records = fork.records(5)
    outcomes, _ = api.deliver_batch({"records": records, "head": ledger.head()})
    assert outcomes == ["conflict", "invalid", "invalid", "invalid", "created"], "the fifth has no predecessor here yet"
    report = chain.check(gateway)
    assert (report.bad.seq, report.records) == (4, 3)


def test_a_foreign_uuid_is_a_conflict_and_tells_nothing(joined, ledger):
    _, api = joined
    record = ledger.record()
    api.deliver(record)
    _, other = join(LedgerOf("02:00:00:00:00:02"))
    plain = {name: record[name] for name in ("uuid", "rfid_uid", "weight", "measured_at")}
    status, body = other.deliver(plain)
    assert (status, body["code"]) == (409, "uuid_conflict")
    assert ledger.mac not in json.dumps(body)


def test_a_copy_in_the_same_batch_is_held(joined, ledger):
    _, api = joined
    record = ledger.record()
    altered = {**record, "rfid_uid": "other"}
    del altered["ledger"]
    outcomes, _ = api.deliver_batch({"records": [record, record, altered], "head": ledger.head()})
    assert outcomes == ["created", "held", "conflict"]


def test_a_hash_that_does_not_follow_is_invalid_and_the_others_are_stored(joined, ledger):
    gateway, api = joined
    records = ledger.records(4)
    good = dict(records[1]["ledger"])
    records[1] = {**records[1], "ledger": {**good, "hash": "0" * 63 + "1"}}
    outcomes, body = api.deliver_batch({"records": records, "head": ledger.head()})
    assert outcomes == ["created", "invalid", "created", "created"]
    assert body["results"][1]["detail"] == "hash does not follow"
    assert IngestConflict.objects.get().kind == "chain"
    assert chain.check(gateway).bad == chain.Bad(2, "is missing")
    records[1]["ledger"] = good
    assert api.deliver_batch({"records": records, "head": ledger.head()})[0] == ["held", "created", "held", "held"]
    assert chain.check(gateway).ok


def test_batches_may_overtake_each_other(joined, ledger):
    gateway, api = joined
    early, late = ledger.batch(3), ledger.batch(3)
    assert api.deliver_batch(late)[0] == ["created"] * 3
    assert chain.check(gateway).bad == chain.Bad(1, "is missing")
    assert api.deliver_batch(early)[0] == ["created"] * 3
    report = chain.check(gateway)
    assert (report.ok, report.records, report.anchor_seq, report.pending) == (True, 6, 6, 0)
    assert not IngestConflict.objects.exists()


def test_a_predecessor_that_does_not_fit_what_came_first_is_an_alarm(joined, ledger):
    gateway, api = joined
    ledger.record()
    second = ledger.record()
    api.deliver(second)
    other_first = LedgerOf(ledger.mac).record(weight="1.00")
    assert api.deliver(other_first)[0] == 201
    assert IngestConflict.objects.get().kind == "successor"
    assert chain.check(gateway).bad.seq == 2


@pytest.mark.parametrize(
    ("outer", "inner", "field"),
    [
        ({"weight": 152.51}, {}, "payload.weight"),
        ({"rfid_uid": "other"}, {}, "payload.card"),
        ({"measured_at": "2026-11-21T02:10:02+00:00"}, {}, "payload.measured_at"),
        ({"uuid": "0192f0c1-7a00-7000-8000-000000000009"}, {}, "payload.uuid"),
        ({}, {"gateway": "02:00:00:00:00:02"}, "payload.gateway"),
        ({}, {"v": 2}, "payload.v"),
        ({}, {"v": True}, "payload.v"),
        ({}, {"kind": "gift"}, "payload.kind"),
        ({}, {"kind": ["weighing"]}, "payload.kind"),
        ({}, {"station": ""}, "payload.station"),
        ({}, {"unit": "kilograms"}, "payload.unit"),
        ({}, {"refers_to": 5}, "payload.refers_to"),
        ({}, {"details": {"filler": "x" * 16_384}}, "ledger.payload"),
    ],
)
def test_a_record_whose_halves_disagree_is_refused(joined, ledger, outer, inner, field):
    _, api = joined
    status, body = api.deliver(ledger.record(outer, **inner))
    assert (status, body["code"], body["field"]) == (422, "invalid", field)
    assert not WeighingRecord.objects.exists()


def test_the_same_instant_in_another_zone_agrees(joined, ledger):
    _, api = joined
    assert api.deliver(ledger.record({"measured_at": "2026-11-21T11:10:01+09:00"}))[0] == 201


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("weight", "152.5"), ("weight", None), ("weight", True), ("weight", 1e14), ("weight", 0.0000001),
        ("weight", 10**400), ("weight", float("nan")), ("weight", float("inf")), ("weight", [1]),
        ("measured_at", "2026-11-21T02:10:01"), ("measured_at", "1969-12-31T23:59:59+00:00"),
        ("measured_at", "2999-01-01T00:00:00+00:00"), ("measured_at", "9999-12-31T23:59:59-23:59"),
        ("measured_at", "0001-01-01T00:00:00+23:59"), ("measured_at", 5), ("measured_at", "x" * 10_000),
        ("uuid", "0192F0C1-7A00-7000-8000-000000000001"), ("uuid", None), ("uuid", "x"),
        ("rfid_uid", "x" * 51), ("rfid_uid", None), ("rfid_uid", "a\0"), ("rfid_uid", "\udc80"),
        ("ledger", None), ("ledger", {}), ("ledger", []), ("surprise", 1),
    ],
)  # fmt: skip
def test_a_field_that_cannot_be_meant_is_refused_alone(joined, ledger, name, value):
    _, api = joined
    bad = {**example("weighing_record.plain"), name: value}
    status, body = api.deliver(bad)
    assert (status, body["code"]) == (422, "invalid")
    outcomes, _ = api.deliver_batch({"records": [bad, ledger.record()], "head": ledger.head()})
    assert outcomes == ["invalid", "created"]
    assert WeighingRecord.objects.count() == 1


@pytest.mark.parametrize("number", ["1e999", "-1e999999999999999999999", "NaN", "-Infinity", "1e-400", "0.1234567"])
def test_a_number_beyond_all_scales_is_refused(joined, number):
    _, api = joined
    text = json.dumps(example("weighing_record.plain")).replace("152.5", number)
    status, body = api.post("/api/weighing/records/", text.encode())
    assert (status, body["field"]) == (422, "weight")


def test_a_broken_envelope_is_refused_whole(joined, ledger):
    _, api = joined
    record, head = ledger.record(), ledger.head()
    broken = [
        {"records": [], "head": head},
        {"records": [record] * 501, "head": head},
        {"records": {}, "head": head},
        {"records": [record]},
        {"records": [record], "head": {**head, "signature": "x"}},
        {"records": [record], "head": head, "more": 1},
    ]
    for batch in broken:
        assert api.post("/api/weighing/records/batch/", batch)[0] == 422
    assert not WeighingRecord.objects.exists()


def test_a_head_that_contradicts_its_own_batch_is_not_believed(db):
    ledger = LedgerOf()
    gateway, api = join(ledger)
    batch = ledger.batch(2)
    batch["head"]["hash"] = "1" * 64
    outcomes, body = api.deliver_batch(batch)
    assert (outcomes, body["anchor"]) == (["created", "created"], None)
    assert HeadAlarm.objects.get().gateway == gateway


def test_a_forged_head_does_not_refuse_the_records(joined, ledger):
    _, api = joined
    batch = ledger.batch(2)
    batch["head"]["signature"] = "ab" * 64
    outcomes, body = api.deliver_batch(batch)
    assert (outcomes, body["anchor"]) == (["created", "created"], None)
    assert HeadAlarm.objects.get().kind == "signature"


def test_one_record_costs_as_many_statements_as_five_hundred(joined, ledger):
    _, api = joined
    api.deliver_batch(ledger.batch(1))
    costs = []
    for size in (1, 500):
        batch = ledger.batch(size)
        for _ in range(2):  # new, and then held
            with CaptureQueriesContext(connection) as spent:
                api.deliver_batch(batch)
            costs.append(len(spent))
    assert costs[:2] == costs[2:]
    assert max(costs) <= 14


def test_payload_text_beyond_ascii_is_hashed_as_utf8(joined, ledger):
    gateway, api = joined
    assert api.deliver(ledger.record(station="부두-1 ü"))[0] == 201
    assert chain.check(gateway).ok
    assert canonical({"a": "부"}) == '{"a":"부"}'


def test_records_of_a_gateway_keep_it(joined, ledger):
    gateway, api = joined
    api.deliver(ledger.record())
    with pytest.raises(Exception, match="protected"):
        gateway.delete()
    assert Gateway.objects.count() == 1
