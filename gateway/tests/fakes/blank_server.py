"""A server's empty database, made once by its own migrations: 1.5 s of work that every server of the tests would repeat."""

import functools
import os
import subprocess
import sys
import tempfile
from pathlib import Path


@functools.cache
def _blank():
    with tempfile.TemporaryDirectory() as folder:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SCALELEDGER_SERVER_")}
        kept.pop("DATABASE_URL", None)
        subprocess.run(
            [sys.executable, "-m", "scaleledger_server.manage", "migrate", "--verbosity", "0"],
            env={**kept, "SCALELEDGER_SERVER_DATA_DIR": folder},
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=120,
        )
        return Path(folder, "server.sqlite3").read_bytes()


def copy_blank(folder):
    """Let a server whose data folder this is begin with it, unless it has a database already."""
    database = folder / "server.sqlite3"
    if not database.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        database.touch(mode=0o600)
        database.write_bytes(_blank())
