import pytest

from gateway_ledgers import LedgerOf
from live_sockets import Centre


@pytest.fixture(scope="module")
def centre(tmp_path_factory):
    """A real server for one module's tests, open to plain clients and to pages without a login."""
    centre = Centre(tmp_path_factory.mktemp("centre"), PLAIN_CLIENTS="1", OPEN_PAGES="1")
    centre.start()
    yield centre
    if centre.process.poll() is None:
        centre.kill()


@pytest.fixture(scope="module")
def enrolled(centre):
    """(ledger, gateway id, token) of a gateway that proved its key."""
    ledger = LedgerOf(signed=True)
    return ledger, *centre.enrol(ledger)
