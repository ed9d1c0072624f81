from contextlib import closing

import pytest

from fakes.served_gateway import ServedGateway, free_port
from scaleledger.simulators.yard import StationSpec

HOSTILE = '"><img src=x onerror=alert(1)><script>alert(2)</script>{{7*7}}'


@pytest.fixture(scope="module")
def listening_at():
    return free_port()


@pytest.fixture(scope="module")
def served(tmp_path_factory, listening_at):
    """A gateway with a station, a listener and products; its logins are made by the tests."""
    more = f'[plu]\n[[listener]]\nname = "cutting"\nurl = "tcp-listen://127.0.0.1:{listening_at}"\nunit = "g"'
    specs = [StationSpec("belt-1", "st-gs-comma", rate_hz=20.0)]
    with ServedGateway(tmp_path_factory.mktemp("served"), specs, more) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def admin(served):
    with closing(served.admin()) as client:
        yield client


@pytest.fixture(scope="module")
def viewer(served, admin):
    with closing(served.viewer(admin)) as client:
        yield client
