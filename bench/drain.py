"""How fast a backlog leaves: an outage's records to the real central server on SQLite, and to one that keeps nothing.

The gateway is its own process, and so is the server; the time is the gateway's own, from its approval to the last record
that the server holds. The other arm (`arms.post_each`) sends its rows one by one, and marks each.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import median
from subprocess import Popen
from typing import Any

import httpx2

from bench.arms.post_each import PostEach
from bench.folders import scratch
from bench.gateways import gateway, write_config
from bench.line import RESERVE_MB, HandClock
from bench.logs import quiet_logs
from bench.processes import cpu_s, output_of, program, python, running, wait_for
from bench.result import Figures, Result, command, middle, say
from scaleledger.bootstrap import new_uuid
from scaleledger.domain.weighing import Draft
from scaleledger.store import Store

DRAIN_WITHIN_S = 180.0
START = datetime(2026, 1, 1, tzinfo=UTC)
GATEWAYS = "devices/api/gateways/"


def measure(*, quick: bool) -> Iterator[Result]:
    """To a server that keeps nothing; to the central server."""
    repeats, queued, single = (1, 1_000, 30) if quick else (3, 20_000, 300)
    yield _drain("drain-noop", "a server that keeps nothing", _noop, repeats, queued, single, quick=quick)
    yield _drain("drain-central", "the central server on SQLite", _central, repeats, queued, single, quick=quick)


class _Centre:
    """A server under way; `approve` lets in every gateway that has asked."""

    def __init__(self, port_file: Path, approve: Callable[[], object]) -> None:
        self.url = f"http://127.0.0.1:{int(port_file.read_text())}"
        self.approve = approve


@contextmanager
def _noop(folder: Path) -> Iterator[_Centre]:
    port, log = folder / "port", folder / "server.log"
    with running([python(), "-m", "bench.arms.noop_centre", str(port)], log=log) as child:
        wait_for(port, child, log)
        yield _Centre(port, lambda: None)


@contextmanager
def _central(folder: Path) -> Iterator[_Centre]:
    port, log = folder / "port", folder / "server.log"
    server = program("scaleledger-server")
    environment = {"SCALELEDGER_SERVER_DATA_DIR": str(folder / "server"), "SCALELEDGER_SERVER_PLAIN_CLIENTS": "1"}
    serve = [server, "serve", "--port", "0", "--port-file", str(port)]
    with running(serve, log=log, environment=environment) as child:
        wait_for(port, child, log)
        approve = [server, "approve", "--all", "--wait", "60"]
        yield _Centre(port, lambda: output_of(approve, **environment))


def _drain(
    name: str, what: str, centre: Callable[[Path], Any], repeats: int, queued: int, single: int, *, quick: bool
) -> Result:
    say(f"{name}: {repeats} x {queued} records in batches, {single} one by one")
    batches: list[Figures] = []
    one_by_one: list[Figures] = []
    with scratch(name) as folder, centre(folder) as there:
        for repeat in range(repeats):
            here = folder / f"gateway-{repeat}"
            here.mkdir()
            mac = f"02:00:00:00:01:{repeat:02x}"
            with quiet_logs(here):
                asyncio.run(_fill(here / "data", mac, queued))
            batches.append(_run_gateway(here, there, queued))
            one_by_one.append(_post_each(here, there, f"02:00:00:00:02:{repeat:02x}", single))
    ratios = [a["records_per_s"] / b["records_per_s"] for a, b in zip(batches, one_by_one, strict=True)]
    return Result(
        name=name,
        what=f"records a second when a backlog of {queued} goes to {what}",
        arms={"product": middle(batches), "one POST per record": middle(one_by_one)},
        ratio=median(ratios),
        ratio_of="product / one POST per record",
        n=repeats,
        command=command("drain"),
        quick=quick,
        notes={"ratios": ratios, "one_by_one_records": single},
    )


async def _fill(folder: Path, mac: str, count: int) -> None:
    store = await Store.open(folder, clock=HandClock(), mac_address=mac, hostname="bench", reserve_mb=RESERVE_MB)
    for begin in range(0, count, 1_000):
        drafts = [_draft(number) for number in range(begin, min(begin + 1_000, count))]
        await asyncio.gather(*(store.ledger.append(draft) for draft in drafts))
    await store.close()


def _draft(number: int) -> Draft:
    return Draft(
        uuid=new_uuid(),
        station=f"dock-{number % 4}",
        driver="st-gs-comma",
        mode="auto",
        weight=Decimal(number % 9_000) / 10 + 20,
        unit="kg",
        measured_at=START + timedelta(seconds=number),
        card="00345678",
        raw=b"ST,GS,+   152.5kg",
        boot_id="0f9c1cc6-6f0f-4f5a-9a06-0f8f3c0fb7b4",
        evidence=(("frames", "3"), ("mode", "flag"), ("span_ms", "400")),
    )


def _run_gateway(folder: Path, centre: _Centre, count: int) -> Figures:
    config = write_config(folder, 1, uplink=centre.url)
    with gateway(config) as child:
        cpu = cpu_s(child.pid)
        centre.approve()
        began = _approval(folder)
        ended = _delivery(folder, child, count)
        cpu = cpu_s(child.pid) - cpu
    return {
        "records_per_s": count / (ended - began).total_seconds(),
        "gateway_cpu_us_per_record": cpu / count * 1e6,
    }


def _events(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "gateway.log").read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("\n")]


def _approval(folder: Path) -> datetime:
    """When the gateway was approved."""
    until = time.monotonic() + DRAIN_WITHIN_S
    while time.monotonic() < until:
        for event in _events(folder):
            if event["event"] == "net.approved":
                return datetime.fromisoformat(event["timestamp"])
        time.sleep(0.05)
    raise RuntimeError("the gateway was not approved")


def _delivery(folder: Path, child: "Popen[bytes]", count: int) -> datetime:
    """When the last of `count` records was delivered."""
    until = time.monotonic() + DRAIN_WITHIN_S
    while time.monotonic() < until and child.poll() is None:
        delivered = [event for event in _events(folder) if event["event"] == "net.delivered"]
        if sum(event["count"] for event in delivered) >= count:
            return datetime.fromisoformat(delivered[-1]["timestamp"])
        time.sleep(0.05)
    raise RuntimeError(f"not all of {count} records were delivered")


def _post_each(folder: Path, centre: _Centre, mac: str, count: int) -> Figures:
    with httpx2.Client(base_url=centre.url, trust_env=False) as client:
        asked = {"mac_address": mac, "hostname": "plain", "ip_address": "127.0.0.1", "name": "Plain"}
        client.post(GATEWAYS, json=asked)
        centre.approve()
        token = client.get(f"{GATEWAYS}{mac}/").json()["access_token"]
    with closing(PostEach(folder / "plain.sqlite3", centre.url, token)) as sender:
        sender.queue([_body(number) for number in range(count)])
        began = time.perf_counter()
        sent = sender.drain(lambda status: status == 201)
        took = time.perf_counter() - began
    assert sent == count, f"{sent} of {count} were sent"
    return {"records_per_s": count / took}


def _body(number: int) -> str:
    at = (START + timedelta(seconds=number)).isoformat(timespec="microseconds")
    record = {"uuid": new_uuid(), "rfid_uid": "00345678", "weight": 152.5, "measured_at": at}
    return json.dumps(record, separators=(",", ":"))
