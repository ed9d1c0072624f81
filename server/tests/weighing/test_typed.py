"""The quick reading of a batch decides nothing otherwise than the careful one."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_ledgers import MAC, LedgerOf, canonical
from scaleledger_server.bodies import parse
from scaleledger_server.errors import Invalid
from scaleledger_server.weighing import typed
from scaleledger_server.weighing.items import read_item
from server_api import example

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def body_of(record):
    return json.dumps({"records": [record], "head": LedgerOf(signed=True).batch(1)["head"]}).encode()


def quickly(body):
    quick = typed.read_batch(body, MAC, NOW)
    return quick.items[0] if quick is not None else None


def carefully(body):
    try:
        return read_item(parse(body.decode())["records"][0], MAC, NOW)
    except (Invalid, ValueError):
        return None


def test_the_examples_are_read_quickly_and_alike():
    batch = example("weighing_batch.two")
    quick = typed.read_batch(json.dumps(batch).encode(), MAC, NOW)
    assert list(quick.items) == [read_item(parse(json.dumps(r)), MAC, NOW) for r in batch["records"]]
    assert quick.head.seq == 2


@pytest.mark.parametrize("text", ["부두", 'a"b', "a\\b", "é", "\x1f", "a/b", "😀", "</script>"])
def test_texts_of_all_kinds_are_read_alike(text):
    for body in (body_of(LedgerOf().record(station=text)), body_of(LedgerOf().record(card=text))):
        assert carefully(body) is not None
        assert quickly(body) in {None, carefully(body)}


@pytest.mark.parametrize("text", ["부두", "é", "dock-1"])
def test_usual_texts_are_read_quickly(text):
    assert quickly(body_of(LedgerOf().record(station=text))) is not None


DOUBLED = [
    ('"weight": 152.5', '"weight": 1, "weight": 152.5'),
    ('"weight": 152.5', '"weight" : 1, "weight":152.5'),
    ('"weight": 152.5', '"w\\u0065ight": 1, "weight": 152.5'),
    ('"rfid_uid": "', '"rfid_uid": "x", "rfid_uid": "'),
    ('"seq": 1, "payload"', '"seq": 9, "seq": 1, "payload"'),
    ('\\"seq\\":1,', '\\"seq\\":9,\\"seq\\":1,'),
    ('"records": [', '"records": [], "records": ['),
]


@pytest.mark.parametrize(("once", "twice"), DOUBLED)
def test_a_key_given_twice_is_never_read_quickly(once, twice):
    text = body_of(LedgerOf().record()).decode()
    assert once in text
    assert quickly(text.encode()) is not None
    doubled = text.replace(once, twice, 1).encode()
    assert quickly(doubled) is None
    assert carefully(doubled) is None


def test_a_key_cannot_hide_behind_a_backslash():
    record = LedgerOf().record(card="\\", station="\\")
    text = body_of(record).decode().replace('"weight": 152.5', '"weight": 1, "weight": 152.5').encode()
    assert quickly(text) is None


numbers = st.sampled_from(["152.50", "152.5", "1.525e2", "-0", "-0.0", "0.1234567", "1e400", '"152.5"', "NaN", "00.5"])
values = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=5)


@settings(max_examples=300, deadline=None)
@given(number=numbers, printed=st.sampled_from(["152.50", "152.5", "-0", "-0.0", "1e2", "0"]))
def test_every_number_is_read_alike(number, printed):
    body = body_of(LedgerOf().record(weight="152.5")).decode().replace("152.5,", f"{number},", 1)
    body = body.replace('\\"weight\\":\\"152.5\\"', f'\\"weight\\":\\"{printed}\\"').encode()
    assert quickly(body) in {None, carefully(body)}


@settings(max_examples=300, deadline=None)
@given(name=st.sampled_from(sorted(example("payload.record-1"))), value=values, outer=st.booleans())
def test_every_field_is_read_alike(name, value, outer):
    record = example("weighing_record.ledger")
    if outer and name in {"uuid", "weight", "measured_at", "seq"}:
        (record["ledger"] if name == "seq" else record)[name] = value
    record["ledger"]["payload"] = canonical({**example("payload.record-1"), name: value})
    body = body_of(record)
    assert quickly(body) in {None, carefully(body)}


def test_a_payload_that_is_not_canonical_is_read_carefully():
    record = example("weighing_record.ledger")
    record["ledger"]["payload"] = json.dumps(json.loads(record["ledger"]["payload"]), indent=1)
    assert quickly(body_of(record)) is None
    assert carefully(body_of(record)) is not None
