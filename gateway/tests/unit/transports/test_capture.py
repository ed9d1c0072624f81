import logging
import os
import signal
import subprocess
import sys
import time

import pytest
import structlog
from click.testing import CliRunner

from fakes.wires import Listener, Running, eventually
from scaleledger.cli import main
from scaleledger.transports import open_transport
from scaleledger.transports.capture_file import Chunk, chunks, header, line, open_for_append, read, remark
from scaleledger.wire.link import LinkState


@pytest.fixture(autouse=True)
def _logging_as_it_was():
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    structlog.reset_defaults()
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


CHUNKS = [
    Chunk(0.0, sent=False, data=b"ST,GS"),
    Chunk(0.01, sent=True, data=b"\x05"),
    Chunk(0.020001, sent=False, data=bytes(range(256))),
]


def written(path, recorded=CHUNKS, tail=""):
    path.write_text(header("loop:x") + "".join(map(line, recorded)) + remark("connected: a\nb") + tail)
    return path


def test_what_is_written_is_read(tmp_path):
    assert list(read(written(tmp_path / "a.cap"))) == CHUNKS


def test_a_line_cut_short_is_left_out(tmp_path):
    text = written(tmp_path / "a.cap").read_text()
    for length in range(len(header("loop:x")), len(text)):
        (tmp_path / "cut.cap").write_text(text[:length])
        found = list(read(tmp_path / "cut.cap"))
        assert found == CHUNKS[: len(found)]
        assert len(found) == max(0, min(3, text[:length].count("\n") - 1))


def test_appending_takes_the_cut_line_away_and_time_goes_on(tmp_path):
    path = written(tmp_path / "a.cap", tail="0.5 < 41 42")
    with open_for_append(path, "loop:y") as file:
        file.write(line(Chunk(1.0, sent=False, data=b"Z")))
    assert list(read(path)) == [*CHUNKS, Chunk(1.020001, sent=False, data=b"Z")]


@pytest.mark.parametrize("wrong", ["x < 41", "1.0 = 41", "1.0 < 4", "1.0 <", "-1 < 41", "nan < 41", "inf < 41", "1.0"])
def test_a_wrong_line_is_named(wrong):
    with pytest.raises(ValueError, match="line 2 "):
        list(chunks([header("loop:x"), wrong + "\n"]))


def test_another_file_is_never_touched(tmp_path):
    precious = tmp_path / "precious.txt"
    precious.write_bytes(b"not a capture, and no line end")
    with pytest.raises(ValueError, match="is not a capture"):
        open_for_append(precious, "loop:x")
    assert precious.read_bytes() == b"not a capture, and no line end"


@pytest.mark.parametrize("speed", ["0", "1", "1000"])
async def test_a_replay_delivers_what_came_and_ends(tmp_path, speed):
    transport = open_transport(f"replay:{written(tmp_path / 'a.cap')}?speed={speed}", clock=time)
    listener = Listener()
    begun = time.monotonic()
    await transport.run(listener.accept)
    if speed == "1":
        assert time.monotonic() - begun >= 0.02
    (heard,) = listener.heard
    assert heard.data == b"ST,GS" + bytes(range(256))
    assert heard.losses == ["the capture has been played to its end"]
    assert transport.status.state is LinkState.CLOSED


async def test_a_replay_waits_for_its_file(tmp_path):
    path = tmp_path / "later.cap"
    transport = open_transport(f"replay:{path}?speed=0", clock=time)
    listener = Listener()
    async with Running(transport, listener.accept):
        await eventually(lambda: transport.status.state is LinkState.FAILED)
        assert str(path) in transport.status.detail
        written(path)
        await eventually(lambda: listener.heard and listener.heard[-1].losses)
        assert listener.heard[-1].data == b"ST,GS" + bytes(range(256))


def test_the_command_keeps_and_shows_what_comes(tmp_path):
    source, kept = written(tmp_path / "a.cap"), tmp_path / "b.cap"
    done = CliRunner().invoke(main, ["capture", f"replay:{source}?speed=0", str(kept), "--show"])
    assert done.exit_code == 0, done.output
    assert "53 54 2c 47 53" in done.output
    assert "|ST,GS|" in done.output
    assert "261 bytes kept" in done.output
    assert [chunk.data for chunk in read(kept)] == [b"ST,GS", bytes(range(256))]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["serial:///dev/no-such-port", "{}/c.cap"], 3, "no such port /dev/no-such-port"),
        (["serail:///dev/ttyS0", "{}/c.cap"], 2, "did you mean 'serial'?"),
        (["loop:x", "{}/precious.txt"], 2, "is not a capture"),
        (["loop:x", "{}/no/such/folder.cap"], 3, "cannot be written"),
        (["loop:x", "{}/c.cap", "--seconds", "0.1"], 0, "0 bytes kept"),
    ],
)
def test_the_command_says_what_is_wrong(tmp_path, arguments, code, said):
    (tmp_path / "precious.txt").write_text("dear\n")
    done = CliRunner().invoke(main, ["capture", *(text.format(tmp_path) for text in arguments)])
    assert done.exit_code == code, done.output
    assert done.output.count(said) == 1


@pytest.mark.skipif(os.name != "posix", reason="signals")
def hear_ctrl_c():
    """A shell's background job, as a test run may be, is deaf to Ctrl-C, and so would be its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_ends_it_cleanly(tmp_path):
    script = [sys.executable, "-m", "scaleledger.cli.capture", "tcp-listen://127.0.0.1:0", str(tmp_path / "d.cap")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(script, preexec_fn=hear_ctrl_c, **pipes) as process:  # noqa: PLW1509 - it only sets a signal
        assert "Ctrl-C" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert "0 bytes kept" in out
    assert not err
