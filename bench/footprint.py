"""Memory at rest, and the time from a command to a gateway that is up; beside the smallest Python that could do such work.

The gateway has its store, its log and an uplink to a centre that is away; its indicators talk 10 times a second. Starts are
counted on a data folder that exists; the first start, which makes it, stands beside them.
"""

import shutil
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from bench.folders import scratch
from bench.gateways import gateway, write_config, yards
from bench.processes import cpu_s, output_of, rss_mb
from bench.result import Figures, Result, command, middle, say

AIM_MB = 80.0
RATE_HZ = 10
NOWHERE = "http://127.0.0.1:9"  # the discard port: nobody listens
BARE = """
import asyncio, sqlite3, time
lines = open("/proc/self/status").read().splitlines()
print(next(l for l in lines if l.startswith("VmRSS")).split()[1], time.process_time())
"""


def measure(*, quick: bool) -> Iterator[Result]:
    """Memory with one scale and with 64; start-up."""
    repeats, rest_s = (1, 1.0) if quick else (3, 10.0)
    bare = [_bare() for _ in range(repeats)]
    yield _memory(1, repeats, rest_s, bare, quick=quick)
    if not quick:
        yield _memory(64, repeats, rest_s, bare, quick=quick)
    yield _start_up(1 if quick else 7, quick=quick)


def _memory(stations: int, repeats: int, rest_s: float, bare: list[Figures], *, quick: bool) -> Result:
    name = f"memory-{stations}"
    say(f"{name}: {repeats} x {rest_s:g} s")
    found = []
    with scratch(name) as folder, yards(folder, stations, RATE_HZ):
        config = write_config(folder, stations, uplink=NOWHERE)
        _start(config)
        for _ in range(repeats):
            with gateway(config) as child:
                time.sleep(rest_s)
                found.append(rss_mb(child.pid))
    rss = statistics.median(found)
    floor = middle(bare)["rss_mb"]
    return Result(
        name=name,
        what=f"resident memory after {rest_s:g} s with {stations} scale{'s' * (stations > 1)}",
        arms={"product": {"rss_mb": rss}, "python with asyncio and sqlite3": {"rss_mb": floor}},
        ratio=rss / floor,
        ratio_of="product / python with asyncio and sqlite3",
        aim=f"<= {AIM_MB:.0f} MB",
        judged={"MB": rss},
        met=rss <= AIM_MB,
        n=repeats,
        command=command("footprint"),
        quick=quick,
    )


def _start_up(repeats: int, *, quick: bool) -> Result:
    name = "start-up"
    say(f"{name}: {repeats} starts")
    with scratch(name) as folder, yards(folder, 1, RATE_HZ):
        config = write_config(folder, 1, uplink=NOWHERE)
        first = _first_start(config)
        product, bare = [], []
        for _ in range(repeats):
            product.append(_start(config))
            bare.append(_bare())
    arms = {"product": middle(product), "python with asyncio and sqlite3": middle(bare)}
    return Result(
        name=name,
        what="from the command to a gateway that is up",
        arms={**arms, "product, first start": first},
        ratio=arms["product"]["cpu_ms"] / arms["python with asyncio and sqlite3"]["cpu_ms"],
        ratio_of="processor time of product / of python with asyncio and sqlite3",
        n=repeats,
        command=command("footprint"),
        quick=quick,
        notes={"import_ms_by_package": _imports()},
    )


def _start(config: Path) -> Figures:
    began = time.perf_counter()
    with gateway(config) as child:
        return {"wall_ms": (time.perf_counter() - began) * 1e3, "cpu_ms": cpu_s(child.pid) * 1e3}


def _first_start(config: Path) -> Figures:
    """With modules compiled, but with a data folder to be made."""
    _start(config)
    shutil.rmtree(config.parent / "data")
    return _start(config)


def _bare() -> Figures:
    began = time.perf_counter()
    said, _ = output_of([sys.executable, "-c", BARE])
    wall_s = time.perf_counter() - began
    kib, cpu = said.split()
    return {"wall_ms": wall_s * 1e3, "cpu_ms": float(cpu) * 1e3, "rss_mb": int(kib) * 1024 / 1e6}


def _imports() -> dict[str, float]:
    """Milliseconds that each package's own modules take to import, the ten slowest."""
    program = "import scaleledger.cli, scaleledger.bootstrap"
    _, said = output_of([sys.executable, "-X", "importtime", "-c", program])
    spent = Counter[str]()
    for line in said.splitlines():
        own, _, name = line.removeprefix("import time:").partition("|")
        if own.strip().isdigit():
            spent[name.rpartition("|")[2].strip().partition(".")[0]] += int(own)
    return {package: us / 1e3 for package, us in spent.most_common(10)}
