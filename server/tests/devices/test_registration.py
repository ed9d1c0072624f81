"""A gateway asks to be registered, waits, is approved; a plain client, where it is allowed, gets its token by asking."""

from datetime import timedelta

import pytest
from django.utils import timezone

from gateway_ledgers import MAC, LedgerOf
from scaleledger_server import limits
from scaleledger_server.devices import queries, services
from scaleledger_server.devices.models import AccessToken, Gateway, IdentityConflict
from scaleledger_server.devices.services import anchors, gateways
from server_api import as_contract, example, join

GATEWAYS = "/devices/api/gateways/"


@pytest.fixture(autouse=True)
def _plain_clients_allowed(settings):
    settings.PLAIN_CLIENTS = True


def test_it_works(api):
    status, body = api.post(GATEWAYS, example("gateway_registration.plain"))
    assert (status, as_contract(body, "gateway_status")["status"]) == (201, "pending")
    assert api.get(f"{GATEWAYS}{MAC}/")[1]["access_token"] is None
    services.approve(Gateway.objects.get())
    status, body = api.get(f"{GATEWAYS}{MAC}/")
    assert (status, as_contract(body, "gateway_status")["status"]) == (200, "active")
    api.token = body["access_token"]
    status, body = api.post(f"{GATEWAYS}heartbeat/")
    assert (status, as_contract(body, "heartbeat_answer")["status"]) == (200, "active")


def test_a_server_for_proved_gateways_takes_no_other(api, settings):
    settings.PLAIN_CLIENTS = False
    for name in ("gateway_registration.plain", "gateway_registration.with-key"):
        status, body = api.post(GATEWAYS, example(name))
        assert (status, body["code"]) == (403, "key_required")
    assert not Gateway.objects.exists()
    gateway, _ = join(LedgerOf())
    assert api.get(f"{GATEWAYS}{gateway.mac_address}/")[1]["access_token"] is None


def test_a_mac_address_alone_never_obtains_the_token_of_a_gateway_with_a_key(api, joined):
    before = AccessToken.objects.count()
    status, body = api.get(f"{GATEWAYS}{MAC}/")
    assert (status, body["status"], body["access_token"]) == (200, "active", None)
    assert AccessToken.objects.count() == before


def test_the_examples_of_status_are_what_the_server_says(api):
    api.post(GATEWAYS, {**example("gateway_registration.plain"), "name": "Dock"})
    pending = example("gateway_status.pending")
    body = api.get(f"{GATEWAYS}{MAC}/")[1]
    assert {**body, "id": pending["id"]} | pending == {**body, "id": pending["id"]}
    services.approve(Gateway.objects.get())
    body = api.get(f"{GATEWAYS}{MAC}/")[1]
    assert set(example("gateway_status.active")) <= set(body)
    assert 43 <= len(body["access_token"]) <= 64


def test_an_unknown_gateway_is_told_so(api):
    status, body = api.get(f"{GATEWAYS}{MAC}/")
    assert (status, body["code"]) == (404, "gateway_unknown")


@pytest.mark.parametrize("spelling", ["02-5A-1E-D6-E4-01", "025a1ed6e401", "02:5A:1e:d6:e4:01"])
def test_a_mac_address_may_be_spelt_in_any_usual_way(api, spelling):
    assert api.post(GATEWAYS, {**example("gateway_registration.plain"), "mac_address": spelling})[0] == 201
    assert api.get(f"{GATEWAYS}{spelling}/")[1]["mac_address"] == MAC


@pytest.mark.parametrize("spelling", ["02-5A:1E-D6-E4-01", "025a1ed6e4", "gg:5a:1e:d6:e4:01", "０2:5a:1e:d6:e4:01"])
def test_what_is_no_mac_address_is_not_there(api, spelling):
    assert api.get(f"{GATEWAYS}{spelling}/")[1]["code"] == "not_found"
    status, body = api.post(GATEWAYS, {**example("gateway_registration.plain"), "mac_address": spelling})
    assert (status, body["field"]) == (422, "mac_address")


def test_registering_again_renews_labels_only(joined, ledger):
    _, api = joined
    status, body = api.post(GATEWAYS, {**ledger.registration(), "hostname": "new-pc", "name": "other"})
    assert (status, body["status"], body["hostname"], body["name"]) == (200, "active", "new-pc", "dock-pc")


@pytest.mark.parametrize("claim", [{"public_key": "ee" * 32}, {}])
def test_the_same_mac_with_another_key_is_for_a_person(joined, ledger, claim):
    gateway, api = joined
    for _ in range(2):
        status, body = api.post(GATEWAYS, {**LedgerOf().registration(), "hostname": "thief", **claim})
        assert (status, body["code"]) == (409, "mac_conflict")
    row = IdentityConflict.objects.get()
    assert (row.gateway, row.hostname, row.times) == (gateway, "thief", 2)
    gateway.refresh_from_db()
    assert (gateway.hostname, gateway.public_key) == ("dock-pc", ledger.public_key)


def test_a_key_that_comes_after_the_approval_is_a_conflict_too(db):
    _, api = join(LedgerOf())
    assert api.post(GATEWAYS, LedgerOf(signed=True).registration())[1]["code"] == "mac_conflict"


def test_a_waiting_gateway_may_still_bring_its_key(api):
    api.post(GATEWAYS, example("gateway_registration.plain"))
    assert api.post(GATEWAYS, example("gateway_registration.with-key"))[0] == 200
    assert Gateway.objects.get().public_key == "d7" * 32


def test_only_so_many_may_wait(api, monkeypatch):
    monkeypatch.setattr(gateways, "PENDING_GATEWAYS_MAX", 1)
    assert api.post(GATEWAYS, example("gateway_registration.plain"))[0] == 201
    other = {**example("gateway_registration.plain"), "mac_address": "02:00:00:00:00:02"}
    assert api.post(GATEWAYS, other)[1]["code"] == "rate_limited"
    assert api.post(GATEWAYS, example("gateway_registration.plain"))[0] == 200, "a known one is not turned away"


def test_who_waits_and_is_not_heard_for_a_day_makes_room(api, monkeypatch):
    monkeypatch.setattr(gateways, "PENDING_GATEWAYS_MAX", 1)
    api.post(GATEWAYS, example("gateway_registration.plain"))
    Gateway.objects.update(updated_at=timezone.now() - timedelta(hours=25))
    other = {**example("gateway_registration.plain"), "mac_address": "02:00:00:00:00:02"}
    assert api.post(GATEWAYS, other)[0] == 201
    assert Gateway.objects.get().mac_address == "02:00:00:00:00:02"


def test_one_address_cannot_flood(api, settings):
    settings.REGISTRATIONS_PER_MINUTE = 2
    codes = [api.post(GATEWAYS, example("gateway_registration.plain"))[0] for _ in range(3)]
    assert codes == [201, 200, 429]
    answer = api.client.post(GATEWAYS, b"{}", content_type="application/json")
    assert int(answer["Retry-After"]) > 0


def test_alarm_rows_are_bounded(joined, monkeypatch):
    _, api = joined
    monkeypatch.setattr(anchors, "ALARM_ROWS_MAX", 3)
    for number in range(5):
        api.post(GATEWAYS, {**LedgerOf().registration(), "public_key": f"{number:064x}"})
    assert IdentityConflict.objects.count() == 3
    assert limits.ALARM_ROWS_MAX > 3


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"hostname": "x" * 256}, "hostname"),
        ({"hostname": None}, "hostname"),
        ({"name": "a\0b"}, "name"),
        ({"name": "\ud800"}, "name"),
        ({"public_key": "EE" * 32}, "public_key"),
        ({"unheard_of": 1}, "unheard_of"),
        ({"mac_address": 5}, "mac_address"),
    ],
)
def test_a_bad_registration_names_its_field(api, change, field):
    status, body = api.post(GATEWAYS, {**example("gateway_registration.plain"), **change})
    assert (status, body["code"], body["field"]) == (422, "invalid", field)
    assert queries.by_mac(MAC) is None
