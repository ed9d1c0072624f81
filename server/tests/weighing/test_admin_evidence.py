"""Evidence to read and print, in words that follow the facts; voids and corrections are looked at before they are made."""

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from scaleledger_server.devices.models import Gateway
from scaleledger_server.weighing.models import Amendment, WeighingRecord
from tampering import tamper

EVIL = "<script>alert(1)</script>"


@pytest.fixture
def uuids(joined, ledger):
    _, api = joined
    batch = ledger.batch(3)
    api.deliver_batch(batch)
    return [record["uuid"] for record in batch["records"]]


def page_of(client, uuid, name="evidence"):
    answer = client.get(reverse(name, args=[uuid]))
    assert answer.status_code == 200
    assert "default-src 'self'" in answer["Content-Security-Policy"]
    return answer.content.decode()


def signs(client, uuid):
    return [step.holds for step in client.get(reverse("evidence", args=[uuid])).context["steps"]]


def test_it_works(administrator, uuids):
    for uuid in uuids:
        assert signs(administrator, uuid) == [True] * 5
    text = page_of(administrator, uuids[0])
    assert "152.50 kg" in text
    assert WeighingRecord.objects.get(seq=1).hash in text
    assert "does not hold" not in text


@pytest.mark.parametrize(
    ("assignment", "seq", "expected"),
    [
        ("weight_text = '1.00'", 2, [False, True, True, True, True]),
        ("payload = '{}'", 2, [False, False, True, True, True]),
        ("payload = '{}'", 3, [True, True, True, False, True]),
        ("hash = '" + "0" * 64 + "'", 1, [True, False, True, True, True]),
    ],
)
def test_what_was_altered_at_the_centre_is_said(administrator, uuids, assignment, seq, expected):
    tamper(assignment, seq)
    assert signs(administrator, uuids[1]) == expected
    assert "does not hold" in page_of(administrator, uuids[1])


def test_a_signature_of_another_key_is_said(administrator, uuids):
    Gateway.objects.update(public_key="d7" * 32)
    assert signs(administrator, uuids[0])[2] is False


def test_what_is_not_here_yet_is_no_failure(administrator, joined, ledger):
    _, api = joined
    ledger.record()
    late = ledger.record()
    api.deliver(late)
    assert signs(administrator, late["uuid"]) == [True, None, None, None, None]


def test_texts_from_outside_stay_texts(administrator, joined, ledger):
    _, api = joined
    record = ledger.record(station=EVIL, card="<b>")
    api.deliver(record)
    text = page_of(administrator, record["uuid"])
    assert EVIL not in text
    assert "<b>" not in text
    assert "&lt;script&gt;" in text


@pytest.mark.parametrize("count", [10, 100])
def test_evidence_costs_the_same_however_much_is_held(administrator, joined, ledger, django_assert_num_queries, count):
    _, api = joined
    batch = ledger.batch(count)
    api.deliver_batch(batch)
    with django_assert_num_queries(9):
        page_of(administrator, batch["records"][0]["uuid"])


def test_a_void_is_looked_at_and_then_made(administrator, uuids):
    form = reverse("void", args=[uuids[0]])
    looked = administrator.post(form, {"reason": f"weighed twice {EVIL}"})
    assert "This is what will be" in looked.content.decode()
    assert EVIL not in looked.content.decode()
    assert not Amendment.objects.exists()
    back = administrator.post(form, {"reason": "weighed twice", "back": "yes"})
    assert "What should be" in back.content.decode()
    done = administrator.post(form, {"reason": "weighed twice", "confirmed": "yes"})
    assert done["Location"] == reverse("evidence", args=[uuids[0]])
    assert Amendment.objects.get().reason == "weighed twice"
    text = page_of(administrator, uuids[0])
    assert "<del>152.50 kg</del>" in text
    assert "Void it" not in text
    again = administrator.post(form, {"reason": "once more", "confirmed": "yes"})
    assert "void already" in again.content.decode()


def test_a_correction_starts_from_what_stands_and_keeps_what_was_measured(administrator, uuids):
    form = reverse("correct", args=[uuids[0]])
    assert 'value="152.50"' in page_of(administrator, uuids[0], "correct")
    stated = {"weight_text": "150.00", "unit": "kg", "rfid_uid": "B9", "reason": "basket not taken off"}
    assert "150.00 kg" in administrator.post(form, stated).content.decode()
    administrator.post(form, {**stated, "confirmed": "yes"})
    text = page_of(administrator, uuids[0])
    assert "<del>152.50 kg</del> 150.00 kg" in text
    assert "basket not taken off" in text
    assert signs(administrator, uuids[0]) == [True] * 5


@pytest.mark.parametrize(
    "wrong", [{"reason": ""}, {"reason": "  "}, {"reason": "x" * 501}, {"weight_text": "1e5"}, {"weight_text": "NaN"}]
)
def test_what_cannot_be_kept_is_said_and_nothing_is(administrator, uuids, wrong):
    stated = {"weight_text": "150.00", "unit": "kg", "rfid_uid": "B9", "reason": "why", "confirmed": "yes", **wrong}
    answer = administrator.post(reverse("correct", args=[uuids[0]]), stated)
    assert answer.status_code == 200
    assert 'role="alert"' in answer.content.decode()
    assert not Amendment.objects.exists()


@pytest.mark.parametrize("name", ["void", "correct"])
def test_amending_needs_the_right_and_the_form_of_this_server(uuids, name):
    form = reverse(name, args=[uuids[0]])
    clerk = User.objects.create_user("clerk", is_staff=True)
    clerk.user_permissions.add(Permission.objects.get(codename="view_weighingrecord"))
    client = Client()
    assert client.get(form)["Location"].startswith("/admin/login/")
    client.force_login(clerk)
    assert client.get(form).status_code == 403
    assert client.post(form, {"reason": "x", "confirmed": "yes"}).status_code == 403
    assert "Void it" not in page_of(client, uuids[0])
    careful = Client(enforce_csrf_checks=True)
    careful.force_login(User.objects.create_superuser("other"))
    assert careful.post(form, {"reason": "x", "confirmed": "yes"}).status_code == 403
    assert not Amendment.objects.exists()


@pytest.mark.parametrize("name", ["evidence", "void", "correct"])
def test_a_record_that_is_not_held_has_no_page(administrator, name):
    assert administrator.get(reverse(name, args=["00000000-0000-0000-0000-000000000000"])).status_code == 404
