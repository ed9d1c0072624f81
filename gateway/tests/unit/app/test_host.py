import socket
import uuid

import pytest

from scaleledger.app import host


@pytest.fixture
def cards(tmp_path):
    """A folder as the kernel shows network cards; `cards(name, address, real)` adds one."""

    def add(name, address, *, real=False):
        card = tmp_path / name
        card.mkdir()
        if address is not None:
            (card / "address").write_text(address)
        if real:
            (card / "device").mkdir()
        return tmp_path

    return add


def test_a_card_of_hardware_is_taken_before_virtual_ones_and_none_of_zeros(cards):
    cards("docker0", "02:42:00:00:00:01\n")
    cards("eno2", "00:1B:21:AA:BB:CC\n", real=True)
    cards("eno1", "00:00:00:00:00:00\n", real=True)
    assert host.mac_address(cards("lo", "00:00:00:00:00:00\n")) == "00:1b:21:aa:bb:cc"


def test_without_hardware_the_first_virtual_card_in_order_of_names(cards):
    cards("veth1", "02:42:00:00:00:09\n")
    cards("tunnel", "fe80::1\n")
    cards("broken", None)
    assert host.mac_address(cards("eth0", "02:42:00:00:00:02\n")) == "02:42:00:00:00:02"


@pytest.mark.parametrize("folder", ["", "nowhere"])
def test_without_any_card_the_librarys_guess(tmp_path, folder):
    guess = host.mac_address(tmp_path / folder)
    assert int(guess.replace(":", ""), 16) == uuid.getnode()
    assert len(guess) == 17


def test_the_hostname_is_bounded(monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "x" * 300)
    assert host.hostname() == "x" * 255


def test_the_report_tells_the_disk_that_the_data_lies_on_and_nothing_when_it_is_gone(tmp_path):
    report = host.report(tmp_path)
    assert 0 < report.disk_free_bytes <= report.disk_total_bytes
    assert report.uptime_s > 0
    assert report.python.count(".") == 2
    assert host.report(tmp_path / "gone") is None
