import pytest

from fakes.blank_server import copy_blank
from scaleledger.simulators import plant


@pytest.fixture(autouse=True)
def servers_begin_blank(monkeypatch):
    """A plant's server begins with an empty database that was made once."""
    start = plant.Server.start

    async def start_blank(self):
        copy_blank(self._folder / "server")
        await start(self)

    monkeypatch.setattr(plant.Server, "start", start_blank)
