"""One connection for many parts: what one part writes is its own, whatever another one's transaction comes to."""

import asyncio

import pytest
from tortoise.transactions import in_transaction

from scaleledger.store.orm import Orm
from scaleledger.store.tables import Setting


class Trouble(Exception):
    pass


@pytest.fixture
async def orm(tmp_path):
    found = Orm()
    await found.open(tmp_path / "one.sqlite3")
    await found.run(found.client.execute_script("CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL)"))
    yield found
    await found.close()


async def keep(key):
    await Setting.bulk_create([Setting(key=key, value="1")], on_conflict=["key"], update_fields=["value"])


async def kept():
    return await Setting.all().values_list("key", flat=True)


@pytest.mark.parametrize("fails", [True, False])
async def test_what_is_written_beside_a_transaction_is_no_part_of_it(orm, fails):
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def transaction():
        async with in_transaction():
            await keep("mine")
            inside.set()
            await go_on.wait()
            if fails:
                raise Trouble

    first = asyncio.create_task(orm.run(transaction()))
    await inside.wait()
    second = asyncio.create_task(orm.run(keep("other")))
    await asyncio.sleep(0)
    await asyncio.wait({second}, timeout=0.2)  # it waits for the transaction's end
    go_on.set()
    told = await asyncio.gather(first, second, return_exceptions=True)
    assert [type(one) for one in told] == [Trouble if fails else type(None), type(None)]
    assert sorted(await orm.run(kept())) == (["other"] if fails else ["mine", "other"])
