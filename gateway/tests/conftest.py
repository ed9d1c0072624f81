import asyncio
import inspect
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import settings

from scaleledger.store import opening

settings.register_profile("gateway", deadline=None, max_examples=40)  # a busy machine is not a failing test
settings.load_profile("gateway")


HERE = Path(__file__).parent
OPENING_TESTS = HERE / "unit" / "store" / "test_opening.py"
_make_database = opening._create


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


@pytest.fixture(scope="session")
def blank_database(tmp_path_factory):
    """A new database, made once by the real steps: 0.4 s of work that hundreds of tests would repeat."""
    return tmp_path_factory.mktemp("blank") / "scaleledger.db"


@pytest.fixture(autouse=True)
def new_stores_are_copies(request, monkeypatch, blank_database):
    """A new store begins as a copy of the blank one, except where it is told how a store begins."""
    if request.path == OPENING_TESTS:
        return

    async def copied(path):
        if not blank_database.exists():
            await _make_database(blank_database)
        path.write_bytes(blank_database.read_bytes())
        path.chmod(0o600)

    monkeypatch.setattr(opening, "_create", copied)
