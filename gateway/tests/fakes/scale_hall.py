"""A listener with the real store and real TCP, and raw scales that dial it: bytes out, OKs in."""

import asyncio
import json
import random
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from fakes.weighings import open_store
from scaleledger.app.clock import SystemClock
from scaleledger.app.listener import Listener
from scaleledger.app.nameless import NamelessEvents
from scaleledger.app.registry import ListenerRules, Registry, ScaleProfile
from scaleledger.drivers import open_driver
from scaleledger.transports import open_transport
from scaleledger.wire.link import LinkState

RULES = ListenerRules("hall", "dp401-csv", ScaleProfile("g", 0, "windows-1254", UTC))
ASK = b"KONTROLLU AKTAR OK?"
DAY = "30.01.2026"


class SetClock(SystemClock):
    """The wall clock stands at a time until it is moved; monotonic time is real."""

    def __init__(self, at=datetime(2026, 1, 30, 10, 30, tzinfo=UTC)):
        self.at = at

    def now(self):
        return self.at

    def passes(self, seconds):
        self.at += timedelta(seconds=seconds)


def line(time="10:30:00", net=9676, *, tare=62415, product="KIYMA", plu="000000000004", day=DAY, company="KORKUT"):
    """An event as a scale prints it, without its line end."""
    text = (
        f"00001,{time},{day},{product:<16},{plu},0000,KAAN,{net + tare:010d},{tare:010d},{net:010d},2,0,2,1,N,{company}"
    )
    return text.encode("windows-1254")


class Dialled:
    """A scale's end of one connection."""

    def __init__(self, reader, writer):
        self._reader, self._writer = reader, writer

    def send(self, *parts):
        self._writer.write(b"".join(parts))

    def send_lines(self, *lines):
        self.send(*(each + b"\r\n" for each in lines))

    async def oks(self, count, within_s=5.0):
        """Wait for so many OKs, and nothing else."""
        async with asyncio.timeout(within_s):
            assert await self._reader.readexactly(3 * count) == b"OK\n" * count

    async def is_silent(self, for_s=0.15):
        """Whether nothing comes."""
        try:
            async with asyncio.timeout(for_s):
                return not await self._reader.read(64)
        except TimeoutError:
            return True

    async def closed(self, within_s=5.0):
        """Wait until the gateway hangs up; what it sent before."""
        async with asyncio.timeout(within_s):
            try:
                return await self._reader.read()
            except ConnectionResetError:
                return b""

    async def hang_up(self):
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()


class Hall:
    """One run of a gateway's listeners over a folder."""

    def __init__(self, store, registry, listener, clock):
        self.store, self.registry, self.listener, self.clock = store, registry, listener, clock
        self.dialled = []

    async def dial(self, *first, host="127.0.0.1"):
        """A new scale's connection, which sends `first` at once."""
        reader, writer = await asyncio.open_connection(*self.listener.transport.address, local_addr=(host, 0))
        self.dialled.append(scale := Dialled(reader, writer))
        scale.send(*first)
        return scale

    def device(self, device_id="SCALE-01"):
        return self.registry.snapshot(device_id)

    async def until(self, is_so, within_s=5.0):
        """Wait until something is so."""
        async with asyncio.timeout(within_s):
            while True:
                with suppress(KeyError):  # a device that was not heard of yet
                    if is_so():
                        return
                await asyncio.sleep(0.005)

    async def held(self):
        """What the ledger holds, in order: each record's payload."""
        batch = await self.store.outbox.next_batch("nobody", 1000)
        return [json.loads(record.payload) for record in batch.records] if batch else []

    async def rejected(self):
        return await self.store.rejected.newest(100)


@asynccontextmanager
async def hall(folder, clock=None, sessions=None, ledger=None, rejected=None, **rules):
    """A listening gateway until the block ends; all that was accepted is on disk then. `rules` differ from RULES.

    `ledger` and `rejected` make something out of the real ones.
    """
    clock = clock or SetClock()
    store = await open_store(folder)
    kept = ledger(store.ledger) if ledger else store.ledger
    registry = Registry(
        clock, kept, store.devices, store.history, rejected(store.rejected) if rejected else store.rejected
    )
    if sessions is not None:
        registry.sessions = sessions
    await registry.load()
    transport = open_transport("tcp-listen://127.0.0.1:0?max_per_address=64", clock=clock, rng=random.Random(1))
    transport.bind()

    def driver(profile):
        return open_driver("dp401-csv", unit=profile.unit, decimals=profile.decimals, codepage=profile.codepage)

    listener = Listener(
        replace(RULES, **rules), transport, driver, registry, NamelessEvents("02:5a:1e:d6:e4:01"), store.history
    )
    parts = [asyncio.create_task(listener.run()), asyncio.create_task(registry.run())]
    here = Hall(store, registry, listener, clock)
    try:
        await here.until(lambda: listener.status.state is LinkState.WAITING)
        yield here
    finally:
        for scale in here.dialled:
            await scale.hang_up()
        for part in parts:
            part.cancel()
        await asyncio.wait(parts)
        await registry.keep()
        await store.close()
        for part in parts:
            if not part.cancelled():
                part.result()
