"""One page's writer: a page that takes nothing in holds nobody up, and is never sent what is old."""

import asyncio
import json

from scaleledger_server.live.page_socket import PageLink
from scaleledger_server.live.sockets import Socket

KEY = (7, "dock-1")


class HubOfNobody:
    def enter(self, page):
        self.page = page

    def exit(self, page):
        assert page is self.page


class PageThatTakesNothingIn:
    """An ASGI connection whose sends wait until `takes` is set."""

    def __init__(self):
        self.takes, self.sent, self.ended = asyncio.Event(), [], asyncio.Event()

    async def receive(self):
        await self.ended.wait()
        return {"type": "websocket.disconnect", "code": 1006}

    async def send(self, message):
        await self.takes.wait()
        self.sent.append(json.loads(message["text"]))


async def test_a_slow_page_gets_the_newest_value_once_it_takes_something_in_and_no_old_one():
    slow = PageThatTakesNothingIn()
    link = PageLink(Socket(slow.receive, slow.send), HubOfNobody(), None, None)
    served = asyncio.create_task(link.run())
    now = asyncio.get_running_loop().time
    link.offer_presence(7, online=True)
    await asyncio.sleep(0)
    for step in range(1000):
        link.offer_live(now(), {KEY: f'{{"weight":"{step}"}}'})
        link.offer_live(now() - 2.1, {(7, "dock-2"): '{"weight":"old"}'})
        link.offer_weighings({KEY: f'{{"seq":{step}}}'})
        await asyncio.sleep(0)
    slow.takes.set()
    while len(slow.sent) < 3:
        await asyncio.sleep(0)
    slow.ended.set()
    assert (await asyncio.gather(served, return_exceptions=True))[0].__class__.__name__ == "Gone"
    assert [message["type"] for message in slow.sent] == ["online", "weighing", "live"]
    assert slow.sent[1]["stations"] == [{"seq": 999}]
    assert slow.sent[2]["stations"] == [{"weight": "999"}]
