"""What gateways fetch: of one moment, by version, in a constant number of queries."""

import threading

import pytest
from django.test import Client

from scaleledger_server import notices
from scaleledger_server.errors import Refusal
from scaleledger_server.market import queries, services
from scaleledger_server.market.models import Producer, RfidCard, Species
from server_api import as_contract

PATHS = {"species": "species", "producers": "producers", "rfid-cards": "rfid_cards", "catalogue": "catalogue"}


@pytest.fixture
def card(db):
    mackerel, boat = Species(name="고등어"), Producer(name="North boat")
    services.save(mackerel)
    services.save(boat)
    card = RfidCard(uid=" 00345678 ", producer=boat, species=mackerel)
    services.save(card)
    return card


def fetch(api, resource, **headers):
    return api.client.get(f"/market/api/{resource}/", headers={**api.headers(), **headers})


def test_it_works(joined, card):
    _, api = joined
    whole = as_contract(fetch(api, "catalogue").json(), "catalogue")
    assert whole["version"] == queries.version()
    [held] = whole["rfid_cards"]
    assert (held["uid"], held["producer"], held["is_active"]) == ("00345678", card.producer_id, True)
    for resource in ("species", "producers", "rfid-cards"):
        assert as_contract(fetch(api, resource).json(), PATHS[resource]) == whole[PATHS[resource]]


@pytest.mark.parametrize("resource", PATHS)
def test_nothing_is_held_yet(joined, resource):
    _, api = joined
    answer = fetch(api, resource)
    as_contract(answer.json(), PATHS[resource])
    assert answer["ETag"] == '"0"'


@pytest.mark.parametrize("resource", PATHS)
def test_without_a_token_nothing_is_told(db, resource):
    answer = Client().get(f"/market/api/{resource}/")
    assert (answer.status_code, answer.json()["code"]) == (401, "token_missing")


@pytest.mark.parametrize("form", ['"{}"', 'W/"{}"', '"other", "{}"', '"other", W/"{}" , "third"', "*"])
def test_who_holds_the_version_is_sent_nothing(joined, card, form):
    _, api = joined
    answer = fetch(api, "catalogue", **{"If-None-Match": form.format(queries.version())})
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer["ETag"] == f'"{queries.version()}"'


@pytest.mark.parametrize("form", ["{}", '"{}x"', '""', "", ","])
def test_who_holds_another_is_sent_all(joined, card, form):
    _, api = joined
    assert fetch(api, "catalogue", **{"If-None-Match": form.format("17")}).status_code == 200


def test_every_change_raises_the_version_and_is_told(card, monkeypatch, django_capture_on_commit_callbacks):
    told = []
    monkeypatch.setattr(notices, "_send", lambda group, message: told.append((group, message["message"])))
    versions = [queries.version()]

    def change(act, *arguments):
        with django_capture_on_commit_callbacks(execute=True):
            act(*arguments)
        versions.append(queries.version())

    change(services.save, card)
    change(services.import_cards, b"uid,producer,species\r\nnew,North boat,\xea\xb3\xa0\xeb\x93\xb1\xec\x96\xb4\r\n")
    change(services.remove, card)
    change(services.remove_all, RfidCard.objects.all())
    assert len(set(versions)) == 5
    assert told == [("gateways", {"type": "sync.market"})] * 4


def test_a_restored_database_gives_no_old_name_to_new_data(card):
    before = queries.version()
    number = int(before.partition("-")[0])
    services.MarketVersion.objects.update(number=number - 1)
    services.save(card)
    assert queries.version().partition("-")[0] == before.partition("-")[0]
    assert queries.version() != before


def test_the_heartbeat_names_the_version(joined, card):
    _, api = joined
    _, body = api.post("/devices/api/gateways/heartbeat/")
    assert as_contract(body, "heartbeat_answer")["versions"]["market"] == queries.version()


def many(count):
    [species] = Species.objects.all()
    [boat] = Producer.objects.all()
    with services.changing():
        RfidCard.objects.bulk_create(
            [RfidCard(uid=f"{n:08d}", producer=boat, species=species) for n in range(count)], batch_size=5_000
        )


@pytest.mark.parametrize("count", [10, 5_000])
@pytest.mark.parametrize(("resource", "expected"), [("rfid-cards", 3), ("catalogue", 5)])
def test_the_number_of_queries_is_constant(joined, card, django_assert_num_queries, count, resource, expected):
    many(count)
    _, api = joined
    api.client.get("/devices/api/gateways/self/")
    with django_assert_num_queries(expected + 2):  # the token, the version; then the rows between two looks at it
        assert fetch(api, resource).status_code == 200
    with django_assert_num_queries(2):
        assert fetch(api, resource).status_code == 200


def test_a_change_between_two_reads_is_never_shown_by_half(card, monkeypatch):
    changes = iter(range(1))

    def changed_meanwhile():
        rows = [{"id": 1, "name": "old"}]
        if next(changes, None) is not None:
            services.save(card)
            return rows
        return [{"id": 1, "name": "new"}]

    monkeypatch.setitem(queries.READS, "species", changed_meanwhile)
    version, body = queries.Bodies().of("species", queries.version())
    assert version == queries.version()
    assert b"new" in body


def test_data_that_never_rests_is_asked_for_later(card, monkeypatch):
    monkeypatch.setitem(queries.READS, "species", lambda: services.save(card))
    with pytest.raises(Refusal, match="Try again"):
        queries.Bodies().of("species", queries.version())


def test_one_thread_makes_a_body_for_all(monkeypatch):
    made = []
    monkeypatch.setattr(queries, "_made", lambda resource: made.append(resource) or ("7", b"[]"))
    bodies, start = queries.Bodies(), threading.Barrier(8)

    def ask():
        start.wait()
        assert bodies.of("species", "7") == ("7", b"[]")

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == ["species"]
