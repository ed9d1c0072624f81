"""`scaleledger run` as a process: it says when it is ready, ends in good order, and refuses in words."""

import json
import os
import select
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest
from click.testing import CliRunner

from scaleledger.cli import main

READY_WITHIN_S = 60


@contextmanager
def gateway(config):
    """A running gateway. It tells by a pipe that it is ready, so that nobody has to look again and again."""
    ready = config.with_name("ready")
    os.mkfifo(ready)
    pipe = os.open(ready, os.O_RDONLY | os.O_NONBLOCK)
    command = [
        sys.executable,
        "-c",
        "from scaleledger.cli import main; main()",
        "run",
        "-c",
        config,
        "--ready-file",
        ready,
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        readable, _, _ = select.select([pipe], [], [], READY_WITHIN_S)
        assert readable, f"it is not ready: {process.communicate()[1] if process.poll() is not None else 'no word'}"
        assert os.read(pipe, 100) == str(process.pid).encode()
        yield process
    finally:
        os.close(pipe)
        ready.unlink()
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stderr.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_runs_until_it_is_told_to_stop_and_drains(config, tmp_path, number):
    path = config('[log]\nformat = "json"')
    with gateway(path) as process:
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 0
    events = [json.loads(line)["event"] for line in said.splitlines()]
    for event in ("sys.start", "sys.store_opened", "sys.ready", "sys.stop"):
        assert event in events
    assert events[-1] == "sys.drained"
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_a_second_gateway_on_the_same_folder_is_refused_in_words(config):
    path = config()
    with gateway(path):
        second = CliRunner().invoke(main, ["run", "-c", str(path)])
        assert second.exit_code == 3
        assert str(path.parent / "data") in second.output


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("[uplinks]", "did you mean 'uplink'?"),
        ('[cards]\nfile = "cards.txt"', "cards.txt cannot be read"),
        ("[gateway", "is not TOML"),
    ],
    ids=["unknown-section", "no-card-file", "no-toml"],
)
def test_a_bad_configuration_ends_with_2_before_anything_is_touched(config, tmp_path, more, words):
    path = config(more)
    said = CliRunner().invoke(main, ["run", "-c", str(path)])
    assert said.exit_code == 2
    assert words in said.output
    assert str(path) in said.output
    assert list(tmp_path.iterdir()) == [path]


def test_a_configuration_that_is_not_there_ends_with_2(tmp_path):
    said = CliRunner().invoke(main, ["run", "-c", str(tmp_path / "none.toml")])
    assert said.exit_code == 2
    assert "none.toml: cannot be read" in said.output


def test_a_mistyped_failpoint_ends_with_2(config, monkeypatch):
    monkeypatch.setenv("SCALELEDGER_FAILPOINTS", "store.before-comit=kill")
    said = CliRunner().invoke(main, ["run", "-c", str(config())])
    assert said.exit_code == 2
    assert "no such failpoint" in said.output
