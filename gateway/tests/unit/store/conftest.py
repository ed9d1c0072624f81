import pytest

from fakes import weighings


@pytest.fixture
async def open_store():
    """Open stores; what is still open at the end is closed, also after a failure."""
    stores = []

    async def opened(folder, **changed):
        stores.append(await weighings.open_store(folder, **changed))
        return stores[-1]

    yield opened
    for store in stores:
        await store.close()
