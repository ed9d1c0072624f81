"""Programs under measurement: started, looked at through /proc, and ended, whatever happens."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from bench.result import OUT

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
START_WITHIN_S = 60.0
STOP_WITHIN_S = 8.0
ROOT = Path(__file__).parent.parent
COMPILED = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(OUT / "pycache")}
"""Programs run from compiled modules, as an installation has them, whatever this shell asks for."""


def output_of(command: Sequence[str], **environment: str) -> tuple[str, str]:
    """What a program that ends by itself writes to its two outputs. Raises CalledProcessError."""
    around = {**os.environ, **COMPILED, **environment}
    done = subprocess.run(command, capture_output=True, check=True, text=True, env=around, timeout=START_WITHIN_S)
    return done.stdout, done.stderr


def python() -> str:
    """The interpreter of this installation."""
    return sys.executable


def program(name: str) -> str:
    """A console command of this very installation."""
    return str(Path(sys.executable).with_name(name))


@contextmanager
def running(
    command: Sequence[str], *, log: Path, environment: Mapping[str, str] = MappingProxyType({})
) -> Iterator["subprocess.Popen[bytes]"]:
    """A program until the block ends; what it says goes to `log`."""
    with log.open("ab") as file:
        child = subprocess.Popen(
            command,
            stdout=file,
            stderr=file,
            cwd=ROOT,
            env={**os.environ, **COMPILED, **environment},
            start_new_session=True,
        )
    try:
        yield child
    finally:
        stop(child)


def stop(child: "subprocess.Popen[bytes]") -> None:
    """SIGTERM; SIGKILL when that is not heard."""
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
    try:
        child.wait(STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def wait_for(file: Path, child: "subprocess.Popen[bytes]", log: Path) -> None:
    """Until `file` is there and not empty. Raises RuntimeError when the program ends before, or takes too long."""
    until = time.monotonic() + START_WITHIN_S
    while not file.exists() or not file.stat().st_size:
        if child.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"{child.args!r} did not start:\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.002)


def cpu_s(pid: int) -> float:
    """Processor time a process has used, in user space and in the kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def bytes_read(pid: int) -> int:
    """What a process has read from files and ports."""
    return _number(Path(f"/proc/{pid}/io"), "rchar")


def rss_mb(pid: int | str) -> float:
    """Resident memory of a process, in millions of bytes."""
    return _number(Path(f"/proc/{pid}/status"), "VmRSS") * 1024 / 1e6


def _number(file: Path, name: str) -> int:
    line = next(line for line in file.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1])
