"""The gateway dies at any moment, and at the worst ones. What a person was told is kept, once, here and at the centre.

Everything is real: the gateway's process, the Django server's, ptys and sockets. The oracle is the simulated world's
journal, which is never killed: a porter writes "saved" only when lamp or voice said so after his tap.
"""

import asyncio
import json
import random
import signal
from collections import Counter

import pytest

from scaleledger.observe.failpoints import NAMES
from scaleledger.simulators.plant import Plant
from scaleledger.simulators.yard import StationSpec

PORTERS, TALKERS = 14, 3


def specs():
    porters = [
        StationSpec(
            f"dock-{n}", "suwol-1000", cards=(f"CARD{n:04}", f"CARD{n + 100:04}"), pace=0, rest_s=0.1, patience_s=0.8
        )
        for n in range(PORTERS)
    ]
    talkers = [StationSpec(f"belt-{n}", "st-gs-comma", rate_hz=20.0) for n in range(TALKERS)]
    return [*porters, *talkers]


async def settle(plant):
    """Let the operators end their boxes, the gateway deliver; then stop it in good order."""
    await plant.yard.finish()
    held = await plant.ledger()
    assert await plant.gateway.drained(len(held)), "the gateway did not deliver what it holds"
    assert await plant.gateway.stop() == 0


def key(line):
    return line["station"], line["card"], line["weight"]


async def assert_books_agree(plant):
    held = await plant.ledger()
    server = await plant.server.records()
    good, words = await plant.verify()
    assert good, words
    assert Counter(r["uuid"] for r in server) == Counter(r["uuid"] for r in held), "each record once at the server"
    assert [r["seq"] for r in held] == list(range(1, len(held) + 1))
    lines = list(plant.yard.journal.lines)
    kept = Counter((r["station"], r["rfid_uid"], r["weight"]) for r in held)
    told = Counter(key(line) for line in lines if line.get("told") == "saved")
    assert not told - kept, f"told saved, not kept: {told - kept}"
    shown = Counter(key(line) for line in lines)
    assert not kept - shown, f"kept twice, or never shown: {kept - shown}"
    refused = Counter(key(line) for line in lines if line.get("told") == "refused")
    assert not refused - (shown - kept), f"told refused, but kept: {refused - (shown - kept)}"
    return told


async def kill_at_random(part, times, longest_s, rng):
    """SIGKILL, start again, and let it work for a while; the moments are the test's input."""
    for _ in range(times):
        await asyncio.sleep(rng.uniform(0.1, longest_s))
        await part.kill()
        await part.start()


@pytest.mark.timeout(400)
@pytest.mark.parametrize(("gateway_kills", "server_kills"), [(6, 4), pytest.param(50, 30, marks=pytest.mark.nightly)])
async def test_gateway_and_server_are_killed_again_and_again_under_load(tmp_path, gateway_kills, server_kills):
    rng = random.Random(20261121)
    async with Plant(tmp_path, specs(), seed=3) as plant:
        await plant.gateway.start()
        await plant.server.approve()
        async with asyncio.TaskGroup() as kills:
            kills.create_task(kill_at_random(plant.gateway, gateway_kills, 3.0, rng))
            kills.create_task(kill_at_random(plant.server, server_kills, 4.0, rng))
        await settle(plant)
        told = await assert_books_agree(plant)
        code, words = await plant.server.ask("reconcile", "--json")
        found = json.loads(words)
        [account] = found["gateways"]
        print(f"{gateway_kills} + {server_kills} kills, {sum(told.values())} told saved, {account['records']} held")
        assert (code, found["duplicates"], account["missing"], account["pending"]) == (0, 0, 0, 0), words
        assert sum(told.values()) >= 10, "the load was too small to prove anything"


@pytest.mark.timeout(200)
async def test_killed_at_every_failpoint(tmp_path):
    async with Plant(tmp_path, specs(), seed=4) as plant:
        await plant.gateway.start()
        await plant.server.approve()
        await plant.gateway.stop()
        for point in NAMES:
            for passes in (1, 3):
                await plant.gateway.start(SCALELEDGER_FAILPOINTS=f"{point}=kill@{passes}")
                async with asyncio.timeout(40):
                    await plant.gateway.wait()
                assert plant.gateway.exit_code == -signal.SIGKILL, f"{point} was not reached"
        await plant.gateway.start()
        await settle(plant)
        await assert_books_agree(plant)
