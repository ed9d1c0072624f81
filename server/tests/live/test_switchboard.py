"""The one line to the channel layer, over a layer that goes away and comes back."""

import asyncio
import contextlib

import pytest
from redis.exceptions import ConnectionError as RedisGone

from scaleledger_server.live.switchboard import OUTBOX_MAX, Switchboard


class LayerThatGoesAway:
    """A channel layer in memory; while `away`, every call fails as with a Redis that is gone."""

    def __init__(self):
        self.away, self.groups, self.sent, self.queue = False, set(), [], asyncio.Queue()

    def _answer(self):
        if self.away:
            raise RedisGone("Connection refused")

    async def group_add(self, group, _channel):
        self._answer()
        self.groups.add(group)

    async def group_discard(self, group, _channel):
        self._answer()
        self.groups.discard(group)

    async def group_send(self, group, message):
        self._answer()
        self.sent.append((group, message.get("n")))
        if group in self.groups:
            self.queue.put_nowait(message)

    async def receive(self, _channel):
        self._answer()
        return await self.queue.get()


@contextlib.asynccontextmanager
async def running(layer):
    switchboard = Switchboard(layer, retry_s=0.01)
    tasks = [asyncio.create_task(switchboard.listen()), asyncio.create_task(switchboard.speak())]
    yield switchboard
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


@pytest.fixture
def heard():
    return asyncio.Queue()


async def test_who_joins_before_it_posts_hears_what_it_posted(heard):
    async with running(LayerThatGoesAway()) as switchboard:
        switchboard.join("hubs", heard.put_nowait)
        switchboard.post("hubs", {"type": "hello"})
        assert await heard.get() == {"type": "hello", "to": "hubs"}


async def test_two_who_joined_cost_one_subscription_and_the_last_to_leave_ends_it(heard):
    layer, other = LayerThatGoesAway(), asyncio.Queue()
    async with running(layer) as switchboard:
        switchboard.join("a", heard.put_nowait)
        switchboard.join("a", other.put_nowait)
        switchboard.post("a", {"n": 1})
        assert (await heard.get())["n"] == (await other.get())["n"] == 1
        assert layer.sent == [("a", 1)]
        switchboard.leave("a", heard.put_nowait)
        switchboard.post("a", {"n": 2})
        assert (await other.get())["n"] == 2
        switchboard.leave("a", other.put_nowait)
        switchboard.post("b", {"n": 3})
        while len(layer.sent) < 3:
            await asyncio.sleep(0)
        assert layer.groups == set()
        assert heard.empty()


async def test_after_an_absence_groups_are_joined_and_who_asked_for_it_says_everything_again(heard):
    layer = LayerThatGoesAway()
    layer.away = True
    async with running(layer) as switchboard:
        switchboard.on_restored(lambda: switchboard.post("a", {"n": "again"}))
        switchboard.join("a", heard.put_nowait)
        switchboard.post("a", {"n": "lost"})
        await asyncio.sleep(0.05)
        assert layer.sent == []
        layer.away = False
        assert (await heard.get())["n"] == "again"
        assert layer.groups == {"a"}


async def test_what_waits_to_be_said_is_bounded_and_the_newest_stays():
    layer = LayerThatGoesAway()
    switchboard = Switchboard(layer)
    for number in range(OUTBOX_MAX + 5):
        switchboard.post("a", {"n": number})
    await switchboard.drain(5)
    assert len(layer.sent) == OUTBOX_MAX
    assert layer.sent[-1] == ("a", OUTBOX_MAX + 4)
