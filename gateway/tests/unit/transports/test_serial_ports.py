"""The scan of serial ports: the contract's eleven fields, and what globs add."""

import asyncio
import json
import os
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner
from serial.tools.list_ports_common import ListPortInfo

from scaleledger.cli import main
from scaleledger.domain.channel import PORT_FIELDS
from scaleledger.transports import serial_ports
from scaleledger.transports.serial_ports import scan

CONTRACT = Path(__file__).resolve().parents[4] / "contracts" / "channel_from_gateway.schema.json"


@pytest.fixture
def adapters(monkeypatch, tmp_path):
    """Two adapters, one with nothing known of it; returns the devices."""
    devices = [tmp_path / "ttyUSB1", tmp_path / "ttyUSB0"]
    found = []
    for device in devices:
        device.touch()
        found.append(ListPortInfo(str(device)))
    usb = found[1]
    usb.description, usb.hwid, usb.vid, usb.pid = "USB-Serial " + "x" * 400, "USB VID:PID=0403:6001", 1027, 24577
    usb.serial_number, usb.location, usb.manufacturer, usb.product = "A50285BI", "1-1.2", "FTDI", "FT232R"
    monkeypatch.setattr(serial_ports.list_ports, "comports", lambda: found)
    return devices


async def test_the_scan_has_the_contracts_fields_in_order_of_device(adapters):
    ports = await scan()
    assert [port["device"] for port in ports] == [str(adapters[1]), str(adapters[0])]
    assert all(tuple(port) == PORT_FIELDS for port in ports)
    assert (ports[0]["serial_number"], ports[0]["vid"], ports[1]["serial_number"]) == ("A50285BI", 1027, None)
    assert len(ports[0]["description"]) == 200
    message = {"type": "peripherals.scanned", "payload": ports}
    jsonschema.validate(message, json.loads(CONTRACT.read_text()))


async def test_globs_add_links_with_the_fields_of_what_they_lead_to_and_pseudo_terminals(adapters, tmp_path):
    by_id = tmp_path / "by-id"
    by_id.mkdir()
    (by_id / "usb-FTDI").symlink_to(adapters[1])
    leader, follower = os.openpty()
    try:
        (by_id / "virtual").symlink_to(os.ttyname(follower))
        ports = {port["device"]: port for port in await scan([str(by_id / "*"), "/nowhere/*", str(adapters[0])])}
    finally:
        os.close(leader)
        os.close(follower)
    assert len(ports) == 4
    assert ports[str(by_id / "usb-FTDI")]["serial_number"] == "A50285BI"
    assert ports[str(by_id / "virtual")]["hwid"] is None


async def test_a_slow_scan_does_not_hold_up_the_loop(monkeypatch):
    import threading

    asked, answer = threading.Event(), threading.Event()

    def slow():
        asked.set()
        assert answer.wait(10)
        return []

    monkeypatch.setattr(serial_ports.list_ports, "comports", slow)
    scanning = asyncio.create_task(scan())
    while not asked.is_set():
        await asyncio.sleep(0.001)
    answer.set()
    assert await scanning == []


def test_the_command_shows_them_for_people_and_for_scripts(adapters):
    words = CliRunner().invoke(main, ["scan"])
    assert words.exit_code == 0
    assert words.output.splitlines()[0].startswith(f"{adapters[1]}  USB-Serial")
    ports = json.loads(CliRunner().invoke(main, ["scan", "--json", "--ports", "/dev/null"]).output)
    assert [Path(port["device"]).name for port in ports] == ["null", "ttyUSB0", "ttyUSB1"]


def test_the_command_says_so_when_there_are_none(monkeypatch):
    monkeypatch.setattr(serial_ports.list_ports, "comports", list)
    assert "no serial port" in CliRunner().invoke(main, ["scan"]).output
