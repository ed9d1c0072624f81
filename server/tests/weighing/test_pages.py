"""The page and the admin: everything is escaped, nothing can be changed from the page."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from gateway_ledgers import MAC
from scaleledger_server.devices import services
from scaleledger_server.devices.models import Gateway

EVIL = "<script>alert(1)</script>"


def test_it_works(joined, ledger):
    gateway, api = joined
    services.describe(gateway, EVIL, "")
    api.deliver(ledger.record(station=EVIL, card="<b>", weight="75.50"))
    services.note_heartbeat(gateway, {"queued": 7}, ledger_time())
    for path in ("/", "/lists/"):
        answer = Client().get(path)
        text = answer.content.decode()
        assert answer.status_code == 200
        assert EVIL not in text
        assert "<b>" not in text
        assert all(part in text for part in (MAC, "75.50 kg", "&lt;b&gt;", "active", "<td>7\n"))
        assert "default-src 'self'" in answer["Content-Security-Policy"]
    assert Client().post("/").status_code == 405


def ledger_time():
    from gateway_ledgers import START

    return START


def test_an_empty_server_has_a_page_too(db):
    assert b"Nothing has been weighed yet" in Client().get("/").content


def test_the_page_loads_only_its_own_files(db):
    text = Client().get("/").content.decode()
    assert "http://" not in text
    assert "https://" not in text
    for name in ("plain.css", "refresh.js", "icon.svg"):
        assert f"/static/weighing/{name}" in text


@pytest.fixture
def administrator(db):
    client = Client()
    client.force_login(User.objects.create_superuser("admin", password="x"))
    return client


@pytest.mark.parametrize(
    ("action", "status"), [("approve", "active"), ("revoke", "inactive"), ("rotate", "pending")]
)
def test_a_gateway_is_approved_revoked_rotated_by_hand(administrator, action, status):
    gateway = Gateway.objects.create(mac_address=MAC, public_key="d7" * 32)
    page = reverse("admin:devices_gateway_changelist")
    assert gateway.fingerprint.encode() in administrator.get(page).content
    administrator.post(page, {"action": action, "_selected_action": [gateway.pk]})
    gateway.refresh_from_db()
    assert gateway.status == status


def test_only_a_gateways_words_are_edited(administrator):
    gateway = Gateway.objects.create(mac_address=MAC)
    page = reverse("admin:devices_gateway_change", args=[gateway.pk])
    assert administrator.get(page).status_code == 200
    administrator.post(page, {"name": "Dock", "description": "north", "status": "active"})
    gateway.refresh_from_db()
    assert (gateway.name, gateway.description, gateway.status) == ("Dock", "north", "pending")


def test_weighings_are_shown_searched_and_not_changed(administrator, joined, ledger):
    _, api = joined
    api.deliver_batch(ledger.batch(2))
    page = reverse("admin:weighing_weighingrecord_changelist")
    assert administrator.get(page, {"q": "00000002"}).content.count(b"dock-1") >= 1
    row = reverse("admin:weighing_weighingrecord_change", args=[1])
    assert administrator.get(row).status_code in {200, 302}
    assert administrator.post(row, {"weight_text": "1"}).status_code == 403
    for name in ("weighing_ingestconflict", "devices_headalarm", "devices_identityconflict"):
        assert administrator.get(reverse(f"admin:{name}_changelist")).status_code == 200
        assert administrator.get(reverse(f"admin:{name}_add")).status_code == 403


def test_the_admin_is_found_without_its_slash(db):
    assert Client().get("/admin")["Location"] == "/admin/"
