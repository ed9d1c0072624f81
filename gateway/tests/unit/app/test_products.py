"""Product files follow the cloud's list: fetched when it is new, kept when it is not to be had, whole on the disk or not there."""

import asyncio
import contextlib
import random
from datetime import UTC, datetime

import pytest

from fakes import weighings
from scaleledger.app.products import Products, put
from scaleledger.domain.cloud import PluItem, PluList
from scaleledger.domain.errors import LinkError, NotOffered
from scaleledger.plu import Written

MINCE = PluItem("1", "KIYMA", "000000000001", 15)
STEAK = PluItem("2", "BONFILE", "000000000002", 900)


class CloudOfProducts:
    """Offers one list after another; an exception stands for a question that came to nothing."""

    def __init__(self, *answers):
        self.answers, self.asked, self.done = list(answers), [], asyncio.Event()

    async def fetch_plu(self, version):
        self.asked.append(version)
        if not self.answers:
            self.done.set()
            return None
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class WallClock:
    def now(self):
        return datetime(2026, 11, 21, 8, 0, tzinfo=UTC)

    def monotonic(self):
        return asyncio.get_running_loop().time()


@contextlib.asynccontextmanager
async def following(store, cloud, folder):
    """The part at work, until the cloud has answered everything it had to say."""
    products = Products(cloud, store.plu, families=["dp401"], folder=folder, clock=WallClock(), rng=random.Random(1))
    work = asyncio.create_task(products.run())
    async with asyncio.timeout(10):
        while not cloud.done.is_set():
            products.ask()
            await asyncio.sleep(0.01)
    yield products
    work.cancel()
    await asyncio.wait([work])


@pytest.fixture
async def store(tmp_path):
    store = await weighings.open_store(tmp_path / "data")
    yield store
    await store.close()


async def test_a_new_list_becomes_files_in_the_store_and_in_the_folder(store, tmp_path):
    cloud = CloudOfProducts(PluList("1-a", (MINCE,)), PluList("2-b", (MINCE, STEAK)))
    async with following(store, cloud, tmp_path / "generated") as products:
        assert products.version == "2-b"
    newest, older = await store.plu.files()
    assert [(file.version, file.item_count) for file in (newest, older)] == [("2-b", 2), ("1-a", 1)]
    _, content = await store.plu.content(newest.id)
    assert (tmp_path / "generated" / "dp401" / "plu.txt").read_bytes() == content
    assert cloud.asked[0] == ""
    assert cloud.asked[-1] == "2-b"


async def test_without_the_cloud_the_files_of_the_stored_list_stay_and_are_put_back(store, tmp_path):
    async with following(store, CloudOfProducts(PluList("1-a", (MINCE,))), tmp_path / "generated"):
        pass
    (tmp_path / "generated" / "dp401" / "plu.txt").unlink()
    cloud = CloudOfProducts(LinkError("no route"), NotOffered("404"))
    async with following(store, cloud, tmp_path / "generated") as products:
        assert products.version == "1-a"
    assert cloud.asked[0] == "1-a"
    assert (tmp_path / "generated" / "dp401" / "plu.txt").exists()
    assert len(await store.plu.files()) == 1


async def test_a_download_is_remembered_and_a_same_file_is_not_kept_twice(store, tmp_path):
    cloud = CloudOfProducts(PluList("1-a", (MINCE,)), PluList("2-b", (MINCE,)))
    async with following(store, cloud, tmp_path / "generated"):
        pass
    [file] = await store.plu.files()
    assert (file.version, file.downloaded_at) == ("2-b", None)
    await store.plu.note_download(file.id, WallClock().now())
    [file] = await store.plu.files()
    assert file.downloaded_at == WallClock().now()


async def test_what_has_no_place_in_the_file_is_said(store, tmp_path):
    cloud = CloudOfProducts(PluList("1-a", (MINCE, PluItem("x", "BAD", ""))))
    async with following(store, cloud, tmp_path / "generated") as products:
        assert [number for number, _ in products.left_out["dp401"]] == ["x"]


def test_a_folder_that_cannot_be_written_costs_nothing(tmp_path):
    (tmp_path / "taken").write_text("a file where a folder should be")
    put(tmp_path / "taken", Written("plu.txt", b"x", 1, ()))
    assert (tmp_path / "taken").read_text() == "a file where a folder should be"
