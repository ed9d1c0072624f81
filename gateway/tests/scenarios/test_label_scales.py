"""Label scales and a gateway that is killed again and again: what a person was told "saved" is there, and there once."""

import asyncio
import json
import socket
from collections import Counter
from decimal import Decimal

from fakes.lone_gateway import PROGRAM
from scaleledger.simulators.dp401 import PRODUCTS, Cut, Exchange, LabelManner, LabelScale
from scaleledger.simulators.journal import Journal
from scaleledger.simulators.plant import GatewayProcess, run
from scaleledger.simulators.ports import open_port

SCALES, KILLS, BETWEEN = 4, 3, 12


def cuts():
    """No two alike, so that each can be found."""
    net = 100
    while True:
        net += 1
        yield Cut(PRODUCTS[net % len(PRODUCTS)], Decimal(net))


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


async def test_what_was_told_saved_is_in_the_ledger_once_however_often_the_gateway_is_killed(tmp_path):
    port = free_port()
    config = tmp_path / "gateway.toml"
    config.write_text(
        f'[gateway]\ndata_dir = "{tmp_path / "data"}"\n[log]\nformat = "json"\n[store]\nreserve_mb = 1\n'
        f'[[listener]]\nname = "hall"\nunit = "g"\nurl = "tcp-listen://127.0.0.1:{port}?max_per_address=64"\n'
    )
    journal, gateway = Journal(), GatewayProcess(config)
    scales = []
    for n in range(SCALES):
        how = Exchange.CONFIRMED if n % 2 else Exchange.PLAIN
        manner = LabelManner(f"SCALE-{n:02}", how, answer_s=1.0, tries=30)
        scales.append(LabelScale(f"SCALE-{n:02}", open_port(f"tcp://127.0.0.1:{port}"), manner, journal=journal))

    def told_saved():
        return sum(tally.saved for tally in journal.counts.values())

    async def work(wanted):
        async with asyncio.timeout(60):
            while told_saved() < wanted:
                await asyncio.sleep(0.01)

    try:
        await gateway.start()
        for scale in scales:
            await scale.start(cuts(), rest_s=0.02)
        for kill in range(KILLS):
            await work((kill + 1) * BETWEEN)
            await gateway.kill()
            await gateway.start()
        await work((KILLS + 1) * BETWEEN)
        async with asyncio.timeout(60):
            await asyncio.gather(*(scale.finish() for scale in scales))
        assert await gateway.stop() == 0
    finally:
        for scale in scales:
            await scale.close()
        if gateway.alive:
            await gateway.kill()
    code, words = await run(PROGRAM, "verify", "--data-dir", str(tmp_path / "data"))
    assert code == 0, words
    _, lines = await run(PROGRAM, "export", "--data-dir", str(tmp_path / "data"), "--format", "jsonl")
    held = Counter((told["station"], told["weight"]) for told in map(json.loads, lines.splitlines()))
    boxes = [
        (line["station"], line["weight"])
        for line in journal.lines
        if line["event"] == "box" and line["told"] == "saved"
    ]
    assert boxes
    assert not [box for box in boxes if held[box] != 1]
    assert set(held.values()) == {1}
