"""The server's tests: most run in this process on an in-memory database, the process tests on a real one."""

import pytest
from django.conf import settings as django_settings
from django.core.cache import cache

from gateway_ledgers import LedgerOf
from server_api import Api, join


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
