"""A gateway's life and deliveries without its scales: the real uplink, lifecycle and forwarder over a simulated network."""

import random

from fakes.centre import Weather
from fakes.outbox import MAC, MemoryIdentity, MemoryOutbox
from fakes.virtual_clock import LoopClock, running
from scaleledger.app.forwarder import Forwarder
from scaleledger.app.lifecycle import Lifecycle
from scaleledger.uplinks.central.client import CentralUplink


class LivingGateway:
    """The life of a gateway over a network without sockets, with a forwarder beside it, until the block ends.

    With a `key` it speaks the proved dialect.
    """

    def __init__(self, books, token="", identity=None, outbox=None, key=None):
        self.books, self.weather = books, Weather(books)
        self.outbox = outbox or MemoryOutbox()
        self.identity = identity or (MemoryIdentity(token, key.public) if key else MemoryIdentity(token))
        clock = LoopClock()
        self.uplink = CentralUplink(
            "http://centre.invalid/",
            mac_address=MAC,
            sign=key.sign if key else None,
            now=clock.now,
            transport=self.weather,
        )
        self.life = Lifecycle(self.uplink, self.identity, self.outbox, clock=clock, rng=random.Random(1), name="Dock")
        self.forwarder = Forwarder(self.uplink, self.outbox, clock=clock, rng=random.Random(2))
        self.happened = []
        self.life.on_approved = lambda: self.happened.append("approved")
        self.life.on_cleared = lambda: self.happened.append("cleared")
        self.life.on_link_back = self._link_back

    def _link_back(self):
        self.happened.append("link back")
        self.forwarder.retry_now()

    async def __aenter__(self):
        self._parts = running(self.life, self.forwarder)
        await self._parts.__aenter__()
        return self

    async def __aexit__(self, *error):
        await self.uplink.close()
        await self._parts.__aexit__(*error)
