"""Stations that the centre assigns: told at once, fetched by version, complete for clients of both dialects."""

import pytest
from django.utils import timezone

from gateway_ledgers import LedgerOf
from scaleledger_server import notices
from scaleledger_server.devices import services
from scaleledger_server.devices.models import Gateway, ScannedPort, Station
from scaleledger_server.devices.services import stations
from scaleledger_server.errors import Invalid
from server_api import as_contract, example, join

STATIONS = "/devices/api/gateways/self/stations/"
HEARTBEAT = "/devices/api/gateways/heartbeat/"


@pytest.fixture
def told(monkeypatch):
    """(group, type) of what was told after a commit."""
    heard = []
    monkeypatch.setattr(notices, "_send", lambda group, message: heard.append((group, message["message"]["type"])))
    return heard


def assign(gateway, name="dock-1", **fields):
    station = Station(gateway=gateway, name=name, **fields)
    services.save_station(station)
    return station


def fetch(api, etag=""):
    headers = api.headers() | ({"If-None-Match": etag} if etag else {})
    return api.client.get(STATIONS, headers=headers)


def test_it_works(joined):
    gateway, api = joined
    assert api.get(STATIONS) == (200, example("stations.none"))
    [wanted] = example("stations.one")
    config = wanted["config"]
    assign(
        gateway,
        **{name: value for name, value in wanted.items() if name not in {"id", "gateway", "name", "config"}},
        **config,
    )
    [station] = as_contract(api.get(STATIONS)[1], "stations")
    assert {**station, "id": 7, "gateway": 3} == wanted


def test_a_station_for_plain_clients_has_texts_and_no_configuration(joined):
    gateway, api = joined
    assign(gateway, serial_port="/dev/ttyUSB0")
    assign(gateway, "dock-2", driver="suwol-1000")
    for station in as_contract(api.get(STATIONS)[1], "stations"):
        assert station["config"] is None
        texts = ("description", "serial_description", "serial_location", "serial_number", "serial_manufacturer")
        assert [station[name] for name in texts] == [""] * 5


def test_the_serial_port_is_the_url_where_none_is_given(joined):
    gateway, api = joined
    assign(gateway, driver="fg-150kal", serial_port="/dev/ttyUSB0", reader_driver="rfid-em4100", reader_url="tcp://r:1")
    [station] = as_contract(api.get(STATIONS)[1], "stations")
    reader = {"driver": "rfid-em4100", "url": "tcp://r:1"}
    assert station["config"] == {
        "driver": "fg-150kal",
        "url": "serial:///dev/ttyUSB0",
        "mode": "auto",
        "reader": reader,
    }


def test_a_station_that_is_switched_off_is_not_assigned(joined):
    gateway, api = joined
    station = assign(gateway)
    station.enabled = False
    services.save_station(station)
    assert api.get(STATIONS)[1] == []


def test_each_change_raises_the_version_and_is_told(joined, told, django_capture_on_commit_callbacks):
    gateway, api = joined
    with django_capture_on_commit_callbacks(execute=True):
        station = assign(gateway)
        station.description = "north"
        services.save_station(station)
        services.delete_station(station)
    assert told == [(notices.gateway_group(gateway.pk), "sync.weighing_stations")] * 3
    body = as_contract(api.post(HEARTBEAT)[1], "heartbeat_answer")
    assert body["versions"]["stations"].startswith("4-")
    assert fetch(api)["ETag"] == f'"{body["versions"]["stations"]}"'


def test_what_is_held_is_not_sent_again(joined, django_assert_num_queries):
    gateway, api = joined
    assign(gateway)
    held = fetch(api)["ETag"]
    for etag in (held, f"W/{held}", f'"1", {held}', "*"):
        with django_assert_num_queries(1):
            answer = fetch(api, etag)
        assert (answer.status_code, answer.content, answer["ETag"]) == (304, b"", held)
    assert fetch(api, '"1"').status_code == 200
    for number in range(20):
        assign(gateway, f"more-{number}")
    with django_assert_num_queries(2):
        assert len(fetch(api).json()) == 21


def test_a_version_from_before_a_restored_backup_is_not_taken_for_what_came_after(joined):
    gateway, api = joined
    assign(gateway)
    held = fetch(api)["ETag"]
    Station.objects.all().delete()
    Gateway.objects.update(stations_version=1, stations_mark="")  # the backup
    assign(gateway, "another")
    assert fetch(api, held).status_code == 200


def test_a_station_is_of_its_gateway_only(joined):
    gateway, _ = joined
    _, other = join(LedgerOf("02:00:00:00:00:02", signed=True))
    assign(gateway)
    assert other.get(STATIONS) == (200, [])


def test_a_gateway_has_only_so_many(joined, monkeypatch):
    gateway, _ = joined
    monkeypatch.setattr(stations, "STATIONS_MAX", 1)
    station = assign(gateway)
    services.save_station(station)
    with pytest.raises(Invalid):
        assign(gateway, "dock-2")


def test_a_scan_is_kept_as_a_whole(joined):
    gateway, _ = joined
    now = timezone.now()
    assert services.keep_scan(gateway, example("channel_from_gateway.scanned")["payload"], now) == 1
    port = ScannedPort.objects.get()
    assert (port.device, port.vid, port.interface, port.seen_at) == ("/dev/ttyUSB0", "1027", "", now)
    assert services.keep_scan(gateway, [{"device": "COM3"}, {"device": "COM4"}], now) == 2
    assert list(ScannedPort.objects.values_list("device", flat=True)) == ["COM3", "COM4"]


@pytest.mark.parametrize(
    ("ports", "kept"),
    [
        ([{}, 5, None, [], {"device": ""}, {"device": None}, {"device": True}, {"device": {}}, {"device": "a"}], ["a"]),
        ([{"device": "a", "vid": 10**30, "description": "x\0\n\ud800" + "y" * 5000}], ["a"]),
        ([{"device": "a"}, {"device": "a"}], ["a"]),
        ([{"device": f"p{n:03}"} for n in range(1000)], [f"p{n:03}" for n in range(256)]),
        ("no list", []),
        (None, []),
        ({"device": "a"}, []),
    ],
)
def test_of_a_bad_scan_only_what_can_be_believed_is_kept(joined, ports, kept):
    gateway, _ = joined
    services.keep_scan(gateway, ports, timezone.now())
    assert list(ScannedPort.objects.values_list("device", flat=True)) == kept
    assert all(len(port.description) <= 200 and "\0" not in port.description for port in ScannedPort.objects.all())
