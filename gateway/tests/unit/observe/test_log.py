import json
import logging

import pytest
import structlog

from scaleledger.observe.log import EVENTS, SECRETS, configure, get_logger, hide_secrets


@pytest.fixture
def lines(tmp_path):
    """`lines(**settings)` sets logging up to a file; the result reads what was written. All is put back afterwards."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    path = tmp_path / "gateway.log"

    def set_up(*, as_json=True, level="info"):
        configure(as_json=as_json, file=path, level=level)
        return lambda: path.read_text(encoding="utf-8").splitlines()

    yield set_up
    for handler in root.handlers:
        if handler not in before:
            handler.close()
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


def test_a_line_is_an_event_with_fields_time_and_level(lines):
    read = lines()
    get_logger().warning("hw.link_up", station="부두-1", peer="/dev/ttyUSB0")
    [line] = map(json.loads, read())
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "hw.link_up", "level": "warning", "station": "부두-1", "peer": "/dev/ttyUSB0"}


def test_what_is_below_the_level_is_not_written(lines):
    read = lines(level="warning")
    get_logger().info("hw.link_up")
    get_logger().error("hw.link_down")
    assert [json.loads(line)["event"] for line in read()] == ["hw.link_down"]


def test_a_trace_is_kept_with_its_event(lines):
    read = lines()
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        get_logger().exception("sys.part_failed", part="dock-1")
    [line] = map(json.loads, read())
    assert "ZeroDivisionError: division by zero" in line["exception"]


@pytest.mark.parametrize("name", [*SECRETS, *(name.upper() for name in SECRETS), "Authorization"])
def test_a_secret_never_reaches_the_log(lines, name):
    read = lines(as_json=False)
    get_logger().info("net.approved", **{name: "s3cret-value", "uplink": "central"})
    [line] = read()
    assert "s3cret-value" not in line
    assert "central" in line


def test_hiding_leaves_other_fields_alone():
    assert hide_secrets(None, "", {"token": "x", "tokens": 3}) == {"token": "***", "tokens": 3}


@pytest.mark.parametrize("library", ["httpx2", "httpcore2.http11", "websockets.client"])
def test_what_the_libraries_say_of_addresses_and_headers_stays_out(lines, library):
    read = lines(level="debug")
    logging.getLogger(library).info("HTTP Request: POST http://centre.invalid/?key=1")
    logging.getLogger(library).debug("> Authorization: Bearer s3cret-value")
    assert read() == []


def test_every_event_has_an_area_and_a_sentence():
    for name, meaning in EVENTS.items():
        assert name.split(".")[0] in {"sys", "hw", "biz", "net"}, name
        assert meaning.endswith("."), name
