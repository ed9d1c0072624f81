"""An event loop whose clock jumps to the next timer: minutes of simulated work in milliseconds, the same way every time."""

import asyncio
import selectors


class _NothingArrives(selectors.SelectSelector):
    """Never waits and never sees a socket; waiting is moving the clock."""

    def __init__(self):
        super().__init__()
        self.now = 0.0

    def select(self, timeout=None):
        assert timeout is not None, "nothing is scheduled: the program would wait for ever"
        self.now += max(timeout, 0.0)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self):
        self._clock = _NothingArrives()
        super().__init__(self._clock)

    def time(self):
        return self._clock.now


def run_virtually(main):
    """Run a coroutine to its end in virtual time; fails if it leaves a task behind."""
    loop = VirtualLoop()
    try:
        result = loop.run_until_complete(main)
        left = asyncio.all_tasks(loop)
        assert not left, f"tasks left running: {left}"
        return result
    finally:
        loop.close()
