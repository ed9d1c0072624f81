"""What the shared driver tests cannot say of a DP-401: its options, its answers, its long streams, the chunks of its samples."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaleledger.domain.commands import Acknowledge
from scaleledger.domain.inputs import AckAsked, FinishedWeighing, Heartbeat, Problem, Registration
from scaleledger.domain.reading import Reading
from scaleledger.drivers import open_driver
from scaleledger.drivers.dp401 import ANSWERS_MAX, encode
from scaleledger.wire.dp401_line import HEAD_MAX
from scaleledger.wire.dp401_stream import KEPT_MAX, LINE_MAX
from scaleledger.wire.facts_json import fact_to_json

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "dp401-csv.jsonl"
ROWS = [json.loads(line) for line in VECTORS.read_text(encoding="utf-8").splitlines()]
LINE = (
    b"00001,10:30:00,30.01.2026,KIYMA           ,000000000004,0000,KAAN,"
    b"0000072091,0000062415,0000009676,2,0,2,1,N,KORKUT"
)


def read(*chunks, **options):
    driver = open_driver("dp401-csv", **options)
    return [fact for chunk in chunks for fact in driver.receive(0.0, chunk)]


def the_one(*chunks, **options):
    (fact,) = read(*chunks, **options)
    return fact


def field(fact, name):
    return dict(fact.fields)[name]


@pytest.mark.parametrize("row", ROWS, ids=[row["note"] for row in ROWS])
def test_the_chunks_of_a_sample_read_as_written(row):
    stream, at, chunks = bytes.fromhex(row["hex"]), 0, []
    for size in row["chunks"]:
        chunks.append(stream[at : at + size])
        at += size
    assert at == len(stream)
    driver = open_driver("dp401-csv")
    facts = [fact for chunk in chunks for fact in driver.receive(0.0, chunk)] + driver.finish()
    told = [fact_to_json(fact) for fact in facts]
    assert [{k: v for k, v in fact.items() if k != "raw"} for fact in told] == row["facts"]


def test_tokens_are_told_as_soon_as_they_are_whole_because_nothing_may_follow_them():
    assert read(b"SCALE-0") == []
    assert read(b"SCALE-01") == [Registration("SCALE-01")]
    assert read(b"SCALE-01HB") == [Registration("SCALE-01"), Heartbeat()]
    assert read(b"KONTROLLU AKTAR OK?") == [AckAsked()]
    assert read(b"noiseHB") == [Problem("no-frame", b"noise"), Heartbeat()]


def test_a_weighing_is_told_at_its_line_s_end_and_not_before():
    assert read(LINE) == []
    assert the_one(LINE + b"\r").raw == LINE
    assert the_one(LINE, b"\r", b"\n").raw == LINE


# --- units, decimals, code pages -------------------------------------------------------------------------------------


def test_the_unit_is_the_one_that_was_set_and_no_other():
    assert the_one(LINE + b"\n").unit is None
    assert the_one(LINE + b"\n", unit="g").unit == "g"
    assert the_one(LINE.replace(b"0000009676", b"0000000999") + b"\n", unit="g").net == 999


def test_decimals_set_the_point():
    event = the_one(LINE + b"\n", unit="kg", decimals=3)
    assert (event.gross, event.tare, event.net, event.unit) == (
        Decimal("72.091"),
        Decimal("62.415"),
        Decimal("9.676"),
        "kg",
    )
    assert field(event, "notes") == ""


def test_digits_behind_the_point_are_kept_as_printed():
    assert str(the_one(LINE + b"\n", decimals=4).net) == "0.9676"
    assert str(the_one(LINE.replace(b"0000009676", b"0000009600") + b"\n", decimals=3).net) == "9.600"


@pytest.mark.parametrize("printed", [b"", b"ABC", b"12.5", b"00000012.5", b"1E5", b"+", b"0000072O91", b"0" * 17])
@pytest.mark.parametrize("column", [b"0000072091", b"0000062415", b"0000009676"])
def test_what_is_no_whole_number_is_a_problem_that_keeps_the_line(printed, column):
    line = LINE.replace(column, printed)
    assert read(line + b"\n" + LINE + b"\n")[:1] == [Problem("bad-weight", line)]
    assert isinstance(read(line + b"\n" + LINE + b"\n")[1], FinishedWeighing)


def test_a_weight_that_lost_digits_is_not_believed():
    for size in range(1, 10):
        cut = LINE.replace(b"0000009676", b"0000009676"[:size])
        assert the_one(cut + b"\n") == Problem("bad-weight", cut)


@pytest.mark.parametrize(
    "wrong",
    [{"unit": "lb"}, {"decimals": 5}, {"decimals": -1}, {"codepage": "klingon"}, {"codepage": "utf-16"}],
    ids=str,
)
def test_an_option_that_does_not_fit_is_refused_in_words(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        open_driver("dp401-csv", **wrong)


def test_texts_are_read_in_the_scale_s_code_page_over_the_whole_line():
    turkish = LINE.replace(b"KIYMA  ", "KUŞBAŞI".encode("cp1254"))
    assert field(the_one(turkish + b"\n"), "product") == "KUŞBAŞI"
    utf_8 = LINE.replace(b"KIYMA  ", "KUŞBAŞI".encode())
    for at in range(1, len(utf_8)):
        assert field(the_one(utf_8[:at], utf_8[at:] + b"\n", codepage="utf-8"), "product") == "KUŞBAŞI"


def test_what_cannot_be_decoded_is_marked_in_the_text_and_kept_in_the_bytes():
    strange = LINE.replace(b"KIYMA", b"K\x81\x00\x9eA")
    event = the_one(strange + b"\n")
    assert field(event, "product") == "K\ufffd\ufffd\ufffdA"
    assert event.raw == strange


# --- what a text may not do ------------------------------------------------------------------------------------------

TOKENS = [b"SCALE-99", b"HB", b"KONTROLLU AKTAR OK?", b"A SCALE-99 LTD", b"A HB", b"HB A", b"A KONTROLLU AKTAR OK? B"]


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize("place", [3, 5, 6, 15])
def test_no_text_registers_asks_or_swallows(token, place):
    parts = LINE.split(b",")
    parts[place] = token if place != 15 else b"X " + token
    assert [type(fact) for fact in read(b",".join(parts) + b"\r\n" + LINE + b"\r\n")] == [FinishedWeighing] * 2


# --- answers ---------------------------------------------------------------------------------------------------------


def test_nothing_is_answered_unless_asked_for_and_then_once_for_each_time():
    driver = open_driver("dp401-csv")
    driver.receive(0.0, b"SCALE-01" + LINE + b"\r\nKONTROLLU AKTAR OK?HB")
    assert driver.to_send() == b""
    driver.ask(Acknowledge())
    driver.ask(Acknowledge())
    assert driver.to_send() == b"OK\nOK\n"
    assert driver.to_send() == b""
    assert driver.get_timer() is None
    assert driver.handle_timer(5.0) == []


def test_answers_nobody_takes_are_bounded():
    driver = open_driver("dp401-csv")
    for _ in range(ANSWERS_MAX + 10):
        driver.ask(Acknowledge())
    assert driver.to_send() == b"OK\n" * ANSWERS_MAX


# --- long streams ----------------------------------------------------------------------------------------------------


def numbered(n):
    return LINE.replace(b"0000009676", b"%010d" % n)


def test_six_hundred_lines_in_one_chunk_are_six_hundred_weighings():
    facts = read(b"".join(numbered(n) + b"\r\n" for n in range(600)))
    assert [fact.net for fact in facts] == list(range(600))


def test_two_hundred_kib_without_an_end_cost_nothing_behind_them():
    facts = read(b"A" * 200 * 1024, b"HB", b"\n", b"HB", LINE + b"\r\n")
    assert facts[0] == Problem("too-long", b"A" * LINE_MAX)
    assert facts[1:3] == [Heartbeat(), Heartbeat()]
    assert [type(fact) for fact in facts[3:]] == [FinishedWeighing]


@given(st.integers(0, 3 * LINE_MAX), st.sampled_from([b"A", b"0", b",", b"H", b"SCALE-", b"P"]), st.integers(1, 700))
def test_whatever_stands_between_a_cut_line_and_the_next_the_next_is_read(size, junk, chunk):
    stream = LINE[:60] + (junk * size)[:size] + LINE + b"\r\n"
    driver = open_driver("dp401-csv")
    facts = []
    for at in range(0, len(stream), chunk):
        facts += driver.receive(0.0, stream[at : at + chunk])
        assert driver.buffered <= LINE_MAX + KEPT_MAX + HEAD_MAX
    assert [fact.raw for fact in facts if isinstance(fact, FinishedWeighing)] in (
        [LINE],
        [b"P" + LINE],
    )
    assert sum(isinstance(fact, FinishedWeighing | Heartbeat) for fact in facts) == 1


@pytest.mark.parametrize("gap", [1, 100])
def test_a_heartbeat_at_any_place_behind_a_line_too_long_is_told_at_once(gap):
    for place in range(LINE_MAX, LINE_MAX + 2 * KEPT_MAX):
        stream = LINE[:60] + b"A" * (place - 60) + b"HB" + b"A" * gap + LINE + b"\r\n"
        facts = read(stream)
        assert [type(fact) for fact in facts if not isinstance(fact, Problem)] == [Heartbeat, FinishedWeighing]
        if place % 7 == 0:
            assert read(*(stream[at : at + 1] for at in range(len(stream)))) == facts


# --- the other way round ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "unsayable",
    [
        Registration("SCALE-7"),
        Registration("scale-07"),
        Registration("SCALE-١٢"),
        Problem("bad-plu"),
        Reading(Decimal(1), "g", True),
        FinishedWeighing(None, Decimal(0), Decimal(1), "g"),
        FinishedWeighing(Decimal("1.5"), Decimal(0), Decimal("1.5"), "g"),
    ],
    ids=str,
)
def test_what_a_scale_cannot_say_is_not_encoded(unsayable):
    with pytest.raises(ValueError):
        encode(unsayable)


@pytest.mark.parametrize("text", ["A,B", "A\nB"])
def test_a_text_that_would_break_the_line_is_not_encoded(text):
    event = the_one(LINE + b"\n")
    fields = tuple((name, text if name == "product" else value) for name, value in event.fields)
    with pytest.raises(ValueError, match="comma"):
        encode(FinishedWeighing(event.gross, event.tare, event.net, None, fields))
