"""A void or a correction is a later word, with a user and a reason, in a chain of its own; the record stays."""

import json

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from databases import append_only_lifted
from scaleledger_server import notices
from scaleledger_server.errors import Invalid, Refusal
from scaleledger_server.weighing import chain, queries, services
from scaleledger_server.weighing.models import Amendment, WeighingRecord

VALUES = {"weight_text": "150.00", "unit": "kg", "rfid_uid": "A1"}


@pytest.fixture
def user(db):
    return User.objects.create_user("ada")


@pytest.fixture
def records(joined, ledger):
    _, api = joined
    api.deliver_batch(ledger.batch(3))
    return list(WeighingRecord.objects.order_by("seq"))


def test_it_works(user, records, django_assert_num_queries):
    services.correct(records[0].uuid, user, " misread ", timezone.now(), **VALUES)
    services.correct(records[0].uuid, user, "again", timezone.now(), **{**VALUES, "weight_text": "151.00"})
    services.void(records[1].uuid, user, "test weight", timezone.now())
    with django_assert_num_queries(1):
        read = queries.effective(records)
    first, second, third = (read[record.uuid] for record in records)
    assert (first.weight_text, first.rfid_uid, first.amended) == ("151.00", "A1", "correction")
    assert (second.weight_text, second.amended) == ("152.50", "void")
    assert third.amended == ""
    assert chain.check_amendments().described() == {"ok": True, "amendments": 3, "bad": None}
    assert WeighingRecord.objects.get(seq=1).weight_text == "152.50"
    assert [a.reason for a in queries.evidence(records[0].uuid).amendments] == ["misread", "again"]


def test_pages_that_watch_are_told_once_it_is_committed(user, records, monkeypatch, django_capture_on_commit_callbacks):
    told = []
    monkeypatch.setattr(notices, "_send", lambda group, message: told.append((group, message["event"]["type"])))
    with django_capture_on_commit_callbacks(execute=True):
        services.void(records[0].uuid, user, "test weight", timezone.now())
        assert told == []
    assert told == [(notices.VIEWERS, "weighings")]


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501, "a\0b"])
def test_a_reason_is_required(user, records, reason):
    with pytest.raises(Invalid) as refused:
        services.void(records[0].uuid, user, reason, timezone.now())
    assert refused.value.field == "reason"


@pytest.mark.parametrize(
    ("name", "value"), [("weight_text", "1e2"), ("weight_text", "NaN"), ("unit", "kilograms"), ("rfid_uid", "x" * 51)]
)
def test_a_correction_has_values_that_can_be_meant(user, records, name, value):
    with pytest.raises(Invalid) as refused:
        services.correct(records[0].uuid, user, "why", timezone.now(), **{**VALUES, name: value})
    assert refused.value.field == name


def test_a_void_record_is_amended_no_more(user, records):
    services.void(records[0].uuid, user, "why", timezone.now())
    with pytest.raises(Invalid, match="void already"):
        services.void(records[0].uuid, user, "why", timezone.now())
    with pytest.raises(Invalid, match="void already"):
        services.correct(records[0].uuid, user, "why", timezone.now(), **VALUES)


def test_what_is_not_held_cannot_be_amended(user):
    with pytest.raises(Refusal) as refused:
        services.void("0192f0c1-7a00-7000-8000-000000000009", user, "why", timezone.now())
    assert refused.value.status == 404


def test_amendments_are_append_only(user, records):
    row = services.void(records[0].uuid, user, "why", timezone.now())
    for act in (row.save, row.delete):
        with pytest.raises(TypeError, match="never"):
            act()
    with pytest.raises(DatabaseError, match="never"), transaction.atomic():
        Amendment.objects.update(reason="x")


@pytest.mark.parametrize(
    ("change", "number", "why"),
    [
        ("UPDATE weighing_amendment SET reason = 'x' WHERE number = 2", 2, "reason was altered"),
        ("UPDATE weighing_amendment SET text = replace(text, 'why', 'not') WHERE number = 1", 1, "does not follow"),
        ("DELETE FROM weighing_amendment WHERE number = 2", 2, "is missing"),
        (f"UPDATE weighing_amendment SET signature = '{'ab' * 64}' WHERE number = 3", 3, "not signed"),
    ],
)
def test_an_altered_amendment_is_named(user, records, change, number, why, capsys):
    for record in records:
        services.void(record.uuid, user, "why", timezone.now())
    with append_only_lifted(connection), connection.cursor() as cursor:
        cursor.execute(change)
    bad = chain.check_amendments().bad
    assert (bad.seq, why in bad.why) == (number, True)
    with pytest.raises(SystemExit):
        call_command("chain_check", "--json")
    assert json.loads(capsys.readouterr().out)["amendments"]["ok"] is False
