"""What the channel to the centre promises, held against a real WebSocket server and the faults of the way there."""

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal

import pytest

from fakes.contract import text_of
from fakes.outbox import MAC, START
from fakes.proved_books import GATEWAY_KEY
from fakes.socket_centre import EXPIRED, PATH, UNKNOWN, SocketCentre
from scaleledger.domain.channel import LiveWeight, LiveWeights, PortsScanned, ScanPorts, StartStream, SyncMarket
from scaleledger.domain.errors import LinkError, NotOffered
from scaleledger.uplinks.central.channel import CentralChannel
from scaleledger.uplinks.central.client import CentralUplink

SHOWN = LiveWeight("dock-1", Decimal("152.50"), "kg", stable=True, state="idle", link="up")


def weights(number):
    return LiveWeights(START, (replace(SHOWN, weight=Decimal(number)),))


@asynccontextmanager
async def uplink_to(url):
    async with CentralUplink(url, mac_address=MAC, sign=GATEWAY_KEY.sign) as uplink:
        uplink.use_token("token-1")
        yield uplink


class Running:
    """A channel at work; `received` is what the centre asked for, `end` how the line ended."""

    def __init__(self, centre, **pace):
        self.centre, self._pace = centre, pace
        self.received = asyncio.Queue()

    async def __aenter__(self):
        self._uplink = uplink_to(self.centre.url)
        self.uplink = await self._uplink.__aenter__()
        self.channel = CentralChannel(self.uplink, **self._pace)
        self._task = asyncio.create_task(self.channel.run(self.received.put_nowait))
        return self

    async def link(self):
        """The server's end, once it is open at both."""
        link = await self.centre.links.get()
        while not self.channel.up:
            await asyncio.sleep(0.001)
        return link

    async def end(self):
        with pytest.raises(LinkError) as caught:
            await self._task
        assert not self.channel.up
        return caught.value

    async def __aexit__(self, *error):
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._uplink.__aexit__(*error)


@pytest.fixture(autouse=True)
async def in_time():
    async with asyncio.timeout(20):
        yield


async def test_it_opens_at_its_own_number_with_the_token_and_our_name():
    async with SocketCentre() as centre, Running(centre) as line:
        await line.link()
        assert centre.asked == ["/devices/api/gateways/self/", PATH]
        assert centre.headers["Authorization"] == "Bearer token-1"
        assert centre.headers["User-Agent"].startswith("scaleledger/")
        assert "Sec-WebSocket-Extensions" not in centre.headers


async def test_what_the_centre_asks_for_comes_in_order_and_what_is_odd_is_passed_over():
    async with SocketCentre() as centre, Running(centre) as line:
        link = await line.link()
        for text in (text_of("channel_to_gateway.scan"), "{", '{"type":"reboot"}', b"\x00", "[]"):
            await link.send(text)
        await link.send(text_of("channel_to_gateway.start-one"))
        await link.send(text_of("channel_to_gateway.market"))
        found = [await line.received.get() for _ in range(3)]
        assert found == [ScanPorts(), StartStream(("dock-1",)), SyncMarket()]


async def test_what_is_said_arrives():
    async with SocketCentre() as centre, Running(centre) as line:
        await line.link()
        line.channel.send(weights(1))
        assert (await centre.heard.get())["payload"]["stations"][0]["weight"] == "1"
        line.channel.send(PortsScanned(({"device": "/dev/ttyUSB0"},)))
        assert (await centre.heard.get())["payload"][0]["device"] == "/dev/ttyUSB0"


async def test_what_was_said_without_a_line_is_not_said_later():
    async with SocketCentre() as centre, uplink_to(centre.url) as uplink:
        channel = CentralChannel(uplink)
        channel.send(weights(1))
        task = asyncio.create_task(channel.run(lambda _: None))
        await centre.links.get()
        while not channel.up:
            await asyncio.sleep(0.001)
        channel.send(weights(2))
        assert (await centre.heard.get())["payload"]["stations"][0]["weight"] == "2"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_slow_line_shows_fewer_weights_and_never_old_ones():
    async with SocketCentre(reads=False) as centre, Running(centre) as line:
        link = await line.link()
        said = 60_000
        for number in range(said):
            line.channel.send(weights(number))
            await asyncio.sleep(0)
        found = []
        while not found or found[-1] != str(said - 1):
            found.append(json.loads(await link.recv())["payload"]["stations"][0]["weight"])
        assert found == sorted(found, key=int)
        assert len(found) < said / 2


async def test_only_the_newest_of_a_burst_goes_out():
    async with SocketCentre() as centre, Running(centre) as line:
        await line.link()
        for number in range(100):
            line.channel.send(weights(number))
        assert (await centre.heard.get())["payload"]["stations"][0]["weight"] == "99"
        assert centre.heard.empty()


@pytest.mark.parametrize(("code", "wait_s"), [(4409, 30.0), (4403, 60.0), (1012, None), (1000, None), (1011, None)])
async def test_a_close_ends_the_line_and_says_how_long_to_wait(code, wait_s):
    async with SocketCentre() as centre, Running(centre) as line:
        await (await line.link()).close(code)
        end = await line.end()
        assert str(code) in str(end)
        assert end.retry_after_s == wait_s
        assert line.uplink.ready


@pytest.mark.parametrize("about_token", [UNKNOWN, EXPIRED])
async def test_a_token_that_is_refused_there_and_when_asked_is_used_no_more(about_token):
    async with SocketCentre() as centre, Running(centre) as line:
        link = await line.link()
        centre.about_token = about_token
        await link.close(4401)
        await line.end()
        assert not line.uplink.ready
        assert line.uplink.refusal.code == about_token[1]["code"]


async def test_a_line_that_ends_with_its_token_is_opened_again_at_once_with_the_one_in_its_place():
    async with SocketCentre() as centre, Running(centre) as line:
        link = await line.link()
        line.uplink.use_token("token-2")
        await link.close(4401)
        assert (await line.end()).retry_after_s is None
        assert line.uplink.ready


async def test_it_says_once_that_it_is_open():
    opened = []
    async with SocketCentre() as centre, uplink_to(centre.url) as uplink:
        channel = CentralChannel(uplink)
        task = asyncio.create_task(channel.run(lambda _: None, lambda: opened.append(channel.up)))
        link = await centre.links.get()
        await link.close(1012)
        with pytest.raises(LinkError):
            await task
    assert opened == [True]


async def test_a_close_alone_does_not_cost_the_token():
    async with SocketCentre() as centre, Running(centre) as line:
        await (await line.link()).close(4401)
        assert (await line.end()).retry_after_s == 60.0
        assert line.uplink.ready


@pytest.mark.parametrize(
    ("status", "kind", "wait_s"),
    [(404, NotOffered, 60.0), (403, LinkError, 60.0), (302, LinkError, None), (500, LinkError, None)],
)
async def test_a_handshake_that_is_refused_ends_the_run(status, kind, wait_s):
    async with SocketCentre(handshake=status) as centre, Running(centre) as line:
        end = await line.end()
        assert type(end) is kind
        assert end.retry_after_s == wait_s
        assert line.uplink.ready
        assert centre.asked.count(PATH) == 1
        assert "/elsewhere/" not in centre.asked


async def test_a_handshake_refused_for_the_token_asks_whose_it_is():
    async with SocketCentre(handshake=401) as centre, Running(centre) as line:
        while PATH not in centre.asked:
            centre.about_token = UNKNOWN if len(centre.asked) else centre.about_token
            await asyncio.sleep(0)
        await line.end()
        assert not line.uplink.ready


async def test_a_centre_that_gives_no_number_has_no_channel():
    said = {"mac_address": MAC, "access_token": "token-1"}
    async with SocketCentre(about_token=(200, said)) as centre, Running(centre) as line:
        end = await line.end()
        assert isinstance(end, NotOffered)
        assert end.retry_after_s == 60.0
        assert PATH not in centre.asked


async def test_a_line_that_answers_no_ping_is_dead():
    async with SocketCentre() as centre, Running(centre, ping_interval_s=0.1, silence_s=0.3) as line:
        link = await line.link()
        link.transport.pause_reading()
        await line.end()
        link.transport.abort()


async def test_a_message_without_end_ends_the_line():
    async with SocketCentre() as centre, Running(centre) as line:
        await (await line.link()).send("x" * 70_000)
        await line.end()
        assert line.received.empty()


async def test_nobody_there_is_a_link_error():
    async with SocketCentre() as centre:
        url = centre.url
    async with uplink_to(url) as uplink:
        with pytest.raises(LinkError, match="cannot be reached"):
            await CentralChannel(uplink).run(lambda _: None)


async def test_no_line_is_opened_without_a_token():
    async with SocketCentre() as centre, CentralUplink(centre.url, mac_address=MAC, sign=GATEWAY_KEY.sign) as uplink:
        task = asyncio.create_task(CentralChannel(uplink).run(lambda _: None))
        await asyncio.sleep(0.05)
        assert centre.asked == []
        uplink.use_token("token-1")
        await centre.links.get()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_mistake_of_the_one_who_listens_ends_the_line_with_that_mistake():
    def mistaken(_):
        raise AssertionError("ours")

    async with SocketCentre() as centre, uplink_to(centre.url) as uplink:
        task = asyncio.create_task(CentralChannel(uplink).run(mistaken))
        link = await centre.links.get()
        await link.send(text_of("channel_to_gateway.scan"))
        with pytest.raises(AssertionError, match="ours"):
            await task
        await link.wait_closed()
