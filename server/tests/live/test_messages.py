"""What arrives on a socket is taken exactly when the contract's schema takes it."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import ValidationError

from gateway_ledgers import START
from scaleledger_server.errors import Invalid
from scaleledger_server.live.messages import Scan, Update, read_from_gateway, read_from_page, read_identity
from server_api import as_contract, example

texts = st.text(max_size=12)
weights = st.one_of(
    st.none(), st.sampled_from(["1", "-0.50", "+1", "1.", "1e5", "NaN", "١", "0" * 15]), st.integers(), texts
)
stations = st.fixed_dictionaries(
    {
        "station": st.one_of(texts, st.integers()),
        "weight": weights,
        "unit": st.sampled_from(["", "kg", "kilogrammes"]),
        "stable": st.sampled_from([True, False, None, 1, "yes"]),
        "state": st.one_of(texts, st.none()),
        "link": st.sampled_from(["up", "down", "opening", "lost"]),
        "card": texts,
    },
    optional={"more": st.just(1)},
)
payloads = st.fixed_dictionaries(
    {"at": st.just("2026-11-21T02:10:01+00:00"), "stations": st.lists(stations, max_size=3)}
)
ports = st.lists(
    st.dictionaries(
        st.sampled_from(["device", "vid", "hwid", "more"]), st.sampled_from(["/dev/ttyUSB0", 7, None, True, [1]])
    ),
    max_size=3,
)
messages = st.one_of(
    st.fixed_dictionaries({"type": st.just("weight_update"), "payload": payloads}),
    st.fixed_dictionaries(
        {"type": st.just("weight_update"), "value": st.one_of(st.integers(-(10**6), 10**6), st.booleans(), texts)}
    ),
    st.fixed_dictionaries({"type": st.just("peripherals.scanned"), "payload": ports}),
)


@given(messages)
def test_a_gateways_message_is_taken_exactly_when_the_contract_allows_it(message):
    try:
        as_contract(message, "channel_from_gateway")
        allowed = True
    except ValidationError:
        allowed = False
    stored = json.dumps(message)
    if "\\u0000" in stored or "\\ud" in stored:
        return  # characters that no database takes are refused beyond the contract
    try:
        taken = read_from_gateway(stored, START) is not None
    except Invalid:
        taken = False
    assert taken == allowed


def test_the_examples_are_read():
    live = read_from_gateway(json.dumps(example("channel_from_gateway.live")), START)
    assert isinstance(live, Update)
    assert [one["weight"] for one in live.stations] == ["152.50", None]
    assert isinstance(read_from_gateway(json.dumps(example("channel_from_gateway.scanned")), START), Scan)
    assert read_identity(json.dumps(example("provisioning_from_client.identity"))).hostname == "dock-pc"


@pytest.mark.parametrize(
    ("value", "weight"),
    [
        ("10.5", "10.5"),
        ("10", "10"),
        ("-0.0", "-0.0"),
        ("0", "0"),
        ("1e3", "1000"),
        ("0.1234567", "0.123457"),
        ("1e-7", "0.000000"),
    ],
)
def test_a_single_value_keeps_its_digits(value, weight):
    update = read_from_gateway(f'{{"type":"weight_update","value":{value}}}', START)
    assert update.stations[0]["weight"] == weight


@pytest.mark.parametrize("value", ["1e400", "1e14", "NaN", "Infinity", "1e-400", "true", '"1"', "1" * 30])
def test_a_single_value_that_is_no_weight_is_refused(value):
    with pytest.raises(Invalid):
        read_from_gateway(f'{{"type":"weight_update","value":{value}}}', START)


@given(st.one_of(st.text(max_size=50), st.recursive(st.none() | st.integers() | texts, st.lists).map(json.dumps)))
def test_whatever_is_said_the_answer_is_a_message_or_a_refusal(text):
    for read in (read_from_page, read_identity, lambda said: read_from_gateway(said, START)):
        with contextlib.suppress(Invalid):
            assert read(text) is None or json.loads(text)["type"]
