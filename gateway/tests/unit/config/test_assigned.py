"""What a centre assigns is checked like the file's own, and gets only the ports that it may have."""

import pytest

from scaleledger.app.roster import AssignmentRefused
from scaleledger.config.assigned import ports_of, section_of
from scaleledger.config.model import StationSection
from scaleledger.domain.assignment import AssignedStation, PortIdentity

CONFIG = {"driver": "suwol-1000", "url": "serial:///dev/ttyUSB0?baud=9600", "mode": "tag", "division": "0.5"}
PORTS = (
    {"device": "/dev/ttyUSB0", "serial_number": "A5", "location": "1-1"},
    {"device": "/dev/ttyUSB1", "serial_number": "B7", "location": "1-2"},
    {"device": "/dev/ttyUSB2", "serial_number": "0001", "location": "1-3"},
    {"device": "/dev/ttyUSB3", "serial_number": "0001", "location": "1-4"},
)


def fit(port=None, assignable="serial", ports=PORTS, **changed):
    return section_of(AssignedStation("dock-1", port or PortIdentity(), CONFIG | changed), ports, assignable)


def test_a_good_one_is_a_section_like_the_files():
    section = fit()
    assert section == StationSection.model_validate(CONFIG | {"name": "dock-1"})
    assert ports_of(section) == {"/dev/ttyUSB0"}


@pytest.mark.parametrize(
    ("port", "device"),
    [
        (PortIdentity(), "/dev/ttyUSB0"),
        (PortIdentity("/dev/ttyUSB9"), "/dev/ttyUSB0"),
        (PortIdentity(serial_number="B7"), "/dev/ttyUSB1"),
        (PortIdentity(serial_number="B7", location="moved"), "/dev/ttyUSB1"),
        (PortIdentity(location="1-2"), "/dev/ttyUSB1"),
        (PortIdentity(serial_number="0001", location="1-4"), "/dev/ttyUSB3"),
    ],
)
def test_a_port_is_found_by_its_usb_names_else_by_its_path(port, device):
    assert fit(port).url == f"serial://{device}?baud=9600"


@pytest.mark.parametrize(
    "port",
    [
        PortIdentity(serial_number="C9"),
        PortIdentity(location="9-9"),
        PortIdentity(serial_number="0001"),
        PortIdentity(serial_number="0001", location="9-9"),
    ],
)
def test_a_port_that_cannot_be_told_for_sure_is_awaited_and_no_other_is_taken(port):
    with pytest.raises(AssignmentRefused, match="USB") as refused:
        fit(port)
    assert refused.value.may_pass


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"driver": "suwol-100"}, "suwol-1000"),
        ({"mode": "tags"}, "mode"),
        ({"min_wieght": "2"}, "did you mean 'min_weight'"),
        ({"division": "nan"}, "division"),
        ({"url": "serial:///dev/ttyUSB0?bauds=1"}, "baud"),
        ({"driver": "st-gs-comma"}, "needs cards"),
        ({"unit": "stone"}, "unit"),
        ({"reader": {"driver": "rfid-em4100"}}, "reader.url"),
        ({"options": {"no_such": 1}}, "driver"),
    ],
)
def test_what_breaks_the_rules_is_refused_with_key_and_words(changed, words):
    with pytest.raises(AssignmentRefused) as refused:
        fit(**changed)
    assert words in str(refused.value)
    assert not refused.value.may_pass


@pytest.mark.parametrize(
    ("assignable", "url", "good"),
    [
        ("serial", "serial:///dev/ttyUSB1", True),
        ("serial", "serial:///dev/ttyS0", False),
        ("serial", "serial:///dev/../dev/ttyUSB1", True),
        ("serial", "tcp://192.0.2.7:4001", False),
        ("serial", "replay:/etc/passwd", False),
        ("any", "tcp://192.0.2.7:4001", True),
        ("any", "serial:///dev/ttyS0", True),
        ("none", "serial:///dev/ttyUSB1", False),
    ],
)
def test_the_centre_gets_only_what_the_file_lets_it_have(assignable, url, good):
    if good:
        assert fit(assignable=assignable, url=url).url == url
    else:
        with pytest.raises(AssignmentRefused, match=r"\[\[uplink\]\]"):
            fit(assignable=assignable, url=url)


def test_the_readers_port_must_be_allowed_too():
    reader = {"driver": "rfid-em4100", "url": "serial:///dev/ttyS7"}
    with pytest.raises(AssignmentRefused, match="/dev/ttyS7"):
        fit(driver="st-gs-comma", reader=reader)
    section = fit(driver="st-gs-comma", reader=reader | {"url": "serial:///dev/ttyUSB1"})
    assert ports_of(section) == {"/dev/ttyUSB0", "/dev/ttyUSB1"}


def test_a_link_to_a_device_and_the_device_are_one_port(tmp_path):
    device, link = tmp_path / "ttyX", tmp_path / "by-id"
    device.touch()
    link.symlink_to(device)
    ports = ({"device": str(device), "serial_number": None, "location": None},)
    sections = [fit(url=f"serial://{path}", ports=ports) for path in (device, link)]
    assert ports_of(sections[0]) == ports_of(sections[1])


@pytest.mark.parametrize(
    ("url", "ports"),
    [
        ("tcp-listen://0.0.0.0:4001", {"tcp-listen:4001"}),
        ("tcp-listen://127.0.0.1:4001?max_peers=1", {"tcp-listen:4001"}),
        ("tcp://192.0.2.7:4001", {"tcp:192.0.2.7:4001"}),
        ("serial://COM3", {"COM3"}),
        ("serial:///com3", {"COM3"}),
        ("replay:day.cap", set()),
    ],
)
def test_a_port_has_one_spelling(url, ports):
    assert ports_of(StationSection(name="a", driver="suwol-1000", url=url)) == ports


@pytest.mark.parametrize(
    "config", [CONFIG | {"unit": "x" * 100_000}, CONFIG | {"k" * 100_000: 1}, CONFIG | {"options": {"o" * 100_000: 1}}]
)
def test_what_is_said_of_a_monstrous_section_is_short(config):
    with pytest.raises(AssignmentRefused) as refused:
        section_of(AssignedStation("dock-1", PortIdentity(), config), PORTS, "any")
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize("seconds", [0, 1e-9, float("inf"), float("nan"), -1])
@pytest.mark.parametrize("option", ["poll_interval_s", "reply_timeout_s"])
def test_no_centre_makes_a_station_ask_without_pause(option, seconds):
    with pytest.raises(AssignmentRefused, match=option):
        fit(options={option: seconds})
