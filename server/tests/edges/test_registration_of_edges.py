"""Who may speak as an edge: with a site's key at once, with a claim code at once, without a key only after a person said so."""

import uuid
from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.utils import timezone

from edge_api import EdgeApi, event, joined, site
from scaleledger_server import notices
from scaleledger_server.devices import services as devices
from scaleledger_server.devices.models import ClaimCode, Gateway
from scaleledger_server.shifts import edges
from scaleledger_server.shifts.models import Edge, Site
from scaleledger_server.weighing.models import WeighingRecord

pytestmark = pytest.mark.django_db


@pytest.fixture
def plain(monkeypatch):
    monkeypatch.setattr(django_settings, "PLAIN_CLIENTS", True)


def test_it_works():
    row, key = site()
    api = EdgeApi(key)
    status, body = api.register()
    assert status == 200
    assert (body["siteId"], body["siteName"]) == ("plant-1", "Plant 1")
    assert uuid.UUID(body["edgeId"]).version == 4
    assert body["config"]["sessionPollIntervalActiveMs"] == 5000
    edge = api.row
    assert (edge.site, edge.gateway.status, edge.keyed) == (row, "active", True)
    assert int(edge.gateway.mac_address[:2], 16) & 3 == 2, "locally administered, one machine's"
    assert api.get("config")[0] == 200
    assert key not in {edge.key_digest, Site.objects.get().key_digest}


def test_registering_again_with_the_id_makes_no_second_edge_and_without_it_does():
    api = joined()
    first = api.edge_id
    for _ in range(3):
        assert api.register(first, version="0.4.0")[0] == 200
    assert (Edge.objects.get().version, api.edge_id) == ("0.4.0", first)
    assert api.register()[0] == 200
    assert Edge.objects.count() == Gateway.objects.count() == 2


def test_an_edge_that_loses_its_id_again_and_again_fills_nothing(monkeypatch):
    """The first programs register twice at every first start (an edge that nobody ever is)."""
    monkeypatch.setattr(edges, "EDGES_PER_SITE_MAX", 3)
    api = EdgeApi(site()[1])
    assert [api.register()[0] for _ in range(5)] == [200, 200, 200, 429, 429]
    assert api.answer["Retry-After"]
    assert Edge.objects.count() == Gateway.objects.count() == 3
    devices.revoke(Edge.objects.first().gateway)
    assert api.register()[0] == 200


def test_an_id_that_is_not_known_is_kept_when_the_sites_key_comes_with_it():
    api = EdgeApi(site()[1])
    lost = str(uuid.uuid4())
    assert api.register(lost)[1]["edgeId"] == lost, "a server put back from a copy goes on with the same edge"


@pytest.mark.parametrize("key", ["", "wrong", "of another site"])
def test_no_request_is_taken_with_the_id_alone_or_another_key(key):
    api = joined()
    api.key = site("plant-2")[1] if key == "of another site" else key
    for status, body in (api.post("events", event()), api.get("config"), api.register(api.edge_id)):
        assert (status, body["code"], body["error"]) == (401, "invalid_edge", "invalid_edge")
    assert not WeighingRecord.objects.exists()


def test_an_unknown_edge_is_told_so():
    api = EdgeApi(site()[1], str(uuid.uuid4()))
    for edge_id in (api.edge_id, "", "nonsense", "{" + "0" * 34 + "}"):
        api.edge_id = edge_id
        assert api.get("sessions")[1]["code"] == "invalid_edge"


def test_keys_that_are_guessed_are_counted():
    api = joined()
    api.key = "wrong"
    answers = [api.get("config")[0] for _ in range(302)]
    assert (answers[0], answers[-1]) == (401, 429)


def test_a_plain_edge_waits_for_a_person(plain):
    api = EdgeApi()
    assert api.register(siteId="old-plant")[1]["siteId"] == "old-plant"
    first = api.edge_id
    assert api.register(first)[1]["edgeId"] == first
    assert api.post("events", event())[1]["code"] == "not_approved"
    devices.approve(api.row.gateway)
    assert api.post("events", event())[1]["status"] == "accepted"


def test_a_plain_edge_is_taken_only_where_plain_clients_are():
    assert EdgeApi().register()[1]["code"] == "invalid_edge"


def test_who_once_showed_a_key_is_not_believed_without_it(plain):
    api = joined()
    api.key = ""
    assert api.get("config")[1]["code"] == "invalid_edge"


def test_a_plain_edge_that_gets_its_sites_key_stays_the_same_edge(plain):
    api = EdgeApi()
    api.register()
    first = api.edge_id
    api.key = site()[1]
    assert api.register(first)[1]["siteId"] == "plant-1"
    assert (api.edge_id, api.row.gateway.status, Edge.objects.count()) == (first, "active", 1)


def test_who_showed_a_key_that_a_person_had_assigned_is_not_believed_without_it(plain):
    api = EdgeApi()
    api.register()
    plant, key = site()
    edges.assign_site(api.row, plant)
    api.key = key
    assert api.register(api.edge_id)[0] == 200
    api.key = ""
    assert api.register(api.edge_id)[1]["code"] == "invalid_edge"
    assert api.get("config")[1]["code"] == "invalid_edge"


def test_no_key_of_another_site_speaks_for_an_edge():
    mine, other = joined(), joined("plant-2")
    stranger = EdgeApi(other.key, mine.edge_id)
    assert stranger.register(mine.edge_id)[1]["code"] == "invalid_edge"
    for path in ("config", "sessions", "plu", "print-jobs/pending"):
        assert stranger.get(path)[1]["code"] == "invalid_edge"
    for path, body in (
        ("events", event()), ("events/batch", {"events": [event()]}), ("heartbeat", {}), ("devices/status", {}),
        ("offline-batches/ack", {}), ("printers/inventory", {"printers": []}), (f"print-jobs/{mine.edge_id}/ack", {}),
    ):  # fmt: skip
        assert stranger.post(path, body)[1]["code"] == "invalid_edge", path
    assert mine.get("config")[0] == 200


def test_a_plain_edge_that_nobody_approved_is_forgotten_after_a_day(plain):
    EdgeApi().register()
    Gateway.objects.update(updated_at=timezone.now() - timedelta(hours=25))
    devices.watch(timezone.now())
    assert not Edge.objects.exists()
    assert not Gateway.objects.exists()


def test_an_edge_put_out_of_use_is_refused_with_every_call():
    api = joined()
    devices.revoke(api.row.gateway)
    for status, body in (api.get("config"), api.post("events", event()), api.register(api.edge_id)):
        assert (status, body["code"]) == (403, "not_approved")


def test_a_claim_code_gives_an_edge_a_key_of_its_own():
    site()
    code = devices.make_claim(User.objects.create_user("boss"), "cutting room", timezone.now())
    api = EdgeApi()
    status, body = api.post("/api/v1/activate", {"code": code.lower(), "version": "1", "capabilities": ["weighing"]})
    assert status == 200
    api.edge_id, api.key = body["edgeId"], body["apiKey"]
    assert api.get("config")[0] == 200
    assert (body["siteId"], api.row.gateway.name, api.answer["Content-Type"]) == (
        "plant-1", "cutting room", "application/json",
    )  # fmt: skip
    status, body = api.post("/api/v1/activate", {"code": code})
    assert (status, "not valid" in body["error"]) == (404, True)
    assert Edge.objects.count() == 1


def test_a_wrong_claim_is_told_in_words_and_counted():
    code = devices.make_claim(None, "", timezone.now())
    api = EdgeApi()
    for _ in range(5):
        assert api.post("/api/v1/activate", {"code": code[:4] + "-0000-0000-0000-0000"})[0] == 404
    assert api.post("/api/v1/activate", {"code": code})[0] == 404, "five wrong tries end a code"
    assert (ClaimCode.objects.get().tries, Edge.objects.exists()) == (5, False)
    for nonsense in ("", "AB", "ABCD-ÄÄÄÄ-0000-0000-0000", None, 7):
        assert api.post("/api/v1/activate", {"code": nonsense})[0] in {404, 422}


def test_a_new_key_ends_the_old_one():
    api = joined()
    fresh = edges.make_key(Site.objects.get(), timezone.now())
    assert api.get("config")[0] == 401
    api.key = fresh
    assert api.get("config")[0] == 200


def test_open_sockets_are_asked_for_the_new_key_and_for_another_site_at_once(django_capture_on_commit_callbacks):
    mine, other = joined(), joined("plant-2")
    told = []
    notices.carry_by(carrier := lambda group, message: told.append((group, message["type"])))
    try:
        with django_capture_on_commit_callbacks(execute=True):
            edges.make_key(mine.row.site, timezone.now())
        with django_capture_on_commit_callbacks(execute=True):
            edges.assign_site(other.row, None)
    finally:
        notices.carry_no_more(carrier)
    assert told == [(notices.gateway_group(api.row.gateway_id), "gateway.end") for api in (mine, other)]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422), (b"[]", 422), (b"{", 400), (b'{"edgeId": 5}', 422), (b'{"edgeId": "x"}', 422),
        (b'{"siteId": "\\u0000"}', 422), (b'{"version": "' + b"v" * 31 + b'"}', 422), (b'{"capabilities": [1]}', 422),
        (b'{"edgeId": null, "edgeId": null}', 400), (b"\xff", 400),
    ],
)  # fmt: skip
def test_a_registration_that_breaks_the_contract_is_refused(body, status):
    assert EdgeApi(site()[1]).post("register", body)[0] == status
    assert not Edge.objects.exists()


def test_paths_that_are_not_there_say_so_and_nothing_else():
    api = joined()
    assert api.get("print-jobs/unheard-of")[0] == 404
    assert api.get("events")[0] == 405
    assert (api.answer["Allow"], api.get("config")[0]) == ("POST", 200)
