"""A card's last use is known at the centre: to the minute, and at hardly any cost."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from gateway_ledgers import START
from scaleledger_server.market import queries, services
from scaleledger_server.market.models import Producer, RfidCard, Species


@pytest.fixture(autouse=True)
def _nothing_noted_yet(monkeypatch):
    monkeypatch.setattr(services, "_noted", {})


@pytest.fixture
def cards(db):
    kind, boat = Species.objects.create(name="cod"), Producer.objects.create(name="North boat")
    return [RfidCard.objects.create(uid=f"card-{n}", producer=boat, species=kind) for n in range(3)]


def used_at(card):
    return RfidCard.objects.get(pk=card.pk).last_used_at


@pytest.mark.parametrize("count", [1, 20])
def test_it_works_and_the_version_stays(cards, joined, ledger, count, django_capture_on_commit_callbacks):
    _, api = joined
    before = queries.version()
    with django_capture_on_commit_callbacks(execute=True):
        records = [ledger.record(card="card-1") for _ in range(count)]
        api.deliver_batch({"records": records, "head": ledger.head()})
    assert [used_at(card) for card in cards] == [None, START + timedelta(seconds=count), None]
    assert queries.version() == before


def test_a_use_is_written_once_a_minute_and_never_goes_back(cards, django_assert_num_queries):
    services.note_uses({"card-0": START})
    with django_assert_num_queries(0):
        services.note_uses({"card-0": START + timedelta(seconds=59)})
        services.note_uses({"card-0": START - timedelta(days=1)})
    services._noted.clear()  # another worker
    services.note_uses({"card-0": START - timedelta(days=1)})
    assert used_at(cards[0]) == START
    services.note_uses({"card-0": START + timedelta(seconds=60)})
    assert used_at(cards[0]) == START + timedelta(seconds=60)


def test_many_cards_cost_as_many_statements_as_one(cards, django_assert_num_queries):
    with django_assert_num_queries(4):  # the look and the write, within a savepoint
        services.note_uses({"card-0": START})
    with django_assert_num_queries(4):
        services.note_uses({"card-1": START, "card-2": START, "unknown": START})
    with django_assert_num_queries(3):
        services.note_uses({"nobody": START})


def test_what_is_remembered_is_bounded(cards, monkeypatch):
    monkeypatch.setattr(services, "NOTED_MAX", 5)
    for number in range(50):
        services.note_uses({f"card-{number}": START})
        assert len(services._noted) <= 5


def test_a_weighing_from_the_future_uses_its_card_now(cards, joined, ledger, django_capture_on_commit_callbacks):
    _, api = joined
    soon = (timezone.now() + timedelta(days=2)).astimezone(UTC).isoformat()
    with django_capture_on_commit_callbacks(execute=True):
        assert api.deliver(ledger.record(card="card-2", measured_at=soon))[0] == 201
    assert used_at(cards[2]) <= datetime.now(UTC)
