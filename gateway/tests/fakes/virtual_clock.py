"""Tests written as coroutines that live in virtual time, and the clock that goes with them."""

import asyncio
import functools
from contextlib import asynccontextmanager
from datetime import timedelta

from fakes.outbox import START
from fakes.virtual_time import run_virtually


class LoopClock:
    """The running loop's time, also as wall clock: right on a virtual loop and on a real one."""

    def monotonic(self):
        return asyncio.get_running_loop().time()

    def now(self):
        return START + timedelta(seconds=self.monotonic())


def virtual(test):
    """Run a coroutine test to its end in virtual time."""

    @functools.wraps(test)
    def run(*args, **given):
        return run_virtually(test(*args, **given))

    return run


@asynccontextmanager
async def running(*parts):
    """Parts of the gateway at work until the block ends; what one of them raised by itself fails the test."""
    tasks = [asyncio.create_task(part.run()) for part in parts]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in tasks:
        if not task.cancelled():
            task.result()
