import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.contract import check, example, names_of, text_of
from fakes.outbox import START
from scaleledger.domain.channel import (
    LiveWeight,
    LiveWeights,
    PortsScanned,
    ScanPorts,
    StartStream,
    StopStream,
    SyncMarket,
    SyncStations,
)
from scaleledger.uplinks.central.channel import merged
from scaleledger.uplinks.central.messages import MESSAGE_MAX_BYTES, read_message, write_message

EXAMPLES = {
    "channel_to_gateway.market": SyncMarket(),
    "channel_to_gateway.scan": ScanPorts(),
    "channel_to_gateway.start-one": StartStream(("dock-1",)),
    "channel_to_gateway.stations": SyncStations(),
    "channel_to_gateway.stop-all": StopStream(),
}


def test_every_example_of_what_the_centre_says_is_understood():
    assert names_of("channel_to_gateway") == sorted(EXAMPLES)
    for name, asked in EXAMPLES.items():
        assert read_message(text_of(name)) == asked


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ('{"type":"START_STREAM"}', StartStream()),
        ('{"type":"START_STREAM","payload":null}', StartStream()),
        ('{"type":"STOP_STREAM","payload":{"stations":[]}}', StopStream(())),
        ('{"type":"command.scan.peripherals"}', ScanPorts()),
        ('{"type":"weighing_station.sync","more":1}', SyncStations()),
    ],
)
def test_other_forms_are_understood(text, asked):
    assert read_message(text) == asked


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "7",
        "[" * 100_000,
        "{}",
        '{"type":7}',
        '{"type":["START_STREAM"]}',
        '{"type":"reboot"}',
        '{"type":"START_STREAM","payload":[]}',
        '{"type":"START_STREAM","payload":{"stations":"dock-1"}}',
        '{"type":"START_STREAM","payload":{"stations":[7]}}',
        '{"type":"START_STREAM","payload":{"stations":[""]}}',
        json.dumps({"type": "STOP_STREAM", "payload": {"stations": ["x" * 101]}}),
        json.dumps({"type": "STOP_STREAM", "payload": {"stations": ["x"] * 257}}),
        '{"type":"sync.market","x":"' + "y" * MESSAGE_MAX_BYTES + '"}',
        b'{"type":"sync.market"}',
    ],
    ids=range(17),
)
def test_what_is_not_the_contracts_is_ignored(text):
    assert read_message(text) is None


@given(st.text() | st.recursive(st.none() | st.text(), lambda i: st.dictionaries(st.text(), i)).map(json.dumps))
def test_no_text_breaks_the_reader(text):
    read_message(text)


def live(name="dock-1", weight="152.50", **changed):
    fields = {"unit": "kg", "stable": True, "state": "idle", "link": "up"} | changed
    return LiveWeight(name, None if weight is None else Decimal(weight), **fields)


def written(message):
    stated = json.loads(write_message(message))
    check(stated, "channel_from_gateway")
    return stated


def test_the_example_of_live_weights_is_what_we_say():
    stated = example("channel_from_gateway.live")
    down = live("dock-2", None, unit="", stable=None, state="fault", link="down")
    at = START.replace(second=1, microsecond=250_000)
    assert written(LiveWeights(at, (live(), down))) == stated


def test_the_example_of_scanned_ports_is_what_we_say():
    stated = example("channel_from_gateway.scanned")
    assert written(PortsScanned(tuple(stated["payload"]))) == stated
    assert written(PortsScanned(()))["payload"] == []


@given(
    st.decimals(min_value=-(10**9), max_value=10**9, places=3) | st.none(), st.text(min_size=1), st.text(), st.text()
)
def test_whatever_a_station_shows_is_said_in_the_contracts_form(weight, name, unit, state):
    shown = LiveWeight(name, weight, unit, None, state, "opening", state)
    (stated,) = written(LiveWeights(START, (shown,)))["payload"]["stations"]
    assert stated["weight"] is None if weight is None else Decimal(stated["weight"]) == weight


def test_of_each_station_the_newest_is_kept():
    first = LiveWeights(START, (live("a", "1"), live("b", "2")))
    second = LiveWeights(START.replace(second=1), (live("b", "3"), live("c", "4")))
    both = merged(first, second)
    assert both.at == second.at
    assert {s.station: s.weight for s in both.stations} == {"a": 1, "b": 3, "c": 4}
    assert merged(None, first) == first
