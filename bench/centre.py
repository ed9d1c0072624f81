"""The centre under load: two workers on PostgreSQL and Redis, a fleet of gateways, pages that watch.

Bodies are made and signed before the clock starts; the client's sending, both workers, PostgreSQL and Redis share the machine.
The rival for records is what the database itself can take: a bare COPY of the same rows into a table without any index.
"""

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psycopg
import websockets

from bench.fleet import BATCH, SINGLE, Line, Member, line, prove_all
from bench.folders import scratch
from bench.processes import cpu_s, output_of, program, running, wait_for
from bench.result import Figures, Result, command, middle, percentile, say
from bench.services import postgresql, valkey

WORKERS = 2
LINES = 8
PER_BATCH = 500
VIEWERS = 200
TICK_S = 0.1
AIM_RECORDS_PER_S = 20_000
COPY = "COPY plain_rows (uuid, mac, seq, card, weight, unit, station, measured_at, payload, hash) FROM STDIN"
PLAIN = (
    "CREATE TABLE plain_rows (uuid uuid, mac text, seq bigint, card text, weight numeric, unit text, station text, "
    "measured_at timestamptz, payload text, hash text)"
)


@dataclass(slots=True)
class _Centre:
    """Workers under way, by port and process id."""

    ports: list[int]
    pids: list[int]
    database: str
    environment: dict[str, str]

    def ask(self, *words: str) -> str:
        return output_of([program("scaleledger-server"), *words], **self.environment)[0]

    def cpu_s(self) -> float:
        return sum(cpu_s(pid) for pid in self.pids)


def measure(*, quick: bool) -> Iterator[Result]:
    """Batches beside COPY; single records; live values to many pages."""
    gateways, repeats, singles, seconds = (12, 1, 50, 2.0) if quick else (500, 3, 2_000, 10.0)
    with scratch("centre") as folder, _centre(folder) as centre:
        fleet = _joined(centre, gateways)
        yield _batches(centre, fleet, repeats, quick=quick)
        yield _single(centre, fleet, singles, quick=quick)
        yield _fan_out(centre, fleet[0], seconds, quick=quick)
        held = json.loads(centre.ask("records", "--json"))
        assert held["duplicates"] == 0, held
        say(f"chain_check: {centre.ask('chain_check', '--complete').splitlines()[-1]}")


@contextmanager
def _centre(folder: Path) -> Iterator[_Centre]:
    with ExitStack() as stack:
        database = stack.enter_context(postgresql(folder / "postgresql", durable=True))
        redis = stack.enter_context(valkey())
        environment = {
            "SCALELEDGER_SERVER_DATA_DIR": str(folder / "server"),
            "DATABASE_URL": database,
            "REDIS_URL": redis,
            "SCALELEDGER_SERVER_OPEN_PAGES": "1",
            "SCALELEDGER_SERVER_REGISTRATIONS_PER_MINUTE": "100000",
            "SCALELEDGER_SERVER_REQUESTS_PER_MINUTE": "1000000",
        }
        ports, pids = [], []
        for number in range(WORKERS):
            port, log = folder / f"port-{number}", folder / f"worker-{number}.log"
            serve = [program("scaleledger-server"), "serve", "--port", "0", "--port-file", str(port)]
            child = stack.enter_context(
                running(serve, log=Path(f"/tmp/bench-worker-{number}.log"), environment=environment)
            )
            wait_for(port, child, log)
            ports.append(int(port.read_text()))
            pids.append(child.pid)
        yield _Centre(ports, pids, database, environment)


def _joined(centre: _Centre, count: int) -> list[Member]:
    say(f"centre: {count} gateways prove their keys")
    fleet = [Member(number) for number in range(count)]
    url = f"http://127.0.0.1:{centre.ports[0]}"
    asyncio.run(prove_all(fleet, url))
    centre.ask("approve", "--all")
    standings = asyncio.run(prove_all(fleet, url))
    assert standings == {"active"}, standings
    return fleet


def _batches(centre: _Centre, fleet: Sequence[Member], repeats: int, *, quick: bool) -> Result:
    """Every gateway delivers a full batch; then the same rows by COPY."""
    ours: list[Figures] = []
    bare: list[Figures] = []
    with psycopg.connect(centre.database, autocommit=True) as connection:
        connection.execute(PLAIN)
        for repeat in range(repeats):
            say(f"centre: {len(fleet)} batches of {PER_BATCH}, round {repeat + 1} of {repeats}")
            bodies = [(member, member.batch(PER_BATCH)) for member in fleet]
            ready = [(member.headers(body), body) for member, body in bodies]
            rows = _rows(bodies)
            used = centre.cpu_s()
            began = time.perf_counter()
            asyncio.run(_send(centre, BATCH, ready, PER_BATCH))
            took = time.perf_counter() - began
            count = len(fleet) * PER_BATCH
            ours.append(
                {"records_per_s": count / took, "worker_cpu_us_per_record": (centre.cpu_s() - used) / count * 1e6}
            )
            began = time.perf_counter()
            with connection.cursor().copy(COPY) as copy:
                for block in rows:
                    copy.write(block)
            bare.append({"records_per_s": count / (time.perf_counter() - began)})
    found = middle(ours)
    return Result(
        name="centre-batches",
        what=f"records a second from {len(fleet)} gateways in batches of {PER_BATCH}, {WORKERS} workers on PostgreSQL, chain checked",
        arms={"two workers": found, "bare COPY": middle(bare)},
        ratio=median(a["records_per_s"] / b["records_per_s"] for a, b in zip(ours, bare, strict=True)),
        ratio_of="two workers / bare COPY",
        aim=f"≥ {AIM_RECORDS_PER_S:,} records/s",
        judged={"records/s": found["records_per_s"]},
        met=found["records_per_s"] >= AIM_RECORDS_PER_S,
        n=repeats,
        command=command("centre"),
        quick=quick,
    )


def _rows(bodies: Sequence[tuple[Member, bytes]]) -> list[bytes]:
    """The same records in COPY's text form, a block per batch."""
    blocks = []
    for member, body in bodies:
        lines = []
        for record in json.loads(body)["records"]:
            ledger, at = record["ledger"], record["measured_at"]
            payload = ledger["payload"].replace("\\", "\\\\")
            cells = (record["uuid"], member.mac, ledger["seq"], record["rfid_uid"], record["weight"], "kg", "dock", at)
            lines.append("\t".join([*map(str, cells), payload, ledger["hash"]]) + "\n")
        blocks.append("".join(lines).encode())
    return blocks


async def _send(
    centre: _Centre, path: str, ready: Sequence[tuple[dict[str, str], bytes]], each: int, lines: int = LINES
) -> list[float]:
    """Send all over `lines` connections, in turn to each worker; how long each took."""
    waiting, times = iter(ready), []

    async def work(number: int) -> None:
        async with line(centre.ports[number % WORKERS]) as way:
            for headers, body in waiting:
                began = time.perf_counter()
                await _post(way, path, headers, body, each)
                times.append(time.perf_counter() - began)

    await asyncio.gather(*(work(number) for number in range(lines)))
    return times


async def _post(way: Line, path: str, headers: dict[str, str], body: bytes, each: int) -> None:
    status, answer = await way.post(path, body, headers)
    assert status in {200, 201}, (status, answer[:300])
    assert path == SINGLE or answer.count(b'"created"') == each, answer[:300]


def _single(centre: _Centre, fleet: Sequence[Member], count: int, *, quick: bool) -> Result:
    """One record per POST: alone on the server, and from eight sides."""
    arms = {}
    for name, lines in (("one at a time", 1), (f"{LINES} at a time", LINES)):
        say(f"centre: {count} single records, {name}")
        ready = []
        for number in range(count):
            member = fleet[number % len(fleet)]
            [text] = member.records(1)
            ready.append((member.headers(text.encode()), text.encode()))
        began = time.perf_counter()
        times = asyncio.run(_send(centre, SINGLE, ready, 1, lines))
        arms[name] = {
            "p50_ms": median(times) * 1e3,
            "p99_ms": percentile(times, 0.99) * 1e3,
            "records_per_s": count / (time.perf_counter() - began),
        }
    return Result(
        name="centre-single",
        what="how long one record takes by HTTP, until it is committed and answered",
        arms=arms,
        n=count,
        command=command("centre"),
        quick=quick,
    )


def _fan_out(centre: _Centre, member: Member, seconds: float, *, quick: bool) -> Result:
    say(f"centre: live values to {VIEWERS} pages on {WORKERS} workers for {seconds} s")
    late, frames = asyncio.run(_watched(centre, member, seconds))
    return Result(
        name="centre-live",
        what=f"from a gateway's live value to {VIEWERS} pages on {WORKERS} workers",
        arms={"pages": {"p50_ms": median(late) * 1e3, "p99_ms": percentile(late, 0.99) * 1e3, "values": len(late)}},
        n=frames,
        command=command("centre"),
        quick=quick,
        notes={"frames_from_the_gateway": frames},
    )


async def _watched(centre: _Centre, member: Member, seconds: float) -> tuple[list[float], int]:
    """How late each value came to each page, and how many frames the gateway sent for all of them."""
    late: list[float] = []
    sent: dict[str, float] = {}
    headers = {"Authorization": f"Bearer {member.token}"}
    gateway_url = f"ws://127.0.0.1:{centre.ports[0]}/ws/devices/gateways/{member.id}/"
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(
            websockets.connect(gateway_url, additional_headers=headers, proxy=None)
        )
        pages = []
        for number in range(VIEWERS):
            url = f"ws://127.0.0.1:{centre.ports[number % WORKERS]}/ws/live/"
            page = await stack.enter_async_context(
                websockets.connect(url, origin=f"http://127.0.0.1:{centre.ports[number % WORKERS]}", proxy=None)
            )
            await page.send(json.dumps({"type": "watch", "stations": [{"gateway": member.id, "station": "dock-0"}]}))
            pages.append(asyncio.create_task(_read(page, sent, late)))
        asked: dict[str, Any] = {}
        while asked.get("type") != "START_STREAM":
            asked = json.loads(await gateway.recv())
        frames, loop = 0, asyncio.get_running_loop()
        begin = loop.time()
        while loop.time() - begin < seconds:
            frames += 1
            weight = f"{frames}.5"
            value = {
                "station": "dock-0",
                "weight": weight,
                "unit": "kg",
                "stable": True,
                "state": "idle",
                "link": "up",
                "card": "",
            }
            at = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
            sent[weight] = loop.time()
            await gateway.send(json.dumps({"type": "weight_update", "payload": {"at": at, "stations": [value]}}))
            await asyncio.sleep(begin + frames * TICK_S - loop.time())
        await asyncio.sleep(1.0)
        for page in pages:
            page.cancel()
        await asyncio.gather(*pages, return_exceptions=True)
    return late, frames


async def _read(page: Any, sent: dict[str, float], late: list[float]) -> None:
    loop = asyncio.get_running_loop()
    with suppress(websockets.ConnectionClosed):
        async for text in page:
            now = loop.time()
            message = json.loads(text)
            if message["type"] == "live":
                late.extend(now - sent[s["weight"]] for s in message["stations"] if s.get("weight") in sent)
