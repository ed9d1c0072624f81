"""What the first clients send is taken in once, and compressed bodies are, within their bounds."""

import gzip
import json
from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.utils import timezone

from gateway_ledgers import LedgerOf
from scaleledger_server.limits import BODY_BYTES_MAX
from scaleledger_server.weighing.models import WeighingRecord
from server_api import as_contract, example, join

PATH = "/weighing/api/records/"


@pytest.fixture
def plain(db, monkeypatch):
    monkeypatch.setattr(django_settings, "PLAIN_CLIENTS", True)
    _, api = join(LedgerOf())
    return api


def test_it_works(plain):
    record = as_contract(example("plain_record.integer"), "plain_record")
    answers = [plain.post(PATH, record) for _ in range(2)]
    assert [status for status, _ in answers] == [201, 200]
    assert answers[0][1] == answers[1][1]
    told = answers[0][1]
    assert {name: told[name] for name in ("uuid", "rfid_card_uid", "weight")} == {
        name: record[name] for name in ("uuid", "rfid_card_uid", "weight")
    }
    row = WeighingRecord.objects.get()
    assert (row.weight_text, row.rfid_uid, row.seq, row.measured_at.isoformat()) == (
        "1850", "A1B2C3D4", None, "2026-11-21T02:02:00+00:00",
    )  # fmt: skip


def test_the_same_uuid_with_other_content_is_a_conflict(plain):
    record = example("plain_record.integer")
    plain.post(PATH, record)
    status, body = plain.post(PATH, {**record, "weight": 1851})
    assert (status, body["code"]) == (409, "uuid_conflict")


@pytest.mark.parametrize(("ahead_min", "suspect"), [(-600, False), (4, False), (6, True), (540, True)])
def test_a_weighing_from_the_future_is_kept_and_marked(plain, ahead_min, suspect):
    at = timezone.now() + timedelta(minutes=ahead_min)
    assert plain.post(PATH, {**example("plain_record.integer"), "measured_at": at.isoformat()})[0] == 201
    row = WeighingRecord.objects.get()
    assert (row.time_suspect, row.measured_at) == (suspect, at)


@pytest.mark.parametrize("change", [{"rfid_uid": "x"}, {"weight": "1850"}, {"weight": None}, {"measured_at": "soon"}])
def test_what_breaks_the_schema_is_refused(plain, change):
    status, body = plain.post(PATH, {**example("plain_record.integer"), **change})
    assert (status, body["code"]) == (422, "invalid")
    assert not WeighingRecord.objects.exists()


def test_plain_records_are_refused_where_keys_are_required(plain, monkeypatch):
    monkeypatch.setattr(django_settings, "PLAIN_CLIENTS", False)
    status, body = plain.post(PATH, example("plain_record.integer"))
    assert (status, body["code"]) == (403, "key_required")
    assert not WeighingRecord.objects.exists()


def post_packed(api, packed, signed_body=b"", packing="gzip"):
    headers = {**api.headers(), "Content-Encoding": packing, **api._signature(signed_body)}
    return api._checked(
        api.client.post("/api/weighing/records/batch/", packed, content_type="application/json", headers=headers)
    )


def test_a_compressed_batch_is_taken_in_and_its_signature_is_over_what_was_packed(joined, ledger):
    _, api = joined
    body = json.dumps(ledger.batch(20)).encode()
    status, answer = post_packed(api, gzip.compress(body), body)
    assert (status, answer["receipt"]["upto_seq"]) == (200, 20)
    assert post_packed(api, gzip.compress(body), gzip.compress(body))[1]["code"] == "signature_wrong"


@pytest.mark.parametrize(
    ("packed", "packing", "code"),
    [
        (gzip.compress(b" " * 100_000), "gzip", "body_too_large"),
        (gzip.compress(b" " * (9 * BODY_BYTES_MAX), compresslevel=0)[: BODY_BYTES_MAX + 1], "gzip", "body_too_large"),
        (b"not gzip at all", "gzip", "invalid"),
        (gzip.compress(b'{"records": "a tail is missing"}')[:-9], "gzip", "invalid"),
        (gzip.compress(b'{"records": 1}') + b"more", "gzip", "invalid"),
        (b"{}", "br", "invalid"),
    ],
    ids=["bomb", "long", "none", "cut", "more", "other"],
)
def test_a_compressed_body_is_bounded_and_whole(joined, packed, packing, code):
    _, api = joined
    status, body = post_packed(api, packed, packing=packing)
    assert (status in {400, 413}, body["code"]) == (True, code)
