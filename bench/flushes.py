"""What a weighing costs the disk: flushes, bytes handed over, and 4 KiB blocks, with the acks of its delivery.

An SD card wears by blocks, and a flush is what a weighing waits for. Each weighing is settled right after its commit, as a
forwarder does with a near centre. The other arm commits each weighing and then each mark, in tables as they come to mind
first.
"""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from bench.arms.naive_store import NaiveStore
from bench.counted_disk import CountedDisk, counted
from bench.folders import scratch
from bench.line import RESERVE_MB, HandClock
from bench.logs import quiet_logs
from bench.result import Figures, Result, command, say
from scaleledger.bootstrap import new_uuid
from scaleledger.domain.delivery import ItemOutcome, Outcome
from scaleledger.domain.weighing import Draft
from scaleledger.store import Store

LONE_FLUSHES, LONE_BYTES, BUSY_FLUSHES = 1.05, 13_000, 0.2
START = datetime(2026, 1, 1, tzinfo=UTC)
STATIONS = 20
UPLINK = "central"
ANSWER_S = 0.005
WARM_UP = 3


def measure(*, quick: bool) -> Iterator[Result]:
    """One weighing a second; one every three seconds; one after the other; 20 stations as fast as the disk allows."""
    paced, rare, row, busy = (3, 0, 200, 1_000) if quick else (40, 8, 3_000, 20_000)
    yield asyncio.run(_lone(paced, rare, row, quick=quick))
    yield asyncio.run(_busy(busy, quick=quick))


class _Line:
    """A store, and a centre that answers at once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._number = 0

    async def weigh(self) -> None:
        """One weighing: durable, and told."""
        self._number += 1
        record = await self._store.ledger.append(_draft(self._number))
        self._store.ledger.told(record)

    async def deliver(self) -> None:
        """What is owed by now: delivered, and settled."""
        batch = await self._store.outbox.next_batch(UPLINK, 500)
        records = () if batch is None else batch.records
        await self._store.outbox.settle(UPLINK, [ItemOutcome(r.seq, Outcome.ACKED) for r in records])

    async def forward(self) -> None:
        """Deliver whatever is appended, until cancelled."""
        seen = 0
        while True:
            seen = await self._store.outbox.wait_for_append(seen)
            await self.deliver()


def _draft(number: int) -> Draft:
    return Draft(
        uuid=new_uuid(),
        station=f"dock-{number % STATIONS}",
        driver="suwol-1000",
        mode="tag",
        weight=Decimal("152.50") + number,
        unit="kg",
        measured_at=START + timedelta(seconds=number),
        card="00345678",
        raw=b"\x020D003456780000000000000000  152.50\x03",
        boot_id="0f9c1cc6-6f0f-4f5a-9a06-0f8f3c0fb7b4",
        evidence=(("frames", "3"), ("mode", "flag"), ("span_ms", "400")),
    )


async def _open(folder: Path) -> Store:
    return await Store.open(
        folder, clock=HandClock(), mac_address="02:00:00:00:00:01", hostname="bench", reserve_mb=RESERVE_MB
    )


async def _lone(paced: int, rare: int, row: int, *, quick: bool) -> Result:
    name = "flushes-lone"
    say(f"{name}: {paced} at 1/s, {rare} at one in 3 s, {row} one after the other")
    with scratch(name) as folder, quiet_logs(folder), counted() as disk:
        store = await _open(folder / "data")
        line = _Line(store)
        arms = {
            "product, 1/s": await _in_turn(disk, folder / "data", line, paced, 1.0),
            "product, one after the other": await _in_turn(disk, folder / "data", line, row, 0.0),
        }
        if rare:
            arms["product, one in 3 s"] = await _in_turn(disk, folder / "data", line, rare, 3.0)
        await store.close()
        with closing(NaiveStore(folder / "naive" / "naive.sqlite3")) as naive:
            before = disk.tally(folder / "naive").copy()
            for _ in range(row):
                naive.mark_sent(naive.append("x" * 600))
            arms["commit each, mark each"] = disk.tally(folder / "naive").since(before, row)
    lone = arms["product, 1/s"]
    rows = arms["product, one after the other"]
    flushes, blocks = (max(lone[figure], rows[figure]) for figure in ("flushes", "block_bytes"))
    return Result(
        name=name,
        what="flushes and bytes of a lone weighing, acks included",
        arms=arms,
        ratio=lone["block_bytes"] / arms["commit each, mark each"]["block_bytes"],
        ratio_of="block bytes of product at 1/s / of commit each, mark each",
        aim=f"flushes <= {LONE_FLUSHES} and block bytes <= {LONE_BYTES}, at 1/s and one after the other",
        judged={"flushes": flushes, "block bytes": blocks},
        met=flushes <= LONE_FLUSHES and blocks <= LONE_BYTES,
        n=paced,
        command=command("flushes"),
        quick=quick,
    )


async def _in_turn(disk: CountedDisk, folder: Path, line: _Line, count: int, every_s: float) -> Figures:
    loop = asyncio.get_running_loop()
    due = loop.time()
    before = disk.tally(folder).copy()
    for n in range(-WARM_UP, count):
        if n == 0:
            before = disk.tally(folder).copy()
        await line.weigh()
        await asyncio.sleep(ANSWER_S if every_s else 0.0)
        await line.deliver()
        if every_s:
            due += every_s
            await asyncio.sleep(max(0.0, due - loop.time()))
    return disk.tally(folder).since(before, count)


async def _busy(count: int, *, quick: bool) -> Result:
    name = "flushes-busy"
    say(f"{name}: {count} weighings by {STATIONS} stations")
    with scratch(name) as folder, quiet_logs(folder), counted() as disk:
        store = await _open(folder / "data")
        line = _Line(store)
        forwarder = asyncio.create_task(line.forward())
        before = disk.tally(folder / "data").copy()

        async def station() -> None:
            for _ in range(count // STATIONS):
                await line.weigh()

        await asyncio.gather(*(station() for _ in range(STATIONS)))
        product = disk.tally(folder / "data").since(before, count)
        forwarder.cancel()
        await asyncio.wait({forwarder})
        await store.close()
        with closing(NaiveStore(folder / "naive" / "naive.sqlite3")) as naive:
            before, some = disk.tally(folder / "naive").copy(), count // 10
            for _ in range(some):
                naive.mark_sent(naive.append("x" * 600))
            other = disk.tally(folder / "naive").since(before, some)
    return Result(
        name=name,
        what=f"flushes and bytes of a weighing when {STATIONS} stations weigh as fast as the disk allows",
        arms={"product": product, "commit each, mark each": other},
        ratio=product["flushes"] / other["flushes"],
        ratio_of="flushes of product / of commit each, mark each",
        aim=f"flushes <= {BUSY_FLUSHES}",
        judged={"flushes": product["flushes"]},
        met=product["flushes"] <= BUSY_FLUSHES,
        n=count,
        command=command("flushes"),
        quick=quick,
    )
