import pytest

from gateway_ledgers import LedgerOf
from live_sockets import Centre


@pytest.fixture(scope="module")
def centre(tmp_path_factory):
    """A real server for one module's tests, open to plain clients and to pages without a login."""
    with Centre(tmp_path_factory.mktemp("centre"), PLAIN_CLIENTS="1", OPEN_PAGES="1") as centre:
        yield centre


@pytest.fixture(scope="module")
def enrolled(centre):
    """(ledger, gateway id, token) of a gateway that proved its key."""
    ledger = LedgerOf(signed=True)
    return ledger, *centre.enrol(ledger)
