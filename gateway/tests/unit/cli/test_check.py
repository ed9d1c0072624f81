"""`scaleledger check` opens everything once, says what it found, and writes nothing."""

import asyncio
import json
import socket
import threading

import pytest
from click.testing import CliRunner

from fakes.carnitrack_cloud import KEY, carnitrack_cloud
from fakes.weighings import open_store
from scaleledger.cli import check, main

# a socket that an earlier test let go of may be collected while one of these runs
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

LINE = b"ST,GS,+  12.50kg\r\n"
LOOKS_FOR_S = 1.0


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(check, "WAIT_S", LOOKS_FOR_S)


@pytest.fixture
def scale(monkeypatch):
    """The url of an indicator that sends a line to whoever comes; it is waited for as long as it takes."""
    monkeypatch.setattr(check, "WAIT_S", 60)

    def serve():
        visitor, _ = server.accept()
        with visitor:
            visitor.sendall(LINE)
            visitor.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        indicator = threading.Thread(target=serve)
        indicator.start()
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
        indicator.join()


@pytest.fixture
def centre():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def station(url, name="dock-1", driver="st-gs-comma"):
    return f'[[station]]\nname = "{name}"\ndriver = "{driver}"\nurl = "{url}"\n'


def call(path, *more):
    return CliRunner().invoke(main, ["check", "-c", str(path), *more])


def test_all_is_well(config, tmp_path, centre):
    (tmp_path / "cards.txt").write_text("A1B2C3D4 Kim\n00000042\n")
    more = f'[cards]\nfile = "cards.txt"\n[[uplink]]\nurl = "{centre}"'
    said = call(config(more, stations=station("tcp-listen://127.0.0.1:0")))
    assert said.exit_code == 0, said.output
    assert "2 known cards" in said.output
    assert "data will be made" in said.output
    assert f"{centre} answers" in said.output
    assert "FAIL" not in said.output
    assert not (tmp_path / "data").exists()


def test_a_port_that_speaks(config, scale):
    said = call(config(stations=station(scale)))
    assert said.exit_code == 0, said.output
    assert "open, bytes come: b'ST,GS" in said.output
    assert "every card is taken" in said.output


def test_what_is_missing_is_named_and_the_rest_is_looked_at(config):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        nobody = f"http://127.0.0.1:{gone.getsockname()[1]}"
    stations = station("serial:///dev/no-such-port?baud=9600") + station("tcp-listen://127.0.0.1:0", "dock-2")
    said = call(config(f'[[uplink]]\nurl = "{nobody}"', stations=stations), "--json")
    assert said.exit_code == 3
    found = {f["what"]: f for f in json.loads(said.stdout)}
    assert not found["station dock-1: st-gs-comma"]["good"]
    assert "/dev/no-such-port" in found["station dock-1: st-gs-comma"]["words"]
    assert found["station dock-2: st-gs-comma"]["good"]
    assert "weighing goes on without it" in found["uplink"]["words"]


def test_a_data_folder_that_cannot_be_made(config, tmp_path):
    (tmp_path / "occupied").write_text("a file")
    said = call(config(data_dir="occupied/data", stations=station("tcp-listen://127.0.0.1:0")))
    assert said.exit_code == 3
    assert f"FAIL  data_dir: {tmp_path / 'occupied'} cannot be written" in said.output


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["words", "json"])
def test_a_bad_configuration_ends_with_2_and_names_every_fault(config, form):
    path = config("[lgo]", stations=station("serial:///dev/null", driver="st-gs-coma"))
    said = call(path, *form)
    assert said.exit_code == 2
    faults = json.loads(said.stdout)["faults"] if form else said.stderr.splitlines()
    assert any("lgo" in fault and "'log'" in fault for fault in faults)


def test_a_reader_and_its_port_are_looked_at_too(config):
    reader = 'reader = { driver = "rfid-em4100", url = "serial:///dev/no-such-reader" }\n'
    said = call(config(stations=station("tcp-listen://127.0.0.1:0") + reader))
    assert said.exit_code == 3
    assert "ok    station dock-1: st-gs-comma" in said.output
    assert "FAIL  station dock-1: reader rfid-em4100" in said.output


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ('stations = "none"', "none: every station stands in this file"),
        ('stations = "any"', "at any address"),
        ('ports = ["{folder}/tty*"]', "on serial ports of this machine, now "),
    ],
)
def test_it_says_what_the_centre_may_assign(config, tmp_path, centre, more, words):
    (tmp_path / "ttyTEST").touch()
    uplink = f'[[uplink]]\nurl = "{centre}"\n' + more.format(folder=tmp_path)
    said = call(config(uplink, stations=station("tcp-listen://127.0.0.1:0")), "--json")
    [found] = [f for f in json.loads(said.output) if f["what"] == "stations the centre may assign"]
    assert found["good"]
    assert words.format(folder=tmp_path) in found["words"]


LISTENER = '[[listener]]\nname = "hall"\nunit = "g"\nurl = "tcp-listen://127.0.0.1:0"\n'


async def check_cloud(config, url, key, rest_url=""):
    """What is said of a CarniTrack cloud."""
    uplink = f'[[uplink]]\ntype = "carnitrack"\nurl = "{url}"\napi_url = "{rest_url}"\napi_key = "{key}"\n'
    said = await asyncio.to_thread(call, config(uplink, stations=LISTENER))
    assert key not in said.output
    return said


@pytest.mark.parametrize("way", ["rest", "ws"])
async def test_a_cloud_is_asked_whether_it_knows_us_and_nothing_is_registered(config, monkeypatch, way):
    monkeypatch.setattr(check, "UPLINK_WAIT_S", 60)
    async with carnitrack_cloud() as cloud:
        said = await check_cloud(config, cloud.url(way), KEY, cloud.rest_url)
        assert said.exit_code == 0, said.output
        assert "answers; the first run registers" in said.output
        assert cloud.books.registrations == []


async def test_a_cloud_that_does_not_know_us_any_more_is_named(config, tmp_path, monkeypatch):
    monkeypatch.setattr(check, "UPLINK_WAIT_S", 60)
    store = await open_store(tmp_path / "data")
    await store.edge_identity.keep("carnitrack.edge_id", "7f1c6f0a-2f4b-4b43-9a65-0d6a5a1c9b11")
    await store.close()
    async with carnitrack_cloud() as cloud:
        said = await check_cloud(config, cloud.rest_url, KEY)
        assert said.exit_code == 3
        assert "invalid_edge" in said.output
        cloud.books.edges.add("7f1c6f0a-2f4b-4b43-9a65-0d6a5a1c9b11")
        said = await check_cloud(config, cloud.rest_url, KEY)
        assert "knows this gateway as 7f1c6f0a" in said.output


async def test_a_cloud_that_is_not_there_is_named_and_weighing_goes_on(config):
    async with carnitrack_cloud() as cloud:
        url = cloud.rest_url
    said = await check_cloud(config, url, KEY)
    assert said.exit_code == 3
    assert "weighing goes on without it" in said.output
