"""A plant's label scales against a real gateway process: each sends an event, waits for its OK, and sends the next.

Beside it, in the same run and turn about, a rival of the design that comes to mind first (`rivals.plain_edge`). Times are
taken from programs as they are; flushes and bytes in rounds of their own, from the same programs with their SQLite counted.
"""

import asyncio
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from subprocess import Popen

from bench.folders import scratch
from bench.processes import ROOT, START_WITHIN_S, cpu_s, program, python, rss_mb, running, wait_for
from bench.result import Figures, Result, command, middle, percentile, say

FASTER, BYTES, FLUSHES = 4.0, 0.1, 0.05
PRODUCT, RIVAL = "product", "one thread, one commit a statement"
SETTLE_S = 0.3
Run = Callable[..., "Serving"]


@dataclass(frozen=True, slots=True)
class Serving:
    """How a program is started: its command, the file it writes when it is up, and where its database lies."""

    arguments: list[str]
    ready: Path
    database: Path
    port: int


def measure(*, quick: bool) -> Iterator[Result]:
    """One scale, then twenty."""
    repeats, load_s = (1, 0.5) if quick else (5, 4.0)
    yield _compare(1, repeats, load_s, quick=quick)
    yield _compare(20, repeats, load_s, quick=quick)


def _compare(scales: int, repeats: int, load_s: float, *, quick: bool) -> Result:
    name = f"plant-{scales}"
    say(f"{name}: {repeats} x {load_s:g} s for each of two programs, and once more to count")
    found: dict[str, list[Figures]] = {PRODUCT: [], RIVAL: []}
    ways = {PRODUCT: _gateway, RIVAL: _rival}
    with scratch(name) as folder:
        for repeat in range(repeats):
            for arm, way in ways.items():
                found[arm].append(_loaded(folder / f"{repeat}-{len(arm)}", way, scales, load_s))
        arms = {arm: middle(figures) for arm, figures in found.items()}
        for arm, way in ways.items():
            arms[arm] |= _counted(folder / f"counted-{len(arm)}", way, scales, load_s)
    ours, theirs = arms[PRODUCT], arms[RIVAL]
    judged = {
        "events/s": ours["events_s"] / theirs["events_s"],
        "bytes": ours["written_bytes"] / theirs["written_bytes"],
        "flushes": ours["flushes"] / theirs["flushes"],
    }
    aimed = scales > 1
    met = judged["events/s"] >= FASTER and judged["bytes"] <= BYTES and judged["flushes"] <= FLUSHES
    return Result(
        name=name,
        what=f"{scales} label scale{'s' * aimed}, each sending its next event when the last is acknowledged",
        arms=arms,
        ratio=judged["events/s"],
        ratio_of=f"events a second of product / of {RIVAL}",
        aim=f">= {FASTER:g} x the events/s, <= {BYTES:g} of the bytes, <= {FLUSHES:g} of the flushes" if aimed else "",
        judged=judged if aimed else {},
        met=met if aimed else None,
        n=repeats,
        command=command("plant"),
        quick=quick,
        notes={} if aimed else {"ratios": judged},
    )


def _loaded(folder: Path, way: Run, scales: int, load_s: float) -> Figures:
    folder.mkdir()
    port = _free_port()
    with _served(way(folder, port, counted=False), folder / "log") as child:
        asyncio.run(_load(port, scales, load_s / 4))
        cpu = cpu_s(child.pid)
        took_s, waits = asyncio.run(_load(port, scales, load_s))
        return {
            "events_s": len(waits) / took_s,
            "ack_p50_ms": percentile(waits, 0.5) * 1e3,
            "ack_p99_ms": percentile(waits, 0.99) * 1e3,
            "cpu_us": (cpu_s(child.pid) - cpu) / len(waits) * 1e6,
            "rss_mb": rss_mb(child.pid),
        }


def _counted(folder: Path, way: Run, scales: int, load_s: float) -> Figures:
    folder.mkdir()
    port, tally = _free_port(), folder / "tally.json"
    serving = way(folder, port, counted=True)
    counted = [python(), "-m", "bench.counted_program", str(tally), str(serving.database)]
    serving = Serving([*counted, *serving.arguments[1:]], serving.ready, serving.database, port)
    with _served(serving, folder / "log"):
        asyncio.run(_load(port, scales, load_s / 4))
        time.sleep(SETTLE_S)
        before = json.loads(tally.read_text())
        _, waits = asyncio.run(_load(port, scales, load_s))
        time.sleep(SETTLE_S)
        after = json.loads(tally.read_text())
    return {
        "flushes": (after["flushes"] - before["flushes"]) / len(waits),
        "written_bytes": (after["written"] - before["written"]) / len(waits),
    }


@contextmanager
def _served(serving: Serving, log: Path) -> Iterator["Popen[bytes]"]:
    with running(serving.arguments, log=log) as child:
        wait_for(serving.ready, child, log)
        _wait_listening(serving.port)
        yield child


def _wait_listening(port: int) -> None:
    """A gateway is ready before its scales may dial in: it looks first at what it knows of them."""
    until = time.monotonic() + START_WITHIN_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


def _gateway(folder: Path, port: int, *, counted: bool) -> Serving:
    config, ready = folder / "gateway.toml", folder / "ready"
    config.write_text(
        f'[gateway]\nname = "Bench"\ndata_dir = "data"\n[log]\nformat = "json"\n[store]\nreserve_mb = 1\n'
        f'[[listener]]\nname = "hall"\nunit = "g"\n'
        f'url = "tcp-listen://127.0.0.1:{port}?max_per_address=64&rate=10000000"\n'
    )
    how = [python(), program("scaleledger")] if counted else [program("scaleledger")]
    return Serving([*how, "run", "--config", str(config), "--ready-file", str(ready)], ready, folder / "data", port)


def _rival(folder: Path, port: int, *, counted: bool) -> Serving:  # noqa: ARG001 - the same for both
    script, ready = ROOT / "bench" / "rivals" / "plain_edge.py", folder / "ready"
    (folder / "data").mkdir()
    arguments = [python(), str(script), str(port), str(folder / "data" / "edge.db"), str(ready)]
    return Serving(arguments, ready, folder / "data", port)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        found: int = sock.getsockname()[1]
        return found


async def _load(port: int, scales: int, seconds: float) -> tuple[float, list[float]]:
    """How long it took, and how long each event waited for its OK (s)."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    links = [
        (await loop.create_connection(lambda n=n: _Scale(n, began + seconds), "127.0.0.1", port))[1]
        for n in range(scales)
    ]
    await asyncio.gather(*(link.over for link in links))
    return loop.time() - began, [wait for link in links for wait in link.waits]


class _Scale(asyncio.Protocol):
    """Sends, waits for OK, sends; until `until`, and then to the last OK. No two of its lines weigh the same in a row."""

    def __init__(self, number: int, until: float) -> None:
        self._number = number + 1
        self._until = until
        self._net = int(time.time() * 1000) % 50_000
        self._heard = b""
        self.waits: list[float] = []
        self.over = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        transport.write(b"SCALE-%02d" % self._number)
        self._send()

    def data_received(self, data: bytes) -> None:
        self._heard += data
        while self._heard.startswith(b"OK\n"):
            self._heard = self._heard[3:]
            self.waits.append(time.perf_counter() - self._sent_at)
            if asyncio.get_running_loop().time() < self._until:
                self._send()
            else:
                self._transport.close()
                self.over.set_result(None)

    def connection_lost(self, fault: Exception | None) -> None:
        if not self.over.done():
            self.over.set_exception(fault or ConnectionError("the program under measurement hung up"))

    def _send(self) -> None:
        self._net = self._net % 90_000 + 7
        stamp = datetime.now()  # noqa: DTZ005 - a scale prints the time of its wall
        self._sent_at = time.perf_counter()
        self._transport.write(
            f"00001,{stamp:%H:%M:%S},{stamp:%d.%m.%Y},KIYMA           ,000000000004,0000,{'KAAN':<48},"
            f"{self._net + 13:010},0000000013,{self._net:010},2,0,2,1,N,KORKUT\r\n".encode()
        )
