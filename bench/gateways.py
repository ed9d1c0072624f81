"""A real gateway as a process, on simulated indicators."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

from bench import yard
from bench.line import RESERVE_MB
from bench.processes import program, running, wait_for


def write_config(folder: Path, stations: int, *, uplink: str = "", reserve_mb: int = RESERVE_MB) -> Path:
    """A configuration for the indicators of `yards` in `folder`."""
    lines = ["[gateway]", 'name = "Bench"', 'data_dir = "data"', "[log]", 'format = "json"']
    lines += ["[store]", f"reserve_mb = {reserve_mb}"]
    for name in yard.names(stations):
        lines += ["[[station]]", f'name = "{name}"', f'driver = "{yard.DRIVER}"', f'url = "serial://{folder / name}"']
    if uplink:
        lines += ["[[uplink]]", f'url = "{uplink}"', "pending_interval_s = 0.5"]
    path = folder / "gateway.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


@contextmanager
def yards(folder: Path, stations: int, rate_hz: float, scenario: str = "bench") -> Iterator[None]:
    """`stations` indicators talk in `folder`."""
    command = [sys.executable, "-m", "bench.yard", str(folder), str(stations), str(rate_hz), scenario]
    log = folder / "yard.log"
    with running(command, log=log) as child:
        wait_for(folder / "ready", child, log)
        yield


@contextmanager
def gateway(config: Path) -> Iterator["Popen[bytes]"]:
    """The gateway, up."""
    ready, log = config.with_name("gateway.ready"), config.with_name("gateway.log")
    ready.unlink(missing_ok=True)
    command = [program("scaleledger"), "run", "--config", str(config), "--ready-file", str(ready)]
    with running(command, log=log) as child:
        wait_for(ready, child, log)
        yield child
