"""How long until a weighing is durable: from the last frame's bytes to the station's knowledge of the commit.

Arms: the product; the same hand-off to a thread with only a file behind it (`arms.hand_off`), plain, and with the least that
a tamper-evident ledger computes; a bare append. The arms take turns, load by load where loads are lone, second by second under load.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, closing, nullcontext
from functools import partial

from bench.arms.hand_off import BareAppend, Chain, HandOff
from bench.counted_disk import counted
from bench.folders import scratch
from bench.line import Dock, docks
from bench.logs import quiet_logs
from bench.result import Figures, Result, command, middle, percentile, say

ENTRY = b"x" * 700  # about what a record's payload and hash take
AIM = 1.5
WARM_UP = 10
STATIONS = 20
LOAD_HZ = 200
SLOW_FLUSH_S = 0.010
Arms = dict[str, Callable[[], Awaitable[float]]]


def measure(*, quick: bool) -> Iterator[Result]:
    """Lone weighings; 20 stations under load; lone weighings on a disk whose flushes last as long as an SD card's."""
    repeats = 1 if quick else 5
    lone, load_s, slow = (15, 1.0, 10) if quick else (100, 3.0, 40)
    yield asyncio.run(_lone("durable-lone", "one weighing at a time, 10 a second", repeats, lone, quick=quick))
    yield asyncio.run(_load(repeats, load_s, quick=quick))
    what = f"one weighing at a time, each flush lasting {SLOW_FLUSH_S * 1000:.0f} ms longer, as on an SD card"
    yield asyncio.run(_lone("durable-slow-disk", what, repeats, slow, flush_lasts_s=SLOW_FLUSH_S, quick=quick))


async def _lone(name: str, what: str, repeats: int, rounds: int, *, quick: bool, flush_lasts_s: float = 0.0) -> Result:
    say(f"{name}: {repeats} x {rounds} rounds")
    slowed = counted(flush_lasts_s) if flush_lasts_s else nullcontext()
    with scratch(name) as folder, quiet_logs(folder), slowed:
        async with docks(folder / "data", 1) as [dock]:
            with ExitStack() as open_files:
                file = open_files.enter_context(closing(HandOff(folder / "file", flush_lasts_s)))
                chain = HandOff(folder / "chain", flush_lasts_s, Chain().seal)
                bare = BareAppend(folder / "bare")
                open_files.callback(chain.close)
                open_files.callback(bare.close)
                arms = _arms(dock, file, chain, bare, flush_lasts_s)
                await _take_turns(arms, WARM_UP)
                found = [await _take_turns(arms, rounds) for _ in range(repeats)]
    return _result(name, what, found, quick=quick)


def _arms(dock: Dock, file: HandOff, chain: HandOff, bare: BareAppend, flush_lasts_s: float) -> Arms:
    async def hand_off(to: HandOff) -> float:
        began = time.perf_counter()
        await to.append(ENTRY)
        return time.perf_counter() - began

    async def append() -> float:
        began = time.perf_counter()
        bare.append(ENTRY)
        time.sleep(flush_lasts_s)
        return time.perf_counter() - began

    async def product() -> float:
        return await dock.weigh()

    return {
        "product": product,
        "hand-off": partial(hand_off, file),
        "hand-off, hashed and signed": partial(hand_off, chain),
        "bare append": append,
    }


async def _take_turns(arms: Arms, rounds: int) -> dict[str, list[float]]:
    """Ten rounds a second; each arm has its share of the round to itself."""
    loop = asyncio.get_running_loop()
    took: dict[str, list[float]] = {name: [] for name in arms}
    due = loop.time()
    for _ in range(rounds):
        for name, arm in arms.items():
            due = max(due + 0.1 / len(arms), loop.time())
            await asyncio.sleep(due - loop.time())
            took[name].append(await arm())
    return took


async def _load(repeats: int, seconds: float, *, quick: bool) -> Result:
    name = "durable-load"
    say(f"{name}: {repeats} x {seconds:g} s at {LOAD_HZ}/s")
    with scratch(name) as folder, quiet_logs(folder):
        async with docks(folder / "data", STATIONS) as lines:
            with closing(HandOff(folder / "file")) as file:
                found = []
                await _offer_product(lines, 0.5)
                for _ in range(repeats):
                    product = await _offer_product(lines, seconds)
                    found.append({"product": product, "hand-off": await _offer_file(file, seconds)})
    return _result(name, f"{STATIONS} stations, {LOAD_HZ} weighings a second in all", found, quick=quick)


async def _offer_product(lines: list[Dock], seconds: float) -> list[float]:
    futures: list[asyncio.Future[float]] = []
    turn = 0

    def weigh() -> None:
        nonlocal turn
        turn += 1
        dock = lines[turn % len(lines)]
        if not dock.busy:
            futures.append(dock.weigh())

    await _pace(weigh, seconds)
    return list(await asyncio.gather(*futures))


async def _offer_file(file: HandOff, seconds: float) -> list[float]:
    took: list[float] = []
    futures: list[asyncio.Future[None]] = []

    def write() -> None:
        began = time.perf_counter()
        futures.append(future := file.append(ENTRY))
        future.add_done_callback(lambda _: took.append(time.perf_counter() - began))

    await _pace(write, seconds)
    await asyncio.gather(*futures)
    return took


async def _pace(call: Callable[[], None], seconds: float) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    for n in range(int(seconds * LOAD_HZ)):
        await asyncio.sleep(max(0.0, began + n / LOAD_HZ - loop.time()))
        call()


def _result(name: str, what: str, found: list[dict[str, list[float]]], *, quick: bool) -> Result:
    def figures(took: list[float]) -> Figures:
        return {"p50_us": percentile(took, 0.5) * 1e6, "p99_us": percentile(took, 0.99) * 1e6}

    by_repeat = [{arm: figures(took) for arm, took in repeat.items()} for repeat in found]
    ratios = [repeat["product"]["p50_us"] / repeat["hand-off"]["p50_us"] for repeat in by_repeat]
    ratio = percentile(ratios, 0.5)
    return Result(
        name=name,
        what=f"bytes to durable: {what}",
        arms={arm: middle([repeat[arm] for repeat in by_repeat]) for arm in by_repeat[0]},
        ratio=ratio,
        ratio_of="p50 of product / p50 of hand-off",
        aim=f"<= {AIM}",
        judged={"p50 ratio": ratio},
        met=ratio <= AIM,
        n=sum(len(repeat["product"]) for repeat in found),
        command=command("durable"),
        quick=quick,
        notes={"ratios": ratios},
    )
