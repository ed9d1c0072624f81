"""The whole product on one machine: the real server, a real gateway, simulated hardware on real ports.

Each is a process of its own, as in the field; this module only starts them, watches what the gateway logs, and in the end
holds three books against each other: what the simulated world was told (its journal), the gateway's ledger, and the
server's records.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from scaleledger.simulators.yard import Simulation, StationSpec

START_WITHIN_S = 60.0
DRAIN_WITHIN_S = 20.0
STOP_WITHIN_S = 8.0

CARDS = ("A1B2C3D4", "00345678", "5F00C0DE", "1234ABCD")
STATIONS = (
    StationSpec("auction-1", "suwol-1000", cards=CARDS[:2], rest_s=0.3),
    StationSpec("auction-2", "suwol-1000", cards=CARDS[2:], rest_s=0.6),
    StationSpec("yard", "fg-150kal", on="tcp-listen://127.0.0.1:0", scenario="pallet"),
    StationSpec("belt", "st-gs-comma", scenario="bench", rate_hz=20.0, pieces=2),
)
MODES = {"suwol-1000": "tag"}

Say = Callable[[str], None]


@dataclass(slots=True)
class StationBooks:
    """One station in the three books."""

    driver: str
    mode: str
    emitted: int = 0
    saved: int = 0
    on_server: int = 0


@dataclass(slots=True)
class Report:
    """What a demonstration came to. `lost`: saved, but not on the server. `duplicates`: records the server holds twice."""

    stations: dict[str, StationBooks] = field(default_factory=dict)
    emitted: int = 0
    saved: int = 0
    on_server: int = 0
    duplicates: int = 0
    lost: int = 0
    ledger_ok: bool = False

    @property
    def good(self) -> bool:
        """Whether nothing was lost or doubled and the ledger verifies."""
        return not self.lost and not self.duplicates and self.ledger_ok

    def as_json(self) -> str:
        """The report as it is written to a file."""
        return json.dumps(asdict(self), indent=2) + "\n"


class DemoError(Exception):
    """A part of the demonstration did not start; the message says which, and shows its last words."""


async def demonstrate(folder: Path, seconds: float, say: Say, *, stop: asyncio.Event, port: int = 0) -> Report:
    """Run until `seconds` are over (0: until `stop` is set), drain, and compare the books. `folder` holds everything.

    Raises DemoError if the server or the gateway does not start.
    """
    environment = {**os.environ, "SCALELEDGER_SERVER_DATA_DIR": str(folder / "server")}
    async with contextlib.AsyncExitStack() as running:
        address = await running.enter_async_context(_server(folder, environment, port))
        say(f"server       {address}/   (gateways and newest weighings, live)")
        yard = await running.enter_async_context(Simulation(STATIONS, seed=1, directory=folder))
        config = _write_config(folder, yard.urls, address)
        say(f"gateway      {config}")
        gateway = await running.enter_async_context(_gateway(config, environment, say))
        await _approve(environment, say)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), seconds or None)
        say("stopping     the operators finish their boxes, the gateway delivers what is queued")
        await yard.finish()
        await _drain(gateway)
        await _end(gateway.process)
        return await _compare(folder, environment, yard)


@contextlib.asynccontextmanager
async def _server(folder: Path, environment: dict[str, str], port: int) -> AsyncIterator[str]:
    port_file = folder / "server.port"
    command = [_program("scaleledger-server"), "serve", "--port", str(port), "--port-file", str(port_file)]
    with (folder / "server.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *command, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        async with asyncio.timeout(START_WITHIN_S):
            while not port_file.exists():
                if process.returncode is not None:
                    raise DemoError(f"the server did not start:\n{_last_words(folder / 'server.log')}")
                await asyncio.sleep(0.05)
        yield f"http://127.0.0.1:{port_file.read_text()}"
    except TimeoutError:
        raise DemoError(f"the server did not start in {START_WITHIN_S:.0f} s") from None
    finally:
        await _end(process)


@dataclass(slots=True)
class _Gateway:
    """The gateway's process, and what its log says."""

    process: Process
    saved: int = 0
    delivered_upto: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)


@contextlib.asynccontextmanager
async def _gateway(config: Path, environment: dict[str, str], say: Say) -> AsyncIterator[_Gateway]:
    process = await asyncio.create_subprocess_exec(
        _program("scaleledger"), "run", "--config", str(config), env=environment, stderr=PIPE, start_new_session=True
    )
    gateway = _Gateway(process)
    follow = asyncio.create_task(_follow(gateway, config.with_name("gateway.log"), say))
    try:
        yield gateway
    finally:
        await _end(process)
        await follow


async def _follow(gateway: _Gateway, log: Path, say: Say) -> None:
    """Tell the gateway's log lines that a person would want to see, and keep them all."""
    stream = gateway.process.stderr
    assert stream is not None
    with log.open("wb") as file:
        async for line in stream:
            file.write(line)
            file.flush()
            try:
                event = json.loads(line)
            except ValueError:
                continue
            _tell(gateway, event, say)
            gateway.news.set()
    gateway.news.set()


def _tell(gateway: _Gateway, event: dict[str, Any], say: Say) -> None:
    name = event.get("event")
    if name == "biz.saved":
        gateway.saved += 1
        card = f"  card {event['card']}" if event.get("card") else ""
        say(f"saved        #{event['seq']:<5} {event['station']:<10} {event['weight']:>9} {event['unit']}{card}")
    elif name == "net.delivered":
        gateway.delivered_upto = max(gateway.delivered_upto, int(event.get("upto", 0)))
        say(f"on server    up to #{gateway.delivered_upto}")
    elif name in {"net.approved", "net.registered", "sys.part_failed", "net.quarantined", "net.link_error"}:
        say(f"{name:<12} {event.get('error', '')}")


async def _approve(environment: dict[str, str], say: Say) -> None:
    """What an administrator does on the server's page: approve the gateway that asks."""
    code, answer = await _ask_server(environment, "approve", "--all", "--wait", str(START_WITHIN_S))
    if code:
        raise DemoError("the gateway did not ask the server to be registered")
    say(f"approved     {answer.strip().removeprefix('approved ')}, as an administrator would")


async def _drain(gateway: _Gateway) -> None:
    """Wait until the server holds what was saved, or nothing more comes."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_WITHIN_S):
            while gateway.delivered_upto < gateway.saved and gateway.process.returncode is None:
                gateway.news.clear()
                await gateway.news.wait()


async def _compare(folder: Path, environment: dict[str, str], yard: Simulation) -> Report:
    report = Report()
    for spec in STATIONS:
        tally = yard.journal.counts[spec.name]
        report.stations[spec.name] = StationBooks(spec.driver, MODES.get(spec.driver, "auto"), tally.emitted)
    held = await _ledger(folder)
    _, lines = await _ask_server(environment, "records", "--each")
    on_server = [(r["uuid"], r["station"]) for r in map(json.loads, lines.splitlines())]
    for _, station in held:
        report.stations[station].saved += 1
    for _, station in on_server:
        if station in report.stations:
            report.stations[station].on_server += 1
    report.emitted = sum(s.emitted for s in report.stations.values())
    report.saved, report.on_server = len(held), len(on_server)
    report.duplicates = len(on_server) - len({uuid for uuid, _ in on_server})
    told = sum(t.saved for t in yard.journal.counts.values())
    missing_here = max(0, told - sum(report.stations[s.name].saved for s in STATIONS if s.driver in MODES))
    report.lost = len({u for u, _ in held} - {u for u, _ in on_server}) + missing_here
    verified = await _run(_program("scaleledger"), "verify", "--data-dir", str(folder / "data"), "--json")
    checked = await _ask_server(environment, "chain_check")
    report.ledger_ok = verified[0] == 0 and checked[0] == 0
    return report


async def _ledger(folder: Path) -> list[tuple[str, str]]:
    """(uuid, station) of every record in the gateway's ledger."""
    _, lines = await _run(_program("scaleledger"), "export", "--data-dir", str(folder / "data"), "--format", "jsonl")
    records = [json.loads(line) for line in lines.splitlines() if line.strip()]
    return [(r["uuid"], r["station"]) for r in records]


async def _ask_server(environment: dict[str, str], *command: str) -> tuple[int, str]:
    return await _run(_program("scaleledger-server"), *command, environment=environment)


async def _run(*command: str, environment: dict[str, str] | None = None) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=PIPE, stderr=asyncio.subprocess.DEVNULL, start_new_session=True
    )
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


def _write_config(folder: Path, urls: dict[str, str], server: str) -> Path:
    lines = ["[gateway]", 'name = "Demo"', f'data_dir = "{folder / "data"}"', "", "[log]", 'format = "json"', ""]
    lines += ["[store]", "reserve_mb = 4", ""]
    for spec in STATIONS:
        mode = MODES.get(spec.driver, "auto")
        lines += ["[[station]]", f'name = "{spec.name}"', f'driver = "{spec.driver}"']
        lines += [f'url = "{_as_url(urls[spec.name])}"', f'mode = "{mode}"', ""]
    lines += ["[[uplink]]", f'url = "{server}"', "pending_interval_s = 1", "heartbeat_interval_s = 5", ""]
    path = folder / "gateway.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def _as_url(where: str) -> str:
    """What a gateway dials to reach a simulated device."""
    if where.startswith("tcp-listen://"):
        return where.replace("tcp-listen://", "tcp://", 1)
    return f"serial://{where.removeprefix('pty:')}" if where.startswith("pty:") else where


async def _end(process: Process) -> None:
    """SIGTERM, and after a while the end."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), STOP_WITHIN_S)
    except TimeoutError:
        process.kill()
        await process.wait()


def _program(name: str) -> str:
    """The program that belongs to this very installation."""
    return str(Path(sys.executable).with_name(name))


def _last_words(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])
