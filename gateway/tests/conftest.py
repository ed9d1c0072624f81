import asyncio
import inspect
from pathlib import Path

import pytest_asyncio
from hypothesis import settings

settings.register_profile("gateway", deadline=None)  # a busy machine is not a failing test
settings.load_profile("gateway")


HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.is_relative_to(HERE) and inspect.iscoroutinefunction(getattr(item, "function", None)):
            item.fixturenames.insert(0, "no_leaked_tasks")


@pytest_asyncio.fixture
async def no_leaked_tasks():
    """Fails a test that leaves an asyncio task running."""
    before = asyncio.all_tasks()
    yield
    left = [t for t in asyncio.all_tasks() - before if not t.done() and t is not asyncio.current_task()]
    assert not left, f"tasks left running: {left}"
