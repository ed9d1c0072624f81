"""A batch that goes straight on is added by the shortest way, and ends as it would by the long one."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from gateway_ledgers import LedgerOf
from scaleledger_server.weighing import chain, queries
from scaleledger_server.weighing.ingest import APPENDED_MIN
from scaleledger_server.weighing.inserts import COLUMNS
from scaleledger_server.weighing.models import IngestConflict, RecordKey, WeighingRecord
from server_api import as_contract, join

COUNT = 3 * APPENDED_MIN
NASTY = [
    "tab\there",
    "line\nend",
    "return\rhere",
    "back\\slash",
    "\\.",
    "\\N",
    "부두 \\t",
    '"quoted"',
    "'; --",
    "é\u2028",
]


def batch_of(ledger, inner):
    return {"records": [ledger.record(**fields) for fields in inner], "head": ledger.head()}


def rows_of(gateway):
    names = [name for name in COLUMNS if name not in {"id", "gateway_id", "received_at"}]
    return list(WeighingRecord.objects.filter(gateway=gateway).order_by("seq").values(*names))


def test_it_works(joined, ledger):
    gateway, api = joined
    for _ in range(3):
        outcomes, body = api.deliver_batch(ledger.batch(COUNT))
        assert outcomes == ["created"] * COUNT
    assert (body["receipt"]["upto_seq"], chain.check(gateway).ok) == (3 * COUNT, True)
    assert RecordKey.objects.count() == WeighingRecord.objects.count() == 3 * COUNT
    places = {(key.record_id, key.received_at, key.seq, str(key.uuid)) for key in RecordKey.objects.all()}
    assert places == {(row.pk, row.received_at, row.seq, row.uuid) for row in WeighingRecord.objects.all()}


@pytest.mark.parametrize("inner", [{"station": text} for text in NASTY] + [{"card": text} for text in NASTY])
def test_every_text_is_stored_as_it_came(joined, ledger, inner):
    gateway, api = joined
    assert set(api.deliver_batch(batch_of(ledger, [inner] * COUNT))[0]) == {"created"}
    report = chain.check(gateway)
    assert (report.records, report.bad) == (COUNT, None)


def test_the_rows_are_those_of_single_deliveries(joined, ledger):
    gateway, api = joined
    soon = (timezone.now() + timedelta(minutes=30)).isoformat()
    inner = [
        *({"weight": text} for text in ("0", "-0.5", "152.50", "99999999.015625", "007.10")),
        {"kind": "void", "refers_to": "a\tb"}, {"unit": ""}, {"measured_at": soon}, {"measured_at": "2026-01-01T00:00:00+09:00"},
        {"card": ""},
    ]  # fmt: skip
    records = [ledger.record(**fields) for fields in inner]
    assert set(api.deliver_batch({"records": records, "head": ledger.head()})[0]) == {"created"}
    other, other_api = join(LedgerOf("02:5a:1e:d6:e4:02"))
    singles = LedgerOf(other.mac_address)
    for fields, record in zip(inner, records, strict=True):
        moment = {"measured_at": record["measured_at"]}
        assert other_api.deliver(singles.record(**moment | fields))[0] == 201
    differing = {"uuid", "payload", "hash"}
    ours, theirs = (
        [{k: v for k, v in row.items() if k not in differing} for row in rows_of(g)] for g in (gateway, other)
    )
    assert ours == theirs


@pytest.mark.parametrize("place", [0, 7, COUNT - 1])
def test_a_uuid_that_another_gateway_holds_is_one_conflict_and_the_rest_is_kept(joined, ledger, place):
    _, api = joined
    other, other_api = join(LedgerOf("02:5a:1e:d6:e4:02"))
    held = LedgerOf(other.mac_address).record()
    assert other_api.deliver(held)[0] == 201
    inner = [{"uuid": held["uuid"]} if number == place else {} for number in range(COUNT)]
    outcomes, body = api.deliver_batch(batch_of(ledger, inner))
    assert outcomes == ["conflict" if number == place else "created" for number in range(COUNT)]
    assert body["receipt"]["upto_seq"] == place
    assert queries.counts()["total"] == COUNT
    assert IngestConflict.objects.get().kind == "uuid"


def test_a_uuid_given_twice_in_a_batch_is_one_conflict(joined, ledger):
    _, api = joined
    twice = str(uuid.uuid4())
    outcomes, body = api.deliver_batch(batch_of(ledger, [{"uuid": twice}, *[{}] * COUNT, {"uuid": twice}]))
    assert outcomes == ["created"] * (COUNT + 1) + ["conflict"]
    assert (body["receipt"]["upto_seq"], queries.counts()["total"]) == (COUNT + 1, COUNT + 1)
    as_contract(body, "batch_result")
