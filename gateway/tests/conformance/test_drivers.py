"""What every driver must do, for every name in the registry. A new driver adds a vector file, and no test code."""

import importlib
import json
import pkgutil
import random
from dataclasses import fields, replace
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import scaleledger.drivers
from scaleledger.domain.commands import Acknowledge, Speak
from scaleledger.domain.inputs import (
    AckAsked,
    CardSeen,
    DeviceState,
    FinishedWeighing,
    Heartbeat,
    KeysEntered,
    Printer,
    Problem,
    Registration,
)
from scaleledger.domain.reading import Reading, Role, Status
from scaleledger.drivers import NAMES, open_driver
from scaleledger.wire.facts_json import fact_to_json

VECTORS = Path(__file__).resolve().parents[1] / "vectors"
EVERY = pytest.mark.parametrize("name", NAMES)
BUFFERED_MAX = 1024
WEIGHS = {"reading", "card", "keys", "weighing"}


def rows(name):
    return [json.loads(line) for line in (VECTORS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def frames(name):
    return [bytes.fromhex(row["hex"]) for row in rows(name)]


def good_frames(name):
    """Vectors that hold nothing but whole, good frames, one that counts for a weighing among them."""
    kinds = [(bytes.fromhex(row["hex"]), {fact["type"] for fact in row["facts"]}) for row in rows(name)]
    return [frame for frame, said in kinds if said & WEIGHS and "problem" not in said]


def read(name, pieces):
    driver = open_driver(name)
    facts = [fact for piece in pieces for fact in driver.receive(0.0, piece)] + driver.finish()
    assert driver.buffered == 0
    assert driver.finish() == []
    return facts


def measured(facts):
    """What counts for a weighing: not problems, changes of state, what a link says of itself, nor the evidence in `raw`."""
    beside = Problem | DeviceState | Registration | Heartbeat | AckAsked
    return [without_copy(without_raw(fact)) for fact in facts if not isinstance(fact, beside)]


def cut(data, places):
    return [data[a:b] for a, b in pairwise([0, *sorted(p % (len(data) + 1) for p in places), len(data)])]


def without_raw(fact):
    return replace(fact, raw=b"") if any(f.name == "raw" for f in fields(fact)) else fact


def without_copy(fact):
    """A label's copy is the same weighing, and any noise may end in the letter that marks one."""
    if not isinstance(fact, FinishedWeighing):
        return fact
    return replace(fact, fields=tuple((name, text) for name, text in fact.fields if name != "prefix"))


# --- the registry ----------------------------------------------------------------------------------------------------


def test_every_driver_module_is_in_the_table_and_has_vectors():
    modules = [m.name for m in pkgutil.iter_modules(scaleledger.drivers.__path__) if not m.name.startswith("_")]
    assert sorted(NAMES.values()) == sorted(f"scaleledger.drivers.{m}" for m in modules)
    assert sorted(p.stem for p in VECTORS.glob("*.jsonl")) == sorted(NAMES)


@EVERY
def test_a_driver_knows_its_name_and_module(name):
    assert open_driver(name).name == name
    assert callable(importlib.import_module(NAMES[name]).encode)
    assert importlib.import_module(NAMES[name]).__doc__


@EVERY
def test_vectors_show_good_frames_and_bad_ones_and_where_they_come_from(name):
    kinds = {fact["type"] for row in rows(name) for fact in row["facts"]}
    assert "problem" in kinds
    assert kinds - {"problem"}
    assert all(row["source"] and row["note"] is not None for row in rows(name))


def test_a_mistyped_name_or_option_names_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'suwol-1000'"):
        open_driver("suwol1000")
    with pytest.raises(ValueError, match="did you mean 'device_id'"):
        open_driver("suwol-1000", deviceid=3)
    with pytest.raises(ValueError, match="cannot be 'three'"):
        open_driver("suwol-1000", device_id="three")
    with pytest.raises(ValueError, match="cannot be True"):
        open_driver("suwol-1000", device_id=True)
    with pytest.raises(ValueError, match="'KG' is no unit; known are"):
        open_driver("st-gs-comma", unit="KG")
    with pytest.raises(ValueError, match="xor or sum"):
        open_driver("rfid-em4100", check="crc")


# --- what bytes mean -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "row"), [pytest.param(n, r, id=f"{n}:{r['note'] or r['hex'][:24]}") for n in NAMES for r in rows(n)]
)
def test_a_vector_reads_as_written(name, row):
    facts = [fact_to_json(fact) for fact in read(name, [bytes.fromhex(row["hex"])])]
    for fact in facts:
        if fact["type"] == "problem":
            del fact["raw"]
    assert facts == row["facts"]


@EVERY
def test_every_split_in_two_gives_the_same_facts(name):
    for data in frames(name):
        whole = read(name, [data])
        for at in range(1, len(data)):
            assert read(name, [data[:at], data[at:]]) == whole


@EVERY
def test_byte_by_byte_gives_the_same_facts(name):
    everything = b"".join(frames(name))
    for data in [*frames(name), everything]:
        assert read(name, [bytes([byte]) for byte in data]) == read(name, [data])


@EVERY
@given(data=st.data())
def test_random_splits_give_the_same_facts(name, data):
    chosen = data.draw(st.lists(st.sampled_from(frames(name)) | st.binary(max_size=70), max_size=6).map(b"".join))
    places = data.draw(st.lists(st.integers(0, 2000), max_size=10))
    assert read(name, cut(chosen, places)) == read(name, [chosen])


@EVERY
def test_frames_in_a_row_read_as_they_do_alone(name):
    good = good_frames(name)
    alone = [fact for frame in good for fact in measured(read(name, [frame]))]
    assert measured(read(name, [b"".join(good)])) == alone


# --- what bad bytes do -----------------------------------------------------------------------------------------------


@EVERY
@given(data=st.data(), noise=st.binary(min_size=1, max_size=50))
def test_noise_costs_at_most_the_frame_it_is_glued_to(name, data, noise):
    first, glued, last = (data.draw(st.sampled_from(good_frames(name))) for _ in range(3))
    expected_first, expected_glued, expected_last = (measured(read(name, [f])) for f in (first, glued, last))
    assert measured(read(name, [noise, glued, last])) in (expected_glued + expected_last, lost(glued, last, name))
    between = measured(read(name, [first, noise, glued, last]))
    assert between in (
        expected_first + expected_glued + expected_last,
        expected_first + lost(glued, last, name),
    )
    assert measured(read(name, [first, noise])) == expected_first


def lost(glued, last, name):
    """What is left when the first frame of `glued` is spoilt by what stood in front of it."""
    return measured(read(name, [glued]))[one_frame(name, glued) :] + measured(read(name, [last]))


def one_frame(name, data):
    """How many facts the first frame in `data` holds."""
    driver = open_driver(name)
    for at in range(len(data)):
        found = measured(driver.receive(0.0, data[at : at + 1]))
        if found:
            return len(found)
    raise AssertionError(data)


@EVERY
@given(noise=st.binary(max_size=400))
def test_noise_never_raises_and_never_weighs(name, noise):
    driver = open_driver(name)
    facts = driver.receive(0.0, noise)
    assert driver.buffered <= BUFFERED_MAX
    assert measured(facts + driver.finish()) == []


@EVERY
@given(data=st.data())
def test_damaged_frames_never_raise(name, data):
    frame = bytearray(data.draw(st.sampled_from(frames(name))))
    for at, byte in data.draw(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 255)), min_size=1, max_size=4)):
        frame[at % len(frame)] = byte
    for fact in read(name, [bytes(frame)]):
        json.dumps(fact_to_json(fact))


@EVERY
@pytest.mark.parametrize(
    "junk",
    [b"A", b"\x02", b"\x03", b"\x00", b"\x020D", b"\x020P4000", b"ST,GS,+", b"\x02ST,GS,", b"random"],
    ids=lambda junk: junk.hex(),
)
def test_a_megabyte_of_junk_keeps_the_buffer_small_and_the_stream_alive(name, junk):
    megabyte = random.Random(7).randbytes(1_000_000) if junk == b"random" else junk * (1_000_000 // len(junk))
    driver = open_driver(name)
    facts = []
    for at in range(0, len(megabyte), 4096):
        facts += driver.receive(0.0, megabyte[at : at + 4096])
        assert driver.buffered <= BUFFERED_MAX
    assert measured(facts) == []
    assert sum(len(fact.raw) for fact in facts if isinstance(fact, Problem)) <= len(megabyte)
    frame = good_frames(name)[0]
    after = measured(driver.receive(0.0, frame + frame))
    assert after
    assert after[-1] == measured(read(name, [frame]))[-1]


@EVERY
def test_a_frame_cut_by_the_end_of_the_stream_is_a_problem_and_no_weight(name):
    frame = good_frames(name)[0]
    for length in range(1, len(frame) - 2):
        facts = read(name, [frame[:length]])
        assert [type(fact) for fact in facts] == [Problem]


# --- the other way round ---------------------------------------------------------------------------------------------

DIGITS = st.decimals(Decimal("-9999.99"), Decimal("99999.99"), allow_nan=False, places=None).flatmap(
    lambda d: st.sampled_from([0, 1, 2, 3]).map(lambda places: round(d, places))
)
READINGS = st.builds(
    Reading,
    DIGITS.map(lambda d: abs(d) if d == 0 else d),
    st.sampled_from(["kg", "g", "lb", "oz", "t"]),
    st.booleans(),
    role=st.sampled_from([None, *Role]),
) | st.builds(
    Reading,
    st.none(),
    st.sampled_from(["kg", "g", "lb"]),
    st.none(),
    st.sampled_from([Status.OVERLOAD, Status.UNDERLOAD, Status.NO_SIGNAL]),
    st.sampled_from([None, *Role]),
)
SUWOL_FACTS = (
    READINGS
    | st.builds(CardSeen, st.from_regex("[0-9A-Za-z]{8}", fullmatch=True).filter(lambda uid: uid != "00000000"))
    | st.builds(
        KeysEntered,
        st.sampled_from(["vehicle", "customer", "product", "reprint"]),
        st.from_regex("[0-9]{6}", fullmatch=True),
    )
    | st.builds(
        DeviceState,
        green=st.booleans(),
        red=st.booleans(),
        fan=st.booleans(),
        heater=st.booleans(),
        voice=st.integers(0, 99),
        printer=st.sampled_from(Printer),
        temperature_c=st.integers(-99, 999),
        inputs=st.from_regex("[ -~]{2}", fullmatch=True),
    )
)
DIGITS_5 = st.from_regex("[0-9]{5}", fullmatch=True)
TEXTS = st.text("ABCÇŞİ 0123456789", max_size=12).map(str.strip)


@st.composite
def finished_weighings(draw):
    """What a label scale prints: texts without commas, whole weights."""
    tare, net = draw(st.integers(0, 99_999)), draw(st.integers(-9_999, 999_999))
    plu = draw(st.from_regex("[0-9]{5,13}", fullmatch=True))
    named = {
        "number": draw(DIGITS_5),
        "time": "10:30:00",
        "date": "30.01.2026",
        "product": draw(TEXTS),
        "barcode": plu,
        "plu": plu,
        "code": draw(TEXTS),
        "operator": draw(TEXTS),
        "company": draw(TEXTS),
        "flags": ",".join(draw(st.lists(st.sampled_from("012N"), max_size=5))),
        "prefix": draw(st.sampled_from(["", "P", 'P"'])),
        "notes": "",
    }
    return FinishedWeighing(Decimal(net + tare), Decimal(tare), Decimal(net), None, tuple(named.items()))


SAYS = {
    "dp401-csv": finished_weighings()
    | st.builds(Registration, st.from_regex("SCALE-[0-9]{2}", fullmatch=True))
    | st.sampled_from([Heartbeat(), AckAsked()]),
    "suwol-1000": SUWOL_FACTS,
    "rfid-em4100": st.builds(CardSeen, st.from_regex("[0-9A-F]{10}", fullmatch=True)),
}
"""What a family's frames can say, where it is more than readings."""


@EVERY
@settings(suppress_health_check=[HealthCheck.filter_too_much])  # a plain scale can say little of all there is
@given(data=st.data())
def test_what_is_encoded_is_decoded(name, data):
    fact = data.draw(SAYS.get(name, READINGS))
    try:
        frame = importlib.import_module(NAMES[name]).encode(fact)
    except ValueError:
        assume(False)
    facts = read(name, [frame])
    assert not any(isinstance(found, Problem) for found in facts)
    assert without_raw(fact) in [without_raw(found) for found in facts]


@EVERY
def test_what_is_not_understood_is_ignored(name):
    driver = open_driver(name)
    stranger = next(command for command in (Acknowledge(), Speak(1)) if type(command) not in driver.understands)
    driver.ask(stranger)
    assert driver.receive(0.0, b"") == []
    assert driver.to_send() == b""
