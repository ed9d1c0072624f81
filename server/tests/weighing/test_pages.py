"""The page and the admin: everything is escaped, nothing can be changed from the page."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from gateway_ledgers import MAC, START
from scaleledger_server.devices import services as devices
from scaleledger_server.devices.models import Gateway

EVIL = "<script>alert(1)</script>"


@pytest.fixture
def person(db):
    client = Client()
    client.force_login(User.objects.create_user("viewer"))
    return client


def test_it_works(joined, ledger, person):
    gateway, api = joined
    devices.describe(gateway, EVIL, "")
    api.deliver(ledger.record(station=EVIL, card="<b>", weight="75.50"))
    devices.note_heartbeat(gateway, {"queued": 7, "version": "0.1.0<i>"}, START)
    for path in ("/", "/lists/"):
        answer = person.get(path)
        text = answer.content.decode()
        assert answer.status_code == 200
        assert EVIL not in text
        assert "<b>" not in text
        assert "<i>" not in text
        assert all(part in text for part in (MAC, "75.50 kg", "&lt;b&gt;", "active", ">7\n", "0.1.0&lt;i&gt;"))
        assert "default-src 'self'" in answer["Content-Security-Policy"]
    assert person.post("/").status_code == 405


def test_without_a_login_it_leads_to_one(db):
    assert Client().get("/")["Location"] == "/admin/login/?next=/"
    assert Client().get("/lists/", headers={"X-Refresh": "1"}).status_code == 401


def test_open_pages_need_none(db, settings):
    settings.OPEN_PAGES = True
    assert b"Nothing has been weighed yet" in Client().get("/").content


def test_the_page_loads_only_its_own_files(person):
    text = person.get("/").content.decode()
    assert "http://" not in text
    assert "https://" not in text
    for name in ("plain.css", "refresh.js", "icon.svg"):
        assert f"/static/weighing/{name}" in text


def test_a_late_gateway_stands_out(joined, person):
    gateway, _ = joined
    devices.note_heartbeat(gateway, {}, START)
    devices.watch(START + timedelta(hours=1))
    text = person.get("/lists/").content.decode()
    assert "Open alarms" in text
    assert '<mark class="late">late</mark>' in text


@pytest.mark.parametrize("count", [10, 100])
def test_the_number_of_queries_is_constant(joined, ledger, person, django_assert_num_queries, count):
    _, api = joined
    api.deliver_batch(ledger.batch(count))
    for n in range(count):
        Gateway.objects.create(mac_address=f"02:00:00:00:00:{n:02x}")
    with django_assert_num_queries(7):  # session, person and factor; then alarms, gateways, records, amendments
        assert person.get("/lists/").status_code == 200


@pytest.mark.parametrize(("action", "status"), [("approve", "active"), ("revoke", "inactive"), ("rotate", "pending")])
def test_a_gateway_is_approved_revoked_rotated_by_hand(administrator, action, status):
    gateway = Gateway.objects.create(mac_address=MAC, public_key="d7" * 32)
    page = reverse("admin:devices_gateway_changelist")
    assert gateway.fingerprint.encode() in administrator.get(page).content
    administrator.post(page, {"action": action, "_selected_action": [gateway.pk], "confirmed": "yes"})
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
