"""A whole gateway with a listener and a CarniTrack cloud, in the test's own loop; scales dial in over TCP."""

import asyncio
import socket
import time
from collections import defaultdict
from contextlib import asynccontextmanager

from fakes.carnitrack_cloud import KEY, SITE
from scaleledger.bootstrap import run_gateway
from scaleledger.config.load import load_config


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Scale:
    """One scale's connection: prints, and waits for the OK."""

    def __init__(self, device, reader, writer):
        self.device, self._reader, self._writer = device, reader, writer
        self.printed = 0

    async def prints(self, grams=None):
        """One more event; durable when this returns its net weight in grams, which no other event of this scale has."""
        self.printed += 1
        grams = grams or 1_000 + self.printed
        now = time.strftime("%H:%M:%S,%d.%m.%Y", time.gmtime())
        text = f"00001,{now},KIYMA           ,000000000004,0000,KAAN,{grams:010d},0000000000,{grams:010d},2,0,2,1,N,KORKUT\r\n"
        self._writer.write(text.encode("cp1254"))
        async with asyncio.timeout(10):
            assert await self._reader.readline() == b"OK\n"
        return grams

    async def hang_up(self):
        self._writer.close()
        await self._writer.wait_closed()


class CloudedGateway:
    """Runs between `start` and `stop`, any number of times, over one folder."""

    def __init__(self, folder, url, api_url):
        self.folder, self.port = folder, free_port()
        self.path = folder / "gateway.toml"
        self.path.write_text(
            f"""
[gateway]
data_dir = "data"
timezone = "UTC"
[store]
reserve_mb = 1
[[listener]]
name = "hall"
url = "tcp-listen://127.0.0.1:{self.port}"
unit = "g"
[[uplink]]
type = "carnitrack"
url = "{url}"
api_url = "{api_url}"
api_key = "{KEY}"
site_id = "{SITE}"
active_poll_s = 0.2
waiting_poll_s = 0.2
""",
            encoding="utf-8",
        )

    async def start(self):
        self._stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(run_gateway(self.path, load_config(self.path), self._stop, ready.set_result))
        await asyncio.wait({self._task, ready}, timeout=30, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            await self._task
        self.store = ready.result().store

    async def stop(self):
        self._stop.set()
        await self._task

    async def scale(self, device):
        async with asyncio.timeout(10):
            while True:
                try:
                    reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    break
                except ConnectionRefusedError:
                    await asyncio.sleep(0.01)
        writer.write(device.encode())
        return Scale(device, reader, writer)


@asynccontextmanager
async def clouded_gateway(folder, cloud, way):
    gateway = CloudedGateway(folder, cloud.url(way), cloud.rest_url)
    await gateway.start()
    try:
        yield gateway
    finally:
        await gateway.stop()


def taken(cloud):
    """What the cloud holds, by device, in the order in which it came first: the events' bodies."""
    found = defaultdict(list)
    for device, ids in cloud.books.order.items():
        found[device] = [cloud.books.events[local_id] for local_id in ids]
    return found


async def until(true, seconds=20):
    """Return as soon as a question is answered with yes."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.01)
