from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaleledger.domain.inputs import Problem
from scaleledger.wire import suwol_frames as frames

D = [
    ("0", "", 0, 0, 0, "2b 20 20 20 20 20 20 30 20 20 20 20 20 20 30 30 30 30 30 30 30 30 30 30 30 30 30 30"),
    ("412", "6575", 0, 0, 0, "2b 20 20 20 20 34 31 32 20 20 36 35 37 35 30 30 30 30 30 30 30 30 30 30 30 30 30 30"),
    ("123.4", "A1B2C3D4", 0, 0, 3, "2b 20 20 31 32 33 2e 34 42 32 43 33 44 34 30 30 30 30 30 30 30 30 30 33 30 30 30 30"),
    ("1850.5", "12345678", 0, 1, 1, "2b 20 31 38 35 30 2e 35 33 34 35 36 37 38 30 30 30 30 30 30 30 31 30 31 30 30 30 30"),
    ("-12.3", "12345678", 0, 2, 8, "2d 20 20 20 31 32 2e 33 33 34 35 36 37 38 30 30 30 30 30 30 30 32 30 38 30 30 30 30"),
    ("99999.9", "12345678", 3, 1, 11, "2b 39 39 39 39 39 2e 39 33 34 35 36 37 38 30 30 30 30 30 30 30 31 31 31 30 30 30 30"),
    ("0.0", "", 9, 3, 12, "2b 20 20 20 20 30 2e 30 20 20 20 20 20 20 30 30 30 30 30 30 30 33 31 32 30 30 30 30"),
]  # fmt: skip


@pytest.mark.parametrize(("weight", "line", "device_id", "relays", "voice", "body"), D)
def test_worked_display_requests(weight, line, device_id, relays, voice, body):
    columns = frames.display_weight(weight), frames.display_line(line)
    frame = frames.encode_display(device_id, *columns, relays, voice)
    assert frame == b"\x02%dD" % device_id + bytes.fromhex(body) + b"\x03"
    assert len(frame) == 32
    shown = frames.decode_request(frame)
    signed = weight if weight.startswith("-") else f"+{weight}"
    assert shown == frames.DisplayRequest(device_id, signed, line[-6:], relays, voice)


def test_worked_documents():
    first = frames.encode_print(0, b"HELLO\n", 1)
    assert first == bytes.fromhex("02 30 50 30 30 30 36 31 48 45 4c 4c 4f 0a 03")
    second = frames.encode_print(2, b"\x1b@" + "계량".encode("cp949") + b"\n", 3)
    assert second == bytes.fromhex("02 32 50 30 30 30 37 33 1b 40 b0 e8 b7 ae 0a 03")
    assert frames.decode_request(second) == frames.PrintRequest(2, second[8:-1], 3)


def test_worked_set_points():
    assert frames.encode_temperatures(0, 30, 5) == bytes.fromhex("02 30 54 33 30 30 35 03")
    assert frames.encode_temperatures(0, 40, 15) == bytes.fromhex("02 30 54 34 30 31 35 03")
    assert frames.decode_request(b"\x020T4015\x03") == frames.TemperatureRequest(0, 40, 15)


R1 = frames.Reply()
R = [
    (R1, "30 30 30 30 30 30 30 30 30 30 30 30 30 30 30 30 30 30 30 30 30 30 32 35 33 30 30 35 30 30 30 30 30 53 54 2c 4e 54 2c 2b 20 20 20 20 30 2e 30 6b 67"),
    (replace(R1, relays=0x09, status="US", kind="GS", magnitude="412.5"),
     "30 30 30 30 30 30 30 30 30 30 30 30 30 30 30 30 39 30 30 30 30 30 32 35 33 30 30 35 30 30 30 30 30 55 53 2c 47 53 2c 2b 20 20 34 31 32 2e 35 6b 67"),
    (replace(R1, card="A1B2C3D4", relays=0x0A, magnitude="1850.5"),
     "41 31 42 32 43 33 44 34 30 30 30 30 30 30 30 30 3a 30 30 30 30 30 32 35 33 30 30 35 30 30 30 30 30 53 54 2c 4e 54 2c 2b 20 31 38 35 30 2e 35 6b 67"),
    (replace(R1, voice=3, magnitude="1850.5"),
     "30 30 30 30 30 30 30 30 30 30 30 30 30 30 30 30 30 30 30 30 33 30 32 35 33 30 30 35 30 30 30 30 30 53 54 2c 4e 54 2c 2b 20 31 38 35 30 2e 35 6b 67"),
    (replace(R1, key_kind="N", keys="006575", relays=0x11, temperature_c=-5, sign="-", magnitude="12.3"),
     "30 30 30 30 30 30 30 30 4e 30 30 36 35 37 35 31 31 30 30 30 30 2d 30 35 33 30 30 35 30 30 30 30 30 53 54 2c 4e 54 2c 2d 20 20 20 31 32 2e 33 6b 67"),
    (replace(R1, voice=6, printer=1, status="OL", kind="GS", magnitude="99999.9"),
     "30 30 30 30 30 30 30 30 30 30 30 30 30 30 30 30 30 30 30 30 36 30 32 35 33 30 30 35 31 30 30 30 30 4f 4c 2c 47 53 2c 2b 39 39 39 39 39 2e 39 6b 67"),
    (replace(R1, relays=0x01, printer=2, magnitude="1850.5"),
     "30 30 30 30 30 30 30 30 30 30 30 30 30 30 30 30 31 30 30 30 30 30 32 35 33 30 30 35 32 30 30 30 30 53 54 2c 4e 54 2c 2b 20 31 38 35 30 2e 35 6b 67"),
    (replace(R1, status="00", kind="00", magnitude="0000000"),
     "30 30 30 30 30 30 30 30 30 30 30 30 30 30 30 30 30 30 30 30 30 30 32 35 33 30 30 35 30 30 30 30 30 30 30 2c 30 30 2c 2b 30 30 30 30 30 30 30 6b 67"),
]  # fmt: skip


@pytest.mark.parametrize(("reply", "body"), R)
def test_worked_replies(reply, body):
    assert frames.encode_reply(reply) == b"\x020D" + bytes.fromhex(body) + b"\x03"


@pytest.mark.parametrize(
    "wide",
    [{"card": "A1B2C3D4E"}, {"magnitude": "123456.78"}, {"voice": 100}, {"temperature_c": -100}, {"inputs": "0"}],
)
def test_a_reply_never_grows(wide):
    with pytest.raises(ValueError, match="does not fit"):
        frames.encode_reply(replace(R1, **wide))


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("12345.6", b"+12345.6"),
        ("+5", b"+      5"),
        ("-0.0", b"+    0.0"),
        ("1E+3", b"+   1000"),
        ("1234567", b"+1234567"),
        ("-999999", b"- 999999"),
        ("1E-3", b"+  0.001"),
        ("12345678", b"+-------"),
        ("123456.78", b"+-------"),
        ("1E+40", b"+-------"),
        ("1E-999999", b"+-------"),
        ("NaN", b"+-------"),
        ("-Infinity", b"+-------"),
        ("OL", b"+     OL"),
        ("------", b"+ ------"),
        ("", b"+       "),
        ("계량\x03", b"+    ???"),
        ("a long text", b"+-------"),
    ],
)
def test_display_weights(text, columns):
    assert frames.display_weight(text) == columns


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("", b"      "),
        ("6575", b"  6575"),
        ("A1B2C3D4", b"B2C3D4"),
        ("서울12가3456", b"2?3456"),
        ("12\x0234", b" 12?34"),
    ],
)
def test_display_lines(text, columns):
    assert frames.display_line(text) == columns


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_display_request_is_always_32_bytes_of_printable_ascii(weight, line):
    frame = frames.encode_display(0, frames.display_weight(weight), frames.display_line(line), 3, 99)
    assert len(frame) == 32
    assert all(0x20 <= byte < 0x7F for byte in frame[1:-1])
    assert isinstance(frames.decode_request(frame), frames.DisplayRequest)


@given(st.lists(st.binary(max_size=300), max_size=5), st.integers(1, 7))
def test_documents_are_framed_by_their_length(contents, step):
    framer = frames.request_framer()
    stream = b"".join(frames.encode_print(4, content, 2) for content in contents)
    found = [f for at in range(0, len(stream), step) for f in framer.feed(stream[at : at + step])]
    assert [frames.decode_request(f) for f in found] == [frames.PrintRequest(4, content, 2) for content in contents]


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"\x02",
        b"\x020X\x03",
        b"\x020P00011A",
        b"\x020P00010A\x03",
        b"\x020T4x15\x03",
        b"\x02xT4015\x03",
        b"\x020D" + b"!" * 28 + b"\x03",
    ],
)
def test_a_bad_request_is_a_problem(bad):
    assert frames.decode_request(bad) == Problem("bad-request", bad)


def test_weights_reach_the_reply_as_decimals():
    reading = frames.reading_of(frames.encode_reply(replace(R1, magnitude="1850.50")))
    assert reading.weight == Decimal("1850.50")
    assert str(reading.weight) == "1850.50"
