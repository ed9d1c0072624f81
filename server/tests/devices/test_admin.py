"""What a person does with gateways: sees before deciding, and what was decided stands in the log."""

import re

import pytest
from django.contrib.admin import site
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from gateway_ledgers import MAC, LedgerOf
from scaleledger_server import notices
from scaleledger_server.devices import queries, services
from scaleledger_server.devices.models import (
    AccessToken,
    ClaimCode,
    Gateway,
    GatewayAlarm,
    IdentityConflict,
    ScannedPort,
    Station,
)
from scaleledger_server.devices.services import enrolment
from scaleledger_server.errors import Refusal
from scaleledger_server.market.models import Species
from scaleledger_server.weighing.models import WeighingRecord
from server_api import Api, join

GATEWAYS = reverse("admin:devices_gateway_changelist")
CONFLICTS = reverse("admin:devices_identityconflict_changelist")


@pytest.fixture
def administrator(db):
    client = Client()
    client.force_login(User.objects.create_superuser("admin"))
    return client


@pytest.fixture
def said(monkeypatch):
    """What was told to gateways: (group, type)."""
    heard = []
    monkeypatch.setattr(notices, "_after_commit", lambda group, message: heard.append((group, message)))
    return heard


def decide(client, page, action, *pks, confirmed=True):
    body = {"action": action, "_selected_action": pks}
    return client.post(page, body | ({"confirmed": "yes"} if confirmed else {}))


def test_it_works(administrator, said):
    gateway = Gateway.objects.create(mac_address=MAC, public_key="d7" * 32, hostname="<b>dock</b>")
    assert gateway.fingerprint.encode() in administrator.get(GATEWAYS).content
    asked = decide(administrator, GATEWAYS, "approve", gateway.pk, confirmed=False)
    assert gateway.fingerprint.encode() in asked.content
    assert b"<b>dock" not in asked.content
    gateway.refresh_from_db()
    assert gateway.status == "pending", "nothing happens before it is confirmed"
    decide(administrator, GATEWAYS, "approve", gateway.pk)
    gateway.refresh_from_db()
    assert gateway.status == "active"
    entry = LogEntry.objects.get()
    assert (entry.user.username, entry.object_id) == ("admin", str(gateway.pk))
    assert gateway.fingerprint in entry.change_message


@pytest.mark.parametrize(
    ("action", "status", "told"),
    [
        ("revoke", "inactive", "gateway.end"),
        ("rotate", "active", "gateway.end"),
        ("scan_ports", "active", "gateway.say"),
    ],
)
def test_each_step_is_told_and_logged(administrator, joined, said, action, status, told):
    gateway, api = joined
    decide(administrator, GATEWAYS, action, gateway.pk)
    gateway.refresh_from_db()
    assert gateway.status == status
    assert [(group, message["type"]) for group, message in said] == [(f"gateway.{gateway.pk}", told)]
    assert LogEntry.objects.count() == 1
    assert (api.post("/devices/api/gateways/heartbeat/")[0] == 200) == (action == "scan_ports")


def test_a_plain_client_that_waits_is_told_of_its_approval(administrator, said):
    gateway = Gateway.objects.create(mac_address=MAC)
    decide(administrator, GATEWAYS, "approve", gateway.pk)
    assert said == [(notices.provisioning_group(MAC), {"type": "gateway.approved"})]


def test_a_token_for_a_plain_client_is_shown_once(administrator):
    gateway, _ = join(LedgerOf())
    answer = decide(administrator, GATEWAYS, "issue_token", gateway.pk)
    row = AccessToken.objects.order_by("-pk")[0]
    [token] = re.findall(r">([\w-]{43})<", answer.content.decode())
    assert queries.token_digest(token) == row.digest
    assert "no-store" in answer["Cache-Control"]
    api = Api()
    api.token = token
    assert api.get("/devices/api/gateways/self/")[0] == 200


def test_a_gateway_with_a_key_is_given_no_token_by_hand(administrator, joined):
    gateway, _ = joined
    before = AccessToken.objects.count()
    decide(administrator, GATEWAYS, "issue_token", gateway.pk)
    assert AccessToken.objects.count() == before


def test_who_may_only_look_can_do_nothing(joined):
    gateway, _ = joined
    looker = User.objects.create_user("looker", is_staff=True)
    looker.user_permissions.add(Permission.objects.get(codename="view_gateway"))
    client = Client()
    client.force_login(looker)
    assert client.get(GATEWAYS).status_code == 200
    for action in ("approve", "revoke", "rotate", "issue_token", "scan_ports"):
        decide(client, GATEWAYS, action, gateway.pk)
    gateway.refresh_from_db()
    assert gateway.status == "active"
    assert client.post(reverse("admin:devices_gateway_scan", args=[gateway.pk])).status_code == 403
    assert client.get(CONFLICTS).status_code == 403
    assert not LogEntry.objects.exists()


def conflict_with(ledger, other):
    Api().prove(other)
    return IdentityConflict.objects.get(public_key=other.public_key)


def test_a_claim_is_dropped_and_the_known_gateway_stays(administrator, joined, ledger):
    gateway, _ = joined
    conflict = conflict_with(ledger, LedgerOf(signed=True))
    assert GatewayAlarm.objects.get().kind == "identity"
    decide(administrator, CONFLICTS, "keep", conflict.pk, confirmed=False)
    assert IdentityConflict.objects.exists()
    decide(administrator, CONFLICTS, "keep", conflict.pk)
    assert not IdentityConflict.objects.exists()
    assert GatewayAlarm.objects.get().closed_at is not None
    assert Api().prove(ledger)[1]["id"] == gateway.pk


def test_a_machine_takes_the_place_of_another(administrator, joined, ledger, said):
    old, api = joined
    api.deliver_batch(ledger.batch(2))
    station = Station(gateway=old, name="dock-1")
    services.save_station(station)
    other = LedgerOf(signed=True)
    decide(administrator, CONFLICTS, "replace", conflict_with(ledger, other).pk)
    old.refresh_from_db()
    assert (old.status, old.public_key) == ("replaced", ledger.public_key)
    assert WeighingRecord.objects.filter(gateway=old).count() == 2
    assert api.post("/devices/api/gateways/heartbeat/")[1]["code"] == "token_unknown"
    assert (notices.gateway_group(old.pk), {"type": "gateway.end"}) in said
    new = queries.by_mac(MAC)
    assert (new.status, new.public_key, new.name) == ("pending", other.public_key, old.name)
    station.refresh_from_db()
    assert station.gateway_id == new.pk
    assert new.stations_version > old.stations_version

    decide(administrator, GATEWAYS, "approve", old.pk)
    old.refresh_from_db()
    assert old.status == "replaced", "it never comes back"
    with pytest.raises(Refusal):
        services.approve(old)
    services.approve(new)
    arrived = Api(other)
    arrived.token = arrived.prove(other)[1]["access_token"]
    assert arrived.deliver_batch(other.batch(2))[0] == ["created", "created"], "its ledger begins anew"
    assert Api().prove(ledger)[1]["code"] == "mac_conflict", "and now the old machine is the stranger"


def test_a_claim_code_is_made_and_shown_once(administrator):
    page = reverse("admin:devices_claimcode_add")
    answer = administrator.post(page, {"name": "Dock two"})
    row = ClaimCode.objects.get()
    shown = answer.content.decode()
    assert f"{row.code_id}-" in shown
    assert "no-store" in answer["Cache-Control"]
    code = shown[shown.index(f"{row.code_id}-") :][:24]
    assert Api().prove(LedgerOf(signed=True), code)[1]["name"] == "Dock two"
    listed = administrator.get(reverse("admin:devices_claimcode_changelist")).content.decode()
    assert code[5:] not in listed
    assert row.created_by.username == "admin"


def test_when_too_many_codes_are_open_it_is_said(administrator, monkeypatch):
    monkeypatch.setattr(enrolment, "OPEN_CLAIMS_MAX", 0)
    answer = administrator.post(reverse("admin:devices_claimcode_add"), {"name": ""}, follow=True)
    assert b"open already" in answer.content
    assert not ClaimCode.objects.exists()


def test_a_port_becomes_a_station(administrator, joined, said):
    gateway, _ = joined
    port = {"device": "/dev/ttyUSB0", "description": "<i>USB", "location": "1-1.2", "serial_number": "A5", "vid": 1027}
    services.keep_scan(gateway, [port], timezone.now())
    page = administrator.get(reverse("admin:devices_gateway_change", args=[gateway.pk])).content.decode()
    assert "<i>USB" not in page
    link = page[page.index("/admin/devices/station/add/?gateway=", page.index("Scan ports")) :].split('"')[0]
    form = administrator.get(link.replace("&amp;", "&")).content.decode()
    assert all(f'value="{text}"' in form for text in ("/dev/ttyUSB0", "1-1.2", "A5", "ttyUSB0"))
    assert all(driver in form for driver in ("suwol-1000", "fg-150kal", "st-gs-comma", "st-gs-nocomma", "rfid-em4100"))
    administrator.post(reverse("admin:devices_gateway_scan", args=[gateway.pk]))
    assert said[-1][1]["message"] == {"type": "scan.peripherals"}


STATION = {
    "name": "dock-1", "driver": "suwol-1000", "serial_port": "/dev/ttyUSB0", "mode": "tag", "options": "{}",
    "stability": "", "enabled": "on",
}  # fmt: skip


def test_a_station_is_assigned_changed_and_taken_away_through_the_services(administrator, joined, said):
    gateway, _ = joined

    def version():
        gateway.refresh_from_db()
        return gateway.stations_version

    add = reverse("admin:devices_station_add")
    assert administrator.post(add, {**STATION, "gateway": gateway.pk}).status_code == 302
    station = Station.objects.get()
    assert version() == 2
    change = reverse("admin:devices_station_change", args=[station.pk])
    assert administrator.post(change, {**STATION, "division": "0.5"}).status_code == 302
    assert (version(), Station.objects.get().division) == (3, "0.5")
    page = reverse("admin:devices_station_changelist")
    administrator.post(page, {"action": "delete_selected", "_selected_action": [station.pk], "post": "yes"})
    assert (version(), Station.objects.count()) == (4, 0)
    assert [message["message"]["type"] for _, message in said] == ["sync.weighing_stations"] * 3


@pytest.mark.parametrize(
    "bad",
    [
        {"options": "[]"}, {"stability": "5"}, {"options": '{"a": "' + "x" * 5000 + '"}'}, {"serial_port": ""},
        {"reader_driver": "rfid-em4100"}, {"division": "-1"}, {"division": "0,5"}, {"min_weight": "NaN"},
        {"timeout_s": "nan"}, {"timeout_s": "0"}, {"mode": "other"}, {"name": ""}, {"name": "x" * 101},
    ],
)  # fmt: skip
def test_a_station_that_no_gateway_could_run_is_refused(administrator, joined, bad):
    gateway, _ = joined
    answer = administrator.post(reverse("admin:devices_station_add"), {**STATION, "gateway": gateway.pk, **bad})
    assert answer.status_code == 200
    assert not Station.objects.exists()


HOSTILE = "<script>alert(1)</script>'\"><img src=x>"


def test_no_page_of_the_administration_runs_what_somebody_calls_himself(administrator):
    now = timezone.now()
    gateway = Gateway.objects.create(
        mac_address=MAC, name=HOSTILE, hostname=HOSTILE, description=HOSTILE, ip_address=HOSTILE[:39],
        reported={"version": HOSTILE},
    )  # fmt: skip
    Station.objects.create(gateway=gateway, name=HOSTILE, url=HOSTILE)
    ScannedPort.objects.create(gateway=gateway, device=HOSTILE, description=HOSTILE, seen_at=now)
    IdentityConflict.objects.create(
        gateway=gateway, hostname=HOSTILE, remote_address=HOSTILE, first_seen=now, last_seen=now
    )
    GatewayAlarm.objects.create(gateway=gateway, kind="stations_refused", detail=HOSTILE, opened_at=now)
    Species.objects.create(name=HOSTILE)
    asked = ["/", "/lists/", "/auction/", "/admin/"]
    for model in site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        asked.append(reverse(f"{name}_changelist"))
        for row in model._default_manager.all()[:1]:
            asked += [reverse(f"{name}_{view}", args=[row.pk]) for view in ("change", "history", "delete")]
    pages = [administrator.get(path) for path in asked]
    pages += [decide(administrator, GATEWAYS, act, gateway.pk, confirmed=False) for act in ("approve", "revoke")]
    pages += [decide(administrator, CONFLICTS, act, *conflicts(), confirmed=False) for act in ("keep", "replace")]
    for page in pages:
        assert b"<script>alert" not in page.content
        assert b"<img src=x" not in page.content
    shown = [page for page in pages if b"alert(1)" in page.content]
    assert len(shown) > 15, "it is shown, as text"


def conflicts():
    return IdentityConflict.objects.values_list("pk", flat=True)


def test_before_an_approval_a_person_sees_where_it_was_heard_and_who_else_claims_it(administrator, ledger):
    Api().prove(ledger)
    Api().prove(LedgerOf(signed=True))
    page = decide(administrator, GATEWAYS, "approve", Gateway.objects.get().pk, confirmed=False).content.decode()
    assert "heard from 127.0.0.1" in page
    assert "Others claim to be it: 1" in page


def test_what_is_gone_or_decided_meanwhile_is_said(administrator, joined, ledger):
    gateway, _ = joined
    for other in (LedgerOf(signed=True), LedgerOf(signed=True)):
        Api().prove(other)
    first, second = IdentityConflict.objects.order_by("pk")
    services.replace_identity(first, timezone.now())
    body = {"action": "replace", "_selected_action": [second.pk], "confirmed": "yes"}
    assert "only one machine" in administrator.post(CONFLICTS, body, follow=True).content.decode()
    for action, words in (("revoke", "was replaced"), ("rotate", "was replaced")):
        body = {"action": action, "_selected_action": [gateway.pk], "confirmed": "yes"}
        assert words in administrator.post(GATEWAYS, body, follow=True).content.decode()
    body = {"action": "approve", "_selected_action": [10**6], "confirmed": "yes"}
    assert "not there any more" in administrator.post(GATEWAYS, body, follow=True).content.decode()


def test_who_has_no_key_is_not_promised_a_new_token(administrator):
    gateway, _ = join(LedgerOf())
    body = {"action": "rotate", "_selected_action": [gateway.pk], "confirmed": "yes"}
    assert "give it a new token" in administrator.post(GATEWAYS, body, follow=True).content.decode()


def test_the_lists_cost_the_same_for_many_as_for_few(administrator, django_assert_max_num_queries):
    for number in range(30):
        Gateway.objects.create(mac_address=f"02:00:00:00:00:{number:02x}")
    ScannedPort.objects.create(gateway=Gateway.objects.all()[0], device="x", seen_at=timezone.now())
    with django_assert_max_num_queries(15):
        administrator.get(GATEWAYS)
    for name in ("gatewayalarm", "accesstoken", "claimcode", "station", "identityconflict", "headalarm"):
        assert administrator.get(reverse(f"admin:devices_{name}_changelist")).status_code == 200
