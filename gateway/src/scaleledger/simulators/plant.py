"""A plant on one machine: the real server, a real gateway, simulated hardware on real ports, and the books of all three.

Each is a process of its own, as in the field, so each can be stopped, killed and started again. `compare` holds three books
against each other: what the simulated world was told (its journal), the gateway's ledger, and the server's records.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from scaleledger.simulators.books import Report, StationBooks
from scaleledger.simulators.yard import Simulation, StationSpec

START_WITHIN_S = 60.0
DRAIN_WITHIN_S = 30.0
STOP_WITHIN_S = 8.0
MODES = {"suwol-1000": "tag"}

Watcher = Callable[[dict[str, Any]], None]


class PlantError(Exception):
    """A part of the plant did not start or did not end; the message says which, and shows its last words."""


class Server:
    """The central server as a process on `folder`, on one port for its whole life, however often it is started."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.port = port
        self._folder = folder
        self._port_file = folder / "server.port"
        self._process: Process | None = None
        self.environment = {
            **os.environ,
            "SCALELEDGER_SERVER_DATA_DIR": str(folder / "server"),
            "SCALELEDGER_SERVER_OPEN_PAGES": "1",
        }

    @property
    def address(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start and wait until it answers. Raises PlantError."""
        self._port_file.unlink(missing_ok=True)
        log = self._folder / "server.log"
        command = [program("scaleledger-server"), "serve", "--port", str(self.port)]
        with log.open("ab") as file:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                "--port-file",
                str(self._port_file),
                env=self.environment,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        await _appears(self._port_file, self._process, "the server", log)
        self.port = int(self._port_file.read_text())

    async def stop(self) -> None:
        """SIGTERM, and wait."""
        if self._process is not None:
            await _end(self._process)

    async def kill(self) -> None:
        """SIGKILL, and wait."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def ask(self, *command: str) -> tuple[int, str]:
        """Run one of the server's commands; exit code and output."""
        return await run(program("scaleledger-server"), *command, environment=self.environment)

    async def administrator(self, name: str) -> str:
        """Make an administrator; the password. Raises PlantError."""
        code, answer = await self.ask("administrator", "--name", name)
        if code:
            raise PlantError(f"the server did not make the administrator {name}")
        return answer.strip().rpartition(" ")[2]

    async def approve(self) -> str:
        """What an administrator does on the server's page: approve the gateway that asks. Raises PlantError."""
        code, answer = await self.ask("approve", "--all", "--wait", str(START_WITHIN_S))
        if code:
            raise PlantError("the gateway did not ask the server to be registered")
        return answer.strip().removeprefix("approved ")

    async def records(self) -> list[dict[str, Any]]:
        """uuid, station, seq and gateway of every record held."""
        _, lines = await self.ask("records", "--each")
        return [json.loads(line) for line in lines.splitlines()]


class GatewayProcess:
    """A gateway as a process; its log goes to a file, and line by line to `watch`."""

    def __init__(self, config: Path, watch: Watcher = lambda _: None) -> None:
        self.config = config
        self.saved = 0
        self.delivered_upto = 0
        self._watch = watch
        self._news = asyncio.Event()
        self._process: Process | None = None
        self._follow: asyncio.Task[None] | None = None

    @property
    def log(self) -> Path:
        """Where its log is kept."""
        return self.config.with_name("gateway.log")

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.returncode is None

    @property
    def exit_code(self) -> int | None:
        """How the process ended; None while it runs."""
        return self._process.returncode if self._process is not None else None

    @property
    def pid(self) -> int:
        """The process id; only while it was started."""
        assert self._process is not None
        return self._process.pid

    async def start(self, **environment: str) -> None:
        """Start and wait until it is up; `environment` is added to ours. Raises PlantError."""
        ready = self.config.with_name("gateway.ready")
        ready.unlink(missing_ok=True)
        command = [program("scaleledger"), "run", "--config", str(self.config), "--ready-file", str(ready)]
        self._process = await asyncio.create_subprocess_exec(
            *command, env={**os.environ, **environment}, stderr=PIPE, start_new_session=True
        )
        self._follow = asyncio.create_task(self._read_log())
        await _appears(ready, self._process, "the gateway", self.log)

    async def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self._process is not None
        await _end(self._process)
        await self._read_to_end()
        return self._process.returncode or 0

    async def kill(self) -> None:
        """SIGKILL, and wait."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
        await self.wait()

    async def wait(self) -> None:
        """Wait until the process has ended by itself."""
        assert self._process is not None
        await self._process.wait()
        await self._read_to_end()

    async def drained(self, upto: int, within_s: float = DRAIN_WITHIN_S) -> bool:
        """Wait until the log says that the centre holds all records up to number `upto`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self.delivered_upto < upto and self.alive:
                    await self.news()
        return self.delivered_upto >= upto

    async def news(self) -> None:
        """Wait for the next weighing that becomes durable, or the next delivery."""
        self._news.clear()
        await self._news.wait()

    async def _read_log(self) -> None:
        assert self._process is not None
        stream = self._process.stderr
        assert stream is not None
        with self.log.open("ab") as file:
            async for line in stream:
                file.write(line)
                file.flush()
                with contextlib.suppress(ValueError):
                    self._note(json.loads(line))
        self._news.set()

    def _note(self, event: dict[str, Any]) -> None:
        name = event.get("event")
        if name == "biz.saved":
            self.saved += 1
            self._news.set()
        elif name == "net.delivered":
            self.delivered_upto = max(self.delivered_upto, int(event["upto"]))
            self._news.set()
        self._watch(event)

    async def _read_to_end(self) -> None:
        if self._follow is not None:
            await self._follow


@dataclass(slots=True)
class Plant:
    """Server, yard and gateway in `folder`. `async with Plant(...)` starts server and yard; the gateway is yours to start.

    The stations `assigned` are left out of the gateway's file: the centre is to assign them.
    """

    folder: Path
    specs: Sequence[StationSpec]
    seed: int = 1
    port: int = 0
    watch: Watcher = lambda _: None
    settings: Mapping[str, str] = field(default_factory=dict)
    assigned: frozenset[str] = frozenset()
    server: Server = field(init=False)
    yard: Simulation = field(init=False)
    gateway: GatewayProcess = field(init=False)

    async def __aenter__(self) -> Self:
        self.server = Server(self.folder, self.port)
        await self.server.start()
        self.yard = Simulation(self.specs, seed=self.seed, directory=self.folder)
        await self.yard.__aenter__()
        self.gateway = GatewayProcess(self._write_config(), self.watch)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.gateway.alive:
            await self.gateway.stop()
        await self.yard.close()
        await self.server.stop()

    async def ledger(self) -> list[dict[str, Any]]:
        """Every record of the gateway's ledger."""
        return await export(self.folder / "data")

    async def verify(self) -> tuple[bool, str]:
        """Whether the gateway's ledger and the server's whole copy of it both hold, and what was said."""
        here = await run(program("scaleledger"), "verify", "--data-dir", str(self.folder / "data"))
        there = await self.server.ask("chain_check", "--complete")
        return here[0] == 0 and there[0] == 0, here[1] + there[1]

    async def compare(self) -> Report:
        """The three books against each other. The gateway should have drained."""
        report = Report()
        told = Counter[str]()
        for spec in self.specs:
            tally = self.yard.journal.counts[spec.name]
            told[spec.name] = tally.saved
            report.stations[spec.name] = StationBooks(spec.driver, MODES.get(spec.driver, "auto"), tally.emitted)
        held = await self.ledger()
        on_server = await self.server.records()
        for record in held:
            report.stations[record["station"]].saved += 1
        on_server = [record for record in on_server if record["station"] in report.stations]
        for record in on_server:
            report.stations[record["station"]].on_server += 1
        report.emitted = sum(s.emitted for s in report.stations.values())
        report.saved, report.on_server = len(held), len(on_server)
        report.duplicates = len(on_server) - len({r["uuid"] for r in on_server})
        never_kept = sum(max(0, told[name] - books.saved) for name, books in report.stations.items())
        report.lost = len({r["uuid"] for r in held} - {r["uuid"] for r in on_server}) + never_kept
        report.ledger_ok, _ = await self.verify()
        return report

    def _write_config(self) -> Path:
        lines = ["[gateway]", 'name = "Plant"', 'data_dir = "data"', "", "[log]", 'format = "json"', ""]
        lines += ["[store]", "reserve_mb = 4", ""]
        for spec in self.specs:
            if spec.name in self.assigned:
                continue
            lines += ["[[station]]", f'name = "{spec.name}"', f'driver = "{spec.driver}"']
            lines += [f'url = "{as_url(self.yard.urls[spec.name])}"', f'mode = "{MODES.get(spec.driver, "auto")}"', ""]
        ports = json.dumps([self.yard.urls[name].removeprefix("pty:") for name in sorted(self.assigned)])
        settings = {"pending_interval_s": "0.5", "heartbeat_interval_s": "5", "ports": ports, **self.settings}
        lines += ["[[uplink]]", f'url = "{self.server.address}"', *(f"{k} = {v}" for k, v in settings.items()), ""]
        path = self.folder / "gateway.toml"
        path.write_text("\n".join(lines), encoding="utf-8")
        return path


async def export(data_dir: Path) -> list[dict[str, Any]]:
    """Every record of the ledger in a gateway's data folder."""
    _, lines = await run(program("scaleledger"), "export", "--data-dir", str(data_dir), "--format", "jsonl")
    return [json.loads(line) for line in lines.splitlines() if line.strip()]


def as_url(where: str) -> str:
    """What a gateway dials to reach a simulated device."""
    if where.startswith("tcp-listen://"):
        return where.replace("tcp-listen://", "tcp://", 1)
    return f"serial://{where.removeprefix('pty:')}" if where.startswith("pty:") else where


async def run(*command: str, environment: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Run a program to its end; exit code and standard output."""
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=PIPE, stderr=DEVNULL, start_new_session=True
    )
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


async def _appears(file: Path, process: Process, what: str, log: Path) -> None:
    waiting = asyncio.create_task(process.wait())
    try:
        async with asyncio.timeout(START_WITHIN_S):
            while not file.exists() or not file.read_text():
                if waiting.done():
                    words = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
                    raise PlantError(f"{what} did not start:\n{words}")
                await asyncio.wait({waiting}, timeout=0.02)
    except TimeoutError:
        raise PlantError(f"{what} did not start in {START_WITHIN_S:.0f} s") from None
    finally:
        waiting.cancel()
        await asyncio.wait({waiting})


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


def program(name: str) -> str:
    """The program that belongs to this very installation."""
    return str(Path(sys.executable).with_name(name))
