"""A gateway asks to be registered, waits, is approved; a plain client, where it is allowed, gets its token by asking."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from gateway_ledgers import MAC, LedgerOf
from scaleledger_server.devices import queries, services
from scaleledger_server.devices.models import AccessToken, Gateway, IdentityConflict, Station
from scaleledger_server.devices.services import gateways
from scaleledger_server.errors import Refusal
from scaleledger_server.live import centre
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


def test_of_many_claims_the_newest_are_kept_and_proved_ones_longest(joined, monkeypatch):
    gateway, api = joined
    monkeypatch.setattr(gateways, "CONFLICTS_PER_GATEWAY_MAX", 3)
    other = LedgerOf(signed=True)
    assert api.prove(other)[1]["code"] == "mac_conflict"
    for number in range(5):
        api.post(GATEWAYS, {**LedgerOf().registration(), "public_key": f"{number:064x}"})
    kept = set(gateway.identity_conflicts.values_list("public_key", flat=True))
    assert kept == {other.public_key, f"{3:064x}", f"{4:064x}"}


def test_a_claim_is_shown_as_it_was_made_last_but_never_as_somebody_said_who_proved_nothing(joined):
    gateway, api = joined
    other = LedgerOf(signed=True)
    for hostname in ("first", "second"):
        api.post(GATEWAYS, {**other.registration(), "hostname": hostname})
    assert gateway.identity_conflicts.get().hostname == "second"
    api.prove(other)
    api.post(GATEWAYS, {**other.registration(), "hostname": "thief"})
    row = gateway.identity_conflicts.get()
    assert (row.hostname, row.proved, row.times) == ("dock-pc", True, 4)


def test_one_network_that_floods_leaves_room_for_others_and_for_claim_codes(api, monkeypatch):
    monkeypatch.setattr(gateways, "PENDING_PER_NETWORK_MAX", 1)
    for number, (address, status) in enumerate(
        [("2001:db8::1", 201), ("2001:db8::2", 429), ("2001:db8:0:1::1", 201), ("192.0.2.7", 201), ("192.0.2.7", 429)]
    ):
        asked = {**example("gateway_registration.plain"), "mac_address": f"02:00:00:00:00:{number:02x}"}
        answer = api.client.post(GATEWAYS, asked, content_type="application/json", REMOTE_ADDR=address)
        assert answer.status_code == status, address
    assert Gateway.objects.get(mac_address="02:00:00:00:00:03").remote_network == "192.0.2.7"
    monkeypatch.setattr(gateways, "PENDING_GATEWAYS_MAX", 1)
    code = services.make_claim(None, "", timezone.now())
    assert api.prove(LedgerOf(signed=True), code)[1]["status"] == "active"


@pytest.mark.parametrize("hostile", ["a\x1b[2Jb", "a\nb", "a\u202eb", "a\u2028b"])
def test_a_name_cannot_rewrite_the_screen_that_shows_it(api, hostile):
    said = {**example("gateway_registration.plain"), "hostname": hostile, "name": hostile}
    for _ in range(2):
        assert api.post(GATEWAYS, said)[1]["hostname"].isprintable()
    gateway = Gateway.objects.get()
    assert (gateway.name.isprintable(), gateway.hostname[0], gateway.hostname[-1]) == (True, "a", "b")


def test_who_waits_is_not_forgotten_with_the_stations_it_was_given(api):
    api.post(GATEWAYS, example("gateway_registration.plain"))
    gateway = Gateway.objects.get()
    services.save_station(Station(gateway=gateway, name="dock-1"))
    services.watch(timezone.now() + timedelta(days=9))
    assert Station.objects.get().gateway == gateway


def test_who_waits_on_an_open_socket_is_not_forgotten(api):
    api.post(GATEWAYS, example("gateway_registration.plain"))
    later = timezone.now() + timedelta(hours=20)
    centre._plain_token(MAC)
    services.still_waits(Gateway.objects.get(), later)
    services.watch(later + timedelta(hours=20))
    assert Gateway.objects.exists()
    services.watch(later + timedelta(hours=25))
    assert not Gateway.objects.exists()


def test_a_key_that_comes_after_the_look_is_not_approved_with_it(api, ledger, administrator):
    """A person looks at one that waits without a key; before the answer, somebody else brings a key under that MAC."""
    api.post(GATEWAYS, LedgerOf().registration())
    looked_at = Gateway.objects.get()
    services.save_station(Station(gateway=looked_at, name="dock-1"))
    assert api.prove(ledger)[0] == 200
    page = reverse("admin:devices_gateway_changelist")
    body = {"action": "approve", "_selected_action": looked_at.pk, "confirmed": "yes"}
    assert administrator.post(page, body, follow=True).status_code == 200
    waiting = Gateway.objects.get()
    assert (waiting.status, waiting.public_key) == ("pending", ledger.public_key)
    assert waiting.stations.get().name == "dock-1"
    with pytest.raises(Refusal, match="not there any more"):
        services.approve(looked_at)


def test_two_people_who_decide_one_conflict_do_not_undo_each_other(api, joined, ledger):
    gateway, _ = joined
    for other in (LedgerOf(signed=True), LedgerOf(signed=True)):
        api.prove(other)
    first, second = IdentityConflict.objects.order_by("pk")
    now = timezone.now()
    services.replace_identity(first, now)
    with pytest.raises(Refusal, match="decided meanwhile"):
        services.replace_identity(second, now)
    assert queries.by_mac(MAC).public_key == first.public_key
    with pytest.raises(Refusal, match="replaced"):
        services.revoke(gateway)


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
