"""What people and gateways are told when the database is away, and when the server itself is wrong."""

import logging

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import Client

from scaleledger_server import urls
from scaleledger_server.devices import queries
from scaleledger_server.live import queries as live_queries

AWAY = "could not connect to server as user ledger with password s3cret"


class Failing:
    """Stands for a read of the database that ends with this error."""

    def __init__(self, error):
        self.error = error

    def __call__(self, *_args, **_kwargs):
        raise self.error


@pytest.fixture
def person(db):
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_user("kim"))
    return client


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (OperationalError(AWAY), 503, "look whether the database runs"),
        (ValueError(AWAY), 500, "mistake of the server"),
    ],
)
def test_a_page_that_fails_says_what_to_do_and_nothing_of_the_inside(person, monkeypatch, error, status, words):
    monkeypatch.setattr(live_queries, "active_gateways", Failing(error))
    answer = person.get("/auction/")
    page = answer.content.decode()
    assert answer.status_code == status
    assert words in page
    assert "s3cret" not in page
    assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]


def test_a_session_that_cannot_be_read_is_said_too(person, monkeypatch):
    from django.contrib.sessions.backends.db import SessionStore

    monkeypatch.setattr(SessionStore, "_get_session_from_db", Failing(OperationalError(AWAY)))
    for path in ("/admin/", "/auction/"):
        assert "database does not answer" in person.get(path).content.decode()


def test_gateways_are_told_to_come_again_and_the_log_is_not_flooded(joined, monkeypatch, caplog):
    _, api = joined
    monkeypatch.setattr(urls, "_said", {"until_s": 0.0})
    monkeypatch.setattr(queries, "known_token", Failing(OperationalError(AWAY)))
    caplog.set_level(logging.ERROR, logger=urls.log.name)
    for _ in range(5):
        status, body = api.post("/devices/api/gateways/heartbeat/")
        assert (status, body["code"]) == (503, "rate_limited")
        assert "s3cret" not in body["detail"]
    assert len([record for record in caplog.records if record.name == urls.log.name]) == 1


def test_a_mistake_of_ours_is_no_refusal_that_a_gateway_would_believe(joined, monkeypatch):
    _, api = joined
    monkeypatch.setattr(queries, "known_token", Failing(ValueError("ours")))
    client = Client(raise_request_exception=False)
    answer = client.post("/devices/api/gateways/heartbeat/", headers=api.headers())
    assert answer.status_code == 500
    assert answer["Content-Type"].startswith("text/")
