"""What a whole gateway costs on 1, 16 and 64 serial ports at 50 frames a second each.

The gateway is its own process, with its store, its log and the weighings that come of it; simulated indicators talk from
another one, over pseudo terminals. The other arm reads the same ports in turn with the product (`arms.thread_per_port`).
How many frames each arm took in is counted by the kernel.
"""

import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

from bench import yard
from bench.folders import scratch
from bench.gateways import gateway, write_config, yards
from bench.processes import bytes_read, cpu_s, running
from bench.result import Figures, Result, command, middle, say

RATE_HZ = 50
AIM_PERCENT = 30.0
SIZES = (1, 16, 64)


def measure(*, quick: bool) -> Iterator[Result]:
    """Each number of ports."""
    for stations in SIZES[:2] if quick else SIZES:
        repeats = 1 if quick else 3
        yield _ports(stations, repeats, settle_s=0.5 if quick else 3.0, watch_s=1.0 if quick else 10.0, quick=quick)


def _ports(stations: int, repeats: int, *, settle_s: float, watch_s: float, quick: bool) -> Result:
    name = f"ports-{stations}"
    say(f"{name}: {repeats} x 2 arms x {watch_s:g} s")
    found: dict[str, list[Figures]] = {"product": [], "thread per port": []}
    with scratch(name) as folder, yards(folder, stations, RATE_HZ):
        config = write_config(folder, stations)
        for _ in range(repeats):
            with gateway(config) as child:
                found["product"].append(_watch(child, stations, settle_s, watch_s))
            with _thread_per_port(folder, stations) as child:
                found["thread per port"].append(_watch(child, stations, settle_s, watch_s))
    arms = {arm: middle(figures) for arm, figures in found.items()}
    percents = [f["cpu_percent"] for f in found["product"]]
    aimed = stations == max(SIZES)
    return Result(
        name=name,
        what=f"processor time of a gateway with {stations} serial port{'s' * (stations > 1)} at {RATE_HZ} frames a second",
        arms=arms,
        ratio=arms["product"]["cpu_percent"] / max(arms["thread per port"]["cpu_percent"], 0.1),
        ratio_of="product / thread per port",
        aim=f"<= {AIM_PERCENT:.0f} % of one core" if aimed else "",
        judged={"% of one core": statistics.median(percents)} if aimed else {},
        met=statistics.median(percents) <= AIM_PERCENT if aimed else None,
        n=repeats,
        command=command("ports"),
        quick=quick,
        notes={"product_cpu_percent": percents},
    )


def _watch(child: "Popen[bytes]", stations: int, settle_s: float, watch_s: float) -> Figures:
    time.sleep(settle_s)
    cpu, read, began = cpu_s(child.pid), bytes_read(child.pid), time.monotonic()
    time.sleep(watch_s)
    passed = time.monotonic() - began
    cpu, read = cpu_s(child.pid) - cpu, bytes_read(child.pid) - read
    frames = min(read / yard.LINE_BYTES, RATE_HZ * stations * passed)  # the product also reads its own files
    return {
        "cpu_percent": cpu / passed * 100,
        "us_per_frame": cpu / frames * 1e6,
        "frames_per_s_and_port": frames / passed / stations,
    }


@contextmanager
def _thread_per_port(folder: Path, stations: int) -> Iterator["Popen[bytes]"]:
    ports = [str(folder / name) for name in yard.names(stations)]
    command = [sys.executable, "-m", "bench.arms.thread_per_port", *ports]
    with running(command, log=folder / "other.log") as child:
        yield child
