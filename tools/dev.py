"""One command makes the environment and runs a task: `python tools/dev.py TASK [ARGS]`.

Standard library only, so that a fresh clone needs nothing but Python >= 3.11. uv is found ($UV, PATH, .tools) or fetched
into .tools with pip; the environment is .venv, built from the hash-pinned lock and rebuilt only when the lock changes.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements" / "dev.lock"
DISTRIBUTIONS = ["gateway/pyproject.toml", "server/pyproject.toml"]
VENV = Path(os.environ.get("SCALELEDGER_VENV", ROOT / ".venv"))
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
OLDEST = (3, 11)

WORKERS = str(max(4, os.cpu_count() or 1))  # half of the long tests' time is waiting for processes

SCALED = ["server/tests", "--database", "postgresql", "--redis"]  # the server as it runs with many workers

TASKS = {
    "demo": ["scaleledger", "demo"],
    "test": ["pytest", "-n", WORKERS, "--dist", "worksteal", "-m", "not nightly"],
    "test-scaled": ["pytest", "-n", WORKERS, "--dist", "worksteal", "-m", "not nightly", *SCALED],
    "nightly": ["pytest", "-n", "auto", "-m", "nightly"],
    "bench": ["python", "-m", "bench"],
}
CHECKS = [
    ["ruff", "check", "."],
    ["ruff", "format", "--check", "."],
    ["lint-imports"],
    ["mypy", "gateway/src", "server/src", "tools"],
    ["deptry", "gateway/src", "--config", "gateway/pyproject.toml"],
    ["deptry", "server/src", "--config", "server/pyproject.toml"],
    [
        "codespell",
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "STYLE.md",
        "SECURITY.md",
        "docs",
        "gateway",
        "server",
        "tools",
        "bench",
    ],
]

SERVER_CHECKS = [
    ["scaleledger-server", "makemigrations", "--check", "--dry-run"],
    ["scaleledger-server", "check", "--deploy", "--fail-level", "WARNING"],
]


def find_uv() -> str:
    """Path of a working uv; fetched with pip into .tools when there is none."""
    local = ROOT / ".tools" / "bin" / ("uv.exe" if os.name == "nt" else "uv")
    for candidate in (os.environ.get("UV"), shutil.which("uv"), str(local)):
        if candidate and Path(candidate).exists():
            return candidate
    print("fetching uv into .tools ...", flush=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--target", str(ROOT / ".tools"), "uv"], check=True)
    return str(local)


def find_python() -> str:
    """The interpreter for the environment: $UV_PYTHON, else a 3.14 that runs, else any >= 3.11, else uv's choice."""
    if os.environ.get("UV_PYTHON"):
        return os.environ["UV_PYTHON"]
    names = ["python3.14", "python3.13", "python3.12", "python3.11", "python3"]
    found = [shutil.which(name) for name in names]
    for path in (found[0], sys.executable, *found[1:], "/usr/bin/python3"):
        if path and _runs(path):
            return path
    return "3.14"


def _runs(python: str) -> bool:
    probe = f"import sys, ssl, sqlite3; sys.exit(sys.version_info < {OLDEST})"
    return subprocess.run([python, "-c", probe], capture_output=True, check=False).returncode == 0


def prepare() -> None:
    """Build or refresh the environment when the lock or the distributions' metadata changed."""
    parts = [LOCK, *(ROOT / name for name in DISTRIBUTIONS)]
    digest = hashlib.sha256(b"".join(p.read_bytes() for p in parts)).hexdigest()
    stamp = VENV / "stamp"
    if stamp.exists() and stamp.read_text() == digest:
        return
    uv = find_uv()
    if not BIN.exists():
        subprocess.run([uv, "venv", "--quiet", "--python", find_python(), str(VENV)], check=True)
    install = [uv, "pip", "install", "--quiet", "--python", str(VENV)]
    subprocess.run([*install, "--require-hashes", "-r", str(LOCK)], check=True)
    own = ["--no-deps", "--no-build-isolation", "-e", str(ROOT / "gateway"), "-e", str(ROOT / "server")]
    subprocess.run([*install, *own], check=True)
    stamp.write_text(digest)


def lock() -> int:
    """Write the locks: all platforms, hashes, no host name. What ships is held to what was tested."""
    compile_ = [find_uv(), "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-header"]
    compile_ += ["--no-annotate", "--python-version", "3.11"]
    tested = [*compile_, "--upgrade", "-o", str(LOCK), "requirements/dev.in", *DISTRIBUTIONS]
    shipped = [*compile_, "-c", str(LOCK), "-o", "requirements/server.lock", "server/pyproject.toml"]
    return max(subprocess.run(command, check=False, cwd=ROOT).returncode for command in (tested, shipped))


def run(command: list[str], variables: dict[str, str] | None = None) -> int:
    """Run one command inside the environment; Ctrl-C is the child's affair, so that it can stop cleanly."""
    env = {
        **os.environ,
        **(variables or {}),
        "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}",
        "VIRTUAL_ENV": str(VENV),
    }
    env.pop("PYTHONHOME", None)
    env.pop("UV_PYTHON", None)
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # every start of a program would compile it anew
    program = shutil.which(command[0], path=str(BIN)) or command[0]
    child = subprocess.Popen([program, *command[1:]], cwd=ROOT, env=env)
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            continue


def production(folder: str) -> dict[str, str]:
    """The server's variables as behind a proxy, with secrets of this one check."""
    names = {
        "DATA_DIR": folder,
        "TLS_PROXY": "1",
        "ALLOWED_HOSTS": "centre.example",
        "TRUSTED_ORIGINS": "https://centre.example",
        "SECRET_KEY": secrets.token_urlsafe(64),
        "RECEIPT_SECRET": secrets.token_urlsafe(64),
    }
    return {f"SCALELEDGER_SERVER_{name}": value for name, value in names.items()}


def check() -> int:
    """Lint, format, layers, types, dependencies, spelling, the server's production settings: all run, the worst counts."""
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        for command in [*CHECKS, *SERVER_CHECKS]:
            print("$", " ".join(command), flush=True)
            if run(command, production(folder) if command in SERVER_CHECKS else None):
                failed.append(" ".join(command[:2]))
    print("check failed: " + ", ".join(failed) if failed else "check passed", flush=True)
    return 1 if failed else 0


def main(arguments: list[str]) -> int:
    """Entry point; unknown tasks are run as commands inside the environment."""
    if not arguments:
        print(f"usage: python tools/dev.py ({' | '.join([*TASKS, 'check', 'lock', 'setup'])} | COMMAND) [ARGS]")
        return 2
    task, rest = arguments[0], arguments[1:]
    if task == "lock":
        return lock()
    prepare()
    if task == "setup":
        return 0
    if task == "check":
        return check()
    return run([*TASKS.get(task, [task]), *rest])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
