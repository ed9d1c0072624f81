"""A client that exists today, unchanged, gets all that its description says it needs; on a server that allows plain clients."""

import json
import threading
import uuid

import pytest

from administrator import Administrator
from old_client import Closed, OldClient
from server_processes import ServerProcess

MAC = "02:5a:1e:d6:e4:02"
PASSWORD = "a password of the tests"
CARD = "A1B2C3D4"


class Centre:
    """A server that allows plain clients, and the person who runs it."""

    def __init__(self, folder):
        self.process = ServerProcess(folder, SCALELEDGER_SERVER_PLAIN_CLIENTS="1")
        self.process.start()
        words = folder / "password"
        words.write_text(PASSWORD)
        self.process.command("administrator", "--name", "admin", "--password-file", str(words))
        self.base = f"http://127.0.0.1:{self.process.port}"
        self.person = Administrator(self.process.port, "admin", PASSWORD)

    def gateway_id(self):
        found = json.loads(self.process.command("gateways", "--json").stdout)
        [gateway] = [gateway for gateway in found if gateway["mac_address"] == MAC]
        return gateway["id"]

    def approve(self):
        chosen = {"action": "approve", "_selected_action": self.gateway_id(), "confirmed": "yes"}
        status, _ = self.person.post("/admin/devices/gateway/", **chosen)
        assert status == 302

    def fill(self, gateway_id):
        """A producer, a kind of goods, a card and a station."""
        self.add("market/producer", name="North boat")
        self.add("market/species", name="고등어")
        self.add(
            "market/rfidcard",
            uid=CARD,
            producer=1,
            species=1,
            is_active="on",
            issued_at_0="2026-11-01",
            issued_at_1="00:00",
        )
        self.add("devices/station", gateway=gateway_id, name="dock-1", serial_port="/dev/ttyUSB0", **STATION)

    def add(self, what, **fields):
        status, page = self.person.post(f"/admin/{what}/add/", **fields)
        assert status == 302, page[-3000:]


STATION = {
    "enabled": "on", "driver": "suwol-1000", "mode": "tag", "rearm": "zero", "options": "{}", "stability": "{}",
    "timeout_s": "30", "stale_s": "2",
}  # fmt: skip


@pytest.fixture(scope="module")
def centre(tmp_path_factory):
    found = Centre(tmp_path_factory.mktemp("centre"))
    yield found
    if found.process.process.poll() is None:
        found.process.stop()


@pytest.fixture(scope="module")
def provisioned(centre):
    """A client that was approved while it waited on its socket, and has fetched everything."""
    client = OldClient(centre.base, MAC)
    waiting = client.ask_to_be_provisioned()
    approving = threading.Timer(0.3, centre.approve)  # a person comes a moment later
    approving.start()
    client.take_token(waiting)
    approving.join()
    client.fetch_itself()
    centre.fill(client.gateway["id"])
    return client


def test_it_is_provisioned_over_its_socket_and_finds_itself(provisioned):
    assert provisioned.gateway["mac_address"] == MAC
    assert provisioned.gateway["access_token"] == provisioned.token


def test_it_fetches_its_stations_and_market_data(provisioned):
    provisioned.fetch_stations()
    provisioned.fetch_market()
    assert list(provisioned.stations.values()) == [(provisioned.gateway["id"], "/dev/ttyUSB0")]
    assert provisioned.cards == {CARD: (True, "North boat", "고등어")}


def test_what_it_uploads_twice_is_taken_twice_and_held_once(centre, provisioned):
    records = [
        {
            "uuid": str(uuid.uuid4()),
            "rfid_card_uid": CARD,
            "weight": 1850 + n,
            "measured_at": f"2026-11-21T11:02:0{n}+00:00",
        }
        for n in range(3)
    ]
    for _ in range(2):
        provisioned.queue = list(records)
        provisioned.upload()
        assert provisioned.queue == [], "a record that is not taken is sent for ever"
    held = [json.loads(line) for line in centre.process.command("records", "--each").stdout.splitlines()]
    assert sorted(row["uuid"] for row in held) == sorted(record["uuid"] for record in records)


def test_a_heartbeat_without_a_body_is_answered_with_one(provisioned):
    status, answer = provisioned.beat()
    assert status == 200
    assert answer["status"] == "active"


def test_its_open_socket_is_asked_for_ports_and_told_of_stations_and_never_closed_in_good_order(centre, provisioned):
    assert provisioned.connect() == 101
    way = provisioned.socket
    gateway_id = provisioned.gateway["id"]
    centre.person.post(f"/admin/devices/gateway/{gateway_id}/scan/")
    assert heard(way, "scan.peripherals")
    port = {
        "device": "COM3", "name": "COM3", "description": "USB-Serial", "hwid": "USB VID:PID=0403:6001", "vid": 1027,
        "pid": 24577, "serial_number": "A50285BI", "location": "1-1.2", "manufacturer": "FTDI", "product": "FT232R",
        "interface": None,
    }  # fmt: skip
    way.send("peripherals.scanned", [port])
    until(lambda: "A50285BI" in centre.person.get(f"/admin/devices/gateway/{gateway_id}/change/")[1])
    centre.add("devices/station", gateway=gateway_id, name="dock-2", serial_port="COM3", **STATION)
    assert heard(way, "sync.weighing_stations")
    provisioned.fetch_stations()
    assert len(provisioned.stations) == 2
    centre.process.stop()
    with pytest.raises(Closed) as closed:
        heard(way, "nothing of that name")
    way.drop()
    assert closed.value.code != 1000, "this client would never come back"


def heard(way, type_):
    """Whether this message comes; others before it are passed over, as the client does."""
    while True:
        if way.receive()["type"] == type_:
            return True


def until(true, tries=100):
    """Ask again until it is so; the page that shows it is written by another process."""
    waiting = threading.Event()
    for _ in range(tries):
        if true():
            return
        waiting.wait(0.05)
    raise AssertionError("it did not come about")
