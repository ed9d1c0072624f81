"""The server's tests: most run in this process on an in-memory database, the process tests on a real one."""

import pytest
from bench.services import PostgresMissing
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection
from django.test import Client, TransactionTestCase

from databases import Servers, append_only_lifted, end_other_sessions
from gateway_ledgers import LedgerOf
from server_api import Api, join

servers = Servers()


def pytest_addoption(parser):
    parser.addoption("--database", choices=["sqlite", "postgresql"], default="sqlite", help="for the server's tests")
    parser.addoption("--redis", action="store_true", help="the server's tests use a real Valkey")


def pytest_configure(config):
    django_settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # a slow one proves no more
    try:
        if config.getoption("--database") == "postgresql":
            servers.start_postgresql()
        if config.getoption("--redis"):
            servers.start_redis()
    except PostgresMissing as error:
        servers.stop()
        pytest.exit(f"No PostgreSQL for the tests: {error}. Set TEST_DATABASE_URL, or install it.", returncode=3)


def pytest_collection_modifyitems(config, items):
    """What proves several workers together is left to the run that has what several workers need."""
    if not config.getoption("--redis"):
        for item in items:
            if item.path.name == "test_workers.py" and item.path.parent.name == "live":
                item.add_marker(pytest.mark.skip(reason="runs with --redis: make test-scaled"))


def pytest_unconfigure(config):
    servers.stop()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """Before the tests' database is dropped, sessions that ended tests left in threads of a pool are ended."""
    yield
    with django_db_blocker.unblock():
        end_other_sessions(connection)


@pytest.fixture(autouse=True, scope="session")
def _tables_that_may_be_emptied_between_tests():
    """A test with real transactions ends with a flush, which the append-only triggers would refuse."""
    flush = TransactionTestCase._fixture_teardown

    def lifted(self):
        with append_only_lifted(connection):
            flush(self)

    TransactionTestCase._fixture_teardown = lifted
    yield
    TransactionTestCase._fixture_teardown = flush


@pytest.fixture(autouse=True)
def _of_no_real_server(monkeypatch):
    """No test reads or makes the secret of an installed server; counters start at zero."""
    monkeypatch.setattr(django_settings, "SECRET_KEY", "a secret of the tests, long enough to be one")
    monkeypatch.setattr(django_settings, "RECEIPT_SECRET", "another secret of the tests, long enough too")
    cache.clear()


@pytest.fixture
def api(db):
    return Api()


@pytest.fixture
def ledger():
    return LedgerOf(signed=True)


@pytest.fixture
def joined(db, ledger):
    """(gateway, api) of `ledger`, approved."""
    return join(ledger)


@pytest.fixture
def administrator(db):
    """A browser in which a person is logged in who may do everything; the person is its `user`."""
    client = Client()
    client.user = User.objects.create_superuser("admin", password="x")
    client.force_login(client.user)
    return client
