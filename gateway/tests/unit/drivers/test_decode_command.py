import json
import select
import subprocess
import sys

import pytest
from click.testing import CliRunner

from scaleledger.cli import main
from scaleledger.wire import suwol_frames


def decode(*arguments, stdin=None):
    return CliRunner().invoke(main, ["decode", *arguments], input=stdin)


def test_hex_in_words_and_as_json():
    said = decode("st-gs-comma", "--hex", b"ST,GS,+  12.50kg\r\nOL,GS,------\r\nx\r\n".hex(" "))
    assert said.exit_code == 0
    assert "12.50 kg, stable, gross" in said.stdout
    assert "no weight: overload" in said.stdout
    assert "bad-line: 78" in said.stdout
    lines = decode("st-gs-comma", "--json", "--hex", b"ST,GS,+  12.50kg\r\n".hex()).stdout.splitlines()
    assert [json.loads(line) for line in lines] == [
        {"type": "reading", "weight": "12.50", "unit": "kg", "stable": True, "status": "ok", "role": "gross"}
    ]


def test_hex_lines_give_one_array_each_and_go_on_after_bad_ones():
    frame = b"\x0262E3086CED08\x03".hex()
    said = decode("rfid-em4100", "--hex-lines", "-", stdin=f"{frame}\n\nzz\n{frame[:-2]}\n{frame}\n")
    assert [json.loads(line) for line in said.stdout.splitlines()] == [
        [{"type": "card", "uid": "62E3086CED"}],
        [],
        [{"type": "problem", "reason": "bad-hex"}],
        [{"type": "problem", "reason": "cut-short", "raw": frame[:-2]}],
        [{"type": "card", "uid": "62E3086CED"}],
    ]


def test_a_file_of_raw_bytes(tmp_path):
    path = tmp_path / "capture.bin"
    path.write_bytes(b"ST , +000053.26 _kg\r\n" * 3)
    assert decode("fg-150kal", str(path)).stdout.count("53.26 kg, stable") == 3
    assert decode("fg-150kal", str(tmp_path / "none")).exit_code == 3


def test_what_comes_through_a_pipe_is_shown_as_it_comes():
    command = [sys.executable, "-c", "from scaleledger.cli import main; main()", "decode", "st-gs-comma", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as decoding:
        decoding.stdin.write(b"ST,GS,+  12.50kg\r\n")
        decoding.stdin.flush()
        assert select.select([decoding.stdout], [], [], 20)[0], "nothing is shown before the pipe is closed"
        assert b"12.50 kg" in decoding.stdout.readline()
        decoding.stdin.close()
        assert decoding.wait(20) == 0


def test_options_reach_the_driver():
    frame = b"\x022E00AF0EC9B4\x03".hex()
    assert "2E00AF0EC9" in decode("rfid-em4100", "--hex", frame, "-o", "check=sum").stdout
    assert "bad-checksum" in decode("rfid-em4100", "--hex", frame).stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["suwol-100", "--hex", "00"], "did you mean 'suwol-1000'"),
        (["suwol-1000", "--hex", "0"], "not hexadecimal"),
        (["suwol-1000"], "give one of"),
        (["suwol-1000", "--hex", "00", "--hex-lines", "-"], "give one of"),
        (["suwol-1000", "--hex", "00", "-o", "device_id"], "NAME=VALUE"),
        (["suwol-1000", "--hex", "00", "-o", "device_id=12"], "one digit"),
        (["suwol-1000", "--hex", "00", "-o", "device=1"], "did you mean 'device_id'"),
    ],
)
def test_bad_usage_exits_2_and_says_what_to_do(arguments, said):
    result = decode(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr


def test_what_a_device_says_of_itself_is_shown_on_request():
    frame = suwol_frames.encode_reply(suwol_frames.Reply(relays=suwol_frames.GREEN)).hex()
    plain = decode("suwol-1000", "--json", "--hex", frame).stdout.splitlines()
    whole = decode("suwol-1000", "--json", "--all", "--hex", frame).stdout.splitlines()
    assert [json.loads(line)["type"] for line in plain] == ["reading"]
    assert [json.loads(line)["type"] for line in whole] == ["reading", "device-state"]
