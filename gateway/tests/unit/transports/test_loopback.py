import asyncio
import selectors

import pytest

from fakes.wires import Listener
from scaleledger.transports import pair
from scaleledger.wire.link import LinkState


class NoDescriptors(selectors.SelectSelector):
    """Waits for nothing: time jumps to the loop's next timer."""

    def __init__(self):
        super().__init__()
        self.now = 0.0

    def select(self, timeout=None):
        assert timeout is not None, "the loop waits for something outside of it"
        self.now += max(0, timeout)
        return []

    def monotonic(self):
        return self.now


async def an_hour(clock):
    transport, peer = pair(clock)
    listener = Listener()
    task = asyncio.ensure_future(transport.run(listener.accept))
    for number in range(360):
        await peer.wait_connected()
        peer.send(b"%d\r\n" % number)
        await asyncio.sleep(5)
        peer.unplug()
        await asyncio.sleep(5)
        peer.plug()
    task.cancel()
    await asyncio.wait([task])
    return transport, listener


def test_it_runs_on_a_virtual_clock():
    selector = NoDescriptors()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = selector.monotonic
    try:
        transport, listener = loop.run_until_complete(an_hour(selector))
    finally:
        loop.close()
    assert [bytes(heard.data) for heard in listener.heard[:360]] == [b"%d\r\n" % n for n in range(360)]
    assert all(heard.losses == ["unplugged"] for heard in listener.heard[:360])
    assert selector.now >= 3600
    assert transport.status.state is LinkState.CLOSED


async def test_sending_into_an_open_end_is_an_error_of_the_device():
    _, peer = pair(asyncio.get_running_loop())
    with pytest.raises(ConnectionError):
        peer.send(b"x")
