"""The tutorial, word for word: its settings, its commands in their order, and what it says they print."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[3] / "docs" / "tutorials" / "first-weighing.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PATIENCE_S = 40


class Reader:
    """Who follows the page: a folder, terminals that stay open, and an eye on what they show."""

    def __init__(self, folder, port):
        self.folder = folder
        self.port = port
        self.open = {}
        self.environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "SCALELEDGER_STORE__RESERVE_MB": "1",  # the page's 64 would only fill the test's disk
        }

    def begin(self, name, command):
        with (self.folder / f"{name}.txt").open("wb") as shown:
            self.open[name] = subprocess.Popen(
                ["bash", "-c", f"exec env {command}"],
                cwd=self.folder,
                env=self.environment,
                stdout=shown,
                stderr=shown,
                stdin=subprocess.DEVNULL,
            )

    def do(self, command):
        done = subprocess.run(
            command,
            check=False,
            shell=True,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        return done.returncode, done.stdout + done.stderr

    def sees(self, name, text, times=1):
        """Wait until a terminal has shown the text so often."""
        until = time.monotonic() + PATIENCE_S
        while self.shown(name).count(text) < times:
            assert self.open[name].poll() is None, self.shown(name)
            assert time.monotonic() < until, f"{name} does not show {text}:\n{self.shown(name)}"
            time.sleep(0.05)

    def shown(self, name):
        return (self.folder / f"{name}.txt").read_text(encoding="utf-8")

    def interrupt(self, name):
        terminal = self.open.pop(name)
        terminal.send_signal(signal.SIGINT)
        assert terminal.wait(PATIENCE_S) == 0, self.shown(name)

    def close(self):
        for terminal in self.open.values():
            terminal.kill()
            terminal.wait()


@pytest.fixture
def reader(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    reader = Reader(tmp_path, port)
    yield reader
    reader.close()


def alike(text):
    """What is the same for every reader: no numbers, hashes, folders."""
    return re.sub(
        r"[0-9a-f]{64}|[0-9]+(\.[0-9]+)?", "N", re.sub(r"data in .*/server", "data in …/server", text)
    ).strip()


def delivered(reader):
    events = [json.loads(line) for line in reader.shown("gateway").splitlines() if line.startswith("{")]
    last = max((e["seq"] for e in events if e["event"] == "biz.saved"), default=0)
    return last > 2 and last == max((e["upto"] for e in events if e["event"] == "net.delivered"), default=0)


@pytest.mark.skipif(sys.platform == "win32", reason="the simulated port is a pty")
@pytest.mark.timeout(200)
def test_the_tutorial_works_word_for_word(reader):
    steps = [(m[1], m[2].strip()) for m in BLOCK.finditer(PAGE.read_text(encoding="utf-8"))]
    expected = [after[1] if after[0] == "text" else None for after in [*steps[1:], ("", "")]]
    for (language, text), output in zip(steps, expected, strict=True):
        if language == "toml":
            (reader.folder / "gateway.toml").write_text(text.replace("8000", str(reader.port)))
        if language != "sh":
            continue
        if text.endswith("scaleledger-server serve"):
            reader.begin("server", f"{text} --port {reader.port}")
            reader.sees("server", "http://")
            assert alike(reader.shown("server")) == alike(output)
        elif text.startswith("scaleledger simulate"):
            reader.begin("scale", text)
            reader.sees("scale", "is found at")
        elif text.startswith("scaleledger run"):
            reader.begin("gateway", text)
            reader.sees("gateway", "biz.saved", times=2)
            reader.sees("gateway", "net.pending")
        else:
            code, said = reader.do(text)
            assert code == (1 if output and output.startswith("BROKEN") else 0), said
            assert output is None or alike(said) == alike(output)
        if " approve " in text:
            reader.sees("gateway", "net.approved")
            until = time.monotonic() + PATIENCE_S
            while not delivered(reader):
                assert time.monotonic() < until, reader.shown("gateway")
                time.sleep(0.05)
            reader.interrupt("scale")
            reader.interrupt("gateway")
            assert "sys.drained" in reader.shown("gateway")
    assert len((reader.folder / "weighings.csv").read_text(encoding="utf-8").splitlines()) > 3
    reader.interrupt("server")
