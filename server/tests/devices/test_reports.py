"""The gateway's page tells its last report in words, whatever the gateway put into it."""

from scaleledger_server.devices.models import Gateway
from scaleledger_server.devices.reports import host_of, ports_in_use
from server_api import example


def test_a_full_report_is_told():
    gateway = Gateway(reported=example("heartbeat.stations"))
    told = host_of(gateway)
    for words in (
        "Linux aarch64 3.14.0",
        "1 h 10 min",
        "12.0 of 32.0 GB free",
        "0.018 s ahead of ours",
        "receipt up to: 2",
    ):
        assert words in told
    ports = ports_in_use(gateway)
    assert "serial:///dev/ttyUSB0" in ports
    assert "dock-9 cannot be run: driver: no such driver: &#x27;x&#x27;" in ports


def test_before_the_first_report_there_is_nothing_to_tell():
    assert (host_of(Gateway()), ports_in_use(Gateway())) == ("-", "-")


def test_hostile_names_stay_text():
    bad = "<script>alert(1)</script>"
    station = {"name": bad, "driver": bad, "port": bad, "link": bad, "state": bad, "detail": bad}
    gateway = Gateway(
        reported={"version": bad, "stations": [station], "stations_refused": [{"name": bad, "reason": bad}]}
    )
    assert "<script>" not in host_of(gateway) + ports_in_use(gateway)
