import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaleledger.domain.inputs import Problem
from scaleledger.wire.framing import Lines, Sized, between, fixed

FRAMERS = {
    "lines": lambda: Lines(limit=8),
    "between": lambda: between(b"<", b">", limit=8),
    "fixed": lambda: fixed(b"<", 5, b">"),
    "sized": lambda: Sized(b"<", lambda h: 3 + h[1] % 8 if len(h) > 1 else 0, lambda f: f.endswith(b">"), limit=10),
}
ALPHABET = st.sampled_from([bytes([b]) for b in b"<>ab\r\n \x00\x04"])


@pytest.mark.parametrize("shape", FRAMERS)
@given(data=st.lists(ALPHABET, max_size=60).map(b"".join), places=st.lists(st.integers(0, 60), max_size=8))
def test_what_comes_out_does_not_depend_on_the_split(shape, data, places):
    whole, split = FRAMERS[shape](), FRAMERS[shape]()
    expected = whole.feed(data) + whole.finish()
    found, at = [], 0
    for place in [*sorted(places), len(data)]:
        found += split.feed(data[at : max(at, place)])
        at = max(at, place)
        assert split.buffered <= 20
    assert found + split.finish() == expected
    assert split.buffered == 0


def test_lines_end_with_cr_lf_or_both():
    assert Lines().feed(b"a\rb\nc\r\nd\n\re") == [b"a", b"b", b"c", b"d"]


def test_a_line_of_the_limit_is_a_line_and_one_more_byte_is_too_long_once():
    lines = Lines(limit=4)
    assert lines.feed(b"1234\n12345\nok\n") == [b"1234", Problem("too-long", b"1234"), b"ok"]
    assert lines.feed(b"123456") == [Problem("too-long", b"1234")]
    assert lines.feed(b"78" * 100) == []
    assert lines.buffered == 0
    assert lines.feed(b"9\nok\n") == [b"ok"]


def test_a_frame_starts_anew_at_a_start_inside_it():
    assert between(b"<", b">", 8).feed(b"<ab<cd>") == [Problem("no-frame", b"<ab"), b"<cd>"]


def test_a_frame_of_the_limit_is_a_frame_and_one_more_byte_is_none():
    assert between(b"<", b">", 4).feed(b"<ab><abc><a>") == [b"<ab>", Problem("no-frame", b"<abc"), b"<a>"]


def test_a_fixed_frame_may_hold_its_own_start_and_end():
    assert fixed(b"<", 5, b">").feed(b"<<>a><abc>") == [b"<<>a>", b"<abc>"]


def test_a_fixed_frame_that_does_not_end_is_searched_for_another_start():
    assert fixed(b"<", 5, b">").feed(b"<a<abc>") == [Problem("no-frame", b"<a"), b"<abc>"]


def test_blanks_between_frames_are_nothing():
    assert fixed(b"<", 3, b">").feed(b"\r\n<a>\x00\r\n<b>") == [b"<a>", b"<b>"]


def test_a_long_run_of_noise_is_reported_once_and_before_it_ends():
    framer = fixed(b"<", 5, b">")
    assert framer.feed(b"abcdefghij") == [Problem("no-frame", b"abcde")]
    assert framer.feed(b"k" * 1000) == []
    assert framer.feed(b"<abc>") == [b"<abc>"]
    assert framer.feed(b"x<abc>") == [Problem("no-frame", b"x"), b"<abc>"]


def test_an_unfinished_frame_is_cut_short():
    framer = fixed(b"<", 5, b">")
    assert framer.feed(b"x<ab") == []
    assert framer.finish() == [Problem("cut-short", b"x<ab")]
    assert framer.feed(b"c><abc>") == [Problem("no-frame", b"c>"), b"<abc>"]
