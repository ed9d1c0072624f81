"""The disk under a running gateway fills up, is damaged, stands still. What was called saved is kept."""

import contextlib
import os
import random
import subprocess
import time

import pytest

from fakes.lone_gateway import LoneGateway

STOP_WITHIN_S = 5.0


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 12 MB of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("a small disk can only be mounted by root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.timeout(60)
async def test_a_full_disk_refuses_at_a_walking_pace_starts_all_the_same_and_recovers(tmp_path, small_disk):
    async with LoneGateway(tmp_path, data=small_disk / "data") as gateway:
        await gateway.process.start()
        await gateway.sees("biz.saved")
        with (small_disk / "hog").open("wb", buffering=0) as hog, contextlib.suppress(OSError):
            while hog.write(bytes(65536)):
                pass
        await gateway.sees("sys.store_full", 3)
        await gateway.process.stop()
        before = gateway.events["sys.store_full"]
        began = time.monotonic()
        await gateway.process.start()
        await gateway.sees("sys.store_full", 4)
        tries = gateway.events["sys.store_full"] - before
        assert tries <= 8 * (1 + (time.monotonic() - began) / 5), "a full disk is asked again and again"
        (small_disk / "hog").unlink()
        await gateway.sees("biz.saved", 2)
        assert await gateway.process.stop() == 0
        assert gateway.saved == await gateway.kept()


@pytest.mark.timeout(60)
async def test_a_database_damaged_while_in_use_is_set_aside_and_the_line_goes_on(tmp_path):
    rng = random.Random(5)
    async with LoneGateway(tmp_path) as gateway:
        await gateway.process.start()
        await gateway.sees("biz.saved")
        database = gateway.data / "scaleledger.db"
        with database.open("r+b") as file:
            for place in range(0, database.stat().st_size, 1024):
                file.seek(place)
                file.write(rng.randbytes(1024))
        await gateway.sees("sys.store_set_aside")
        before = len(gateway.saved)
        await gateway.sees("biz.saved", 2)
        assert await gateway.process.stop() == 0
        assert set(gateway.saved[before:]) <= set(await gateway.kept())
        assert list(gateway.data.glob("*.corrupt-*"))


@pytest.mark.timeout(60)
async def test_asked_to_stop_it_ends_in_time_though_the_disk_stands_still(tmp_path):
    async with LoneGateway(tmp_path) as gateway:
        await gateway.process.start(SCALELEDGER_FAILPOINTS="store.before-commit=stall@2")
        await gateway.sees("sys.store_slow")
        began = time.monotonic()
        assert await gateway.process.stop() == 4
        assert time.monotonic() - began < STOP_WITHIN_S
        assert gateway.events["sys.not_drained"] == 1
        assert set(gateway.saved) <= set(await gateway.kept())
