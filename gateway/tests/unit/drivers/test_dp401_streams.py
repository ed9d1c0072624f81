"""Streams of weighings, tokens, noise and cut lines, glued and split in any way: nothing lost, nothing invented.

A weighing carries no checksum, so one thing cannot be told from a good line by anybody: the front of a line glued to the rest
of another just where it fits. Such a pair is not drawn; all else is.
"""

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from scaleledger.domain.inputs import AckAsked, FinishedWeighing, Heartbeat, Registration
from scaleledger.drivers import open_driver
from scaleledger.wire.dp401_line import HEAD, HEAD_MAX
from scaleledger.wire.dp401_stream import KEPT_MAX, LINE_MAX

ASK = b"KONTROLLU AKTAR OK?"
LINE_ENDS = (b"\r\n", b"\n", b"\r")
COMPANIES = (b"KORKUT", b"ACME SCALE-99 LTD", b"SCALE-99 LTD", b"X HB", b"SAHBAZ", b"X KONTROLLU AKTAR OK?", b"")
PRODUCTS = (b"KIYMA           ", b"KU\xdeBA\xdeI", ASK, b"SCALE-99", b"HB", b"")


def line(n, product, company, prefix):
    """The `n`th weighing: no other has its net."""
    return prefix + b"%05d,10:30:00,30.01.2026,%s,000000000004,0000,KAAN,%010d,0000000000,%010d,2,N,%s" % (
        n % 100_000,
        product,
        n,
        n,
        company,
    )


LINES = st.tuples(st.sampled_from(PRODUCTS), st.sampled_from(COMPANIES), st.sampled_from([b"", b"P", b'P"']))
PIECES = st.one_of(
    st.tuples(st.just("whole"), LINES, st.sampled_from(LINE_ENDS)),
    st.tuples(st.just("unended"), LINES, st.just(b"")),
    st.tuples(st.just("front"), LINES, st.integers(1, 100)),
    st.tuples(st.just("rest"), LINES, st.integers(1, 100)),
    st.tuples(st.just("token"), st.sampled_from([b"HB", ASK, b"SCALE-01", b"SCALE-02"]), st.just(b"")),
    st.tuples(
        st.just("noise"),
        st.binary(max_size=40) | st.text("019,.:PHBSALE- \r\n", max_size=40).map(str.encode),
        st.just(b""),
    ),
    st.tuples(st.just("noise"), st.integers(1, 1500).map(lambda size: b"A" * size), st.just(b"")),
)
STREAMS = st.tuples(
    st.lists(PIECES, max_size=10), st.lists(st.integers(0, 4000), max_size=8), st.sampled_from([0, 0, 0, 1, 7])
)


def lay_out(pieces):
    """The stream, the whole lines in it, and the fronts and unended lines that a line's end may yet complete."""
    stream, whole, maybe, fitting = b"", [], [], False
    for n, (kind, what, more) in enumerate(pieces, 1):
        if kind in {"whole", "unended", "front", "rest"}:
            text = line(n, *what)
            if kind == "front":
                text = text[: min(more, len(text) - 1)]
            if kind == "rest":
                text = text[min(more, len(text) - 1) :] + b"\r\n"
                if fitting or text.startswith((b"SCALE-", ASK)) or HEAD.search(text):
                    continue
            (whole if kind == "whole" else maybe).append(line(n, *what))
            stream += text + (more if kind == "whole" else b"\r\n" if kind == "rest" else b"")
        else:
            if kind == "noise" and (b"SCALE-" in what or ASK in what or HEAD.search(what)):
                continue
            stream += what
        fitting = kind in {"front", "unended"} or (fitting and kind in {"token", "noise"})
    return stream, whole, maybe


def read(pieces):
    driver = open_driver("dp401-csv")
    facts = []
    for piece in pieces:
        facts += driver.receive(0.0, piece)
        assert driver.buffered <= LINE_MAX + KEPT_MAX + HEAD_MAX
    facts += driver.finish()
    assert driver.buffered == 0
    return facts


def split(stream, places, every):
    if every:
        return [stream[at : at + every] for at in range(0, len(stream), every)]
    cuts = sorted({0, len(stream), *(place % (len(stream) + 1) for place in places)})
    return [stream[a:b] for a, b in pairwise(cuts)]


def judge(drawn):
    pieces, places, every = drawn
    stream, whole, maybe = lay_out(pieces)
    facts = read(split(stream, places, every))
    assert facts == read([stream])
    seen = [fact.net for fact in facts if isinstance(fact, FinishedWeighing)]
    sent = [int(text.split(b",")[9]) for text in whole]
    possible = {int(text.split(b",")[9]) for text in maybe}
    assert [net for net in seen if net not in possible] == sent, "a good line is read once, in its turn"
    assert len(seen) == len(set(seen)), "no line is read twice"
    assert set(seen) <= {*sent, *possible}, "no weight is read that was not sent"
    for fact in facts:
        if isinstance(fact, Registration):
            assert fact.device in {"SCALE-01", "SCALE-02"}, "no text inside a line registers"
    asked = sum(kind == "token" and what == ASK for kind, what, _ in pieces)
    assert sum(isinstance(fact, AckAsked) for fact in facts) <= asked, "no text inside a line asks"
    if b"HB" not in stream:
        assert not any(isinstance(fact, Heartbeat) for fact in facts)


@given(STREAMS)
@settings(max_examples=400)
def test_nothing_is_lost_and_nothing_invented_however_it_is_glued_and_split(drawn):
    judge(drawn)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("quarter", range(4))
@given(many=st.lists(STREAMS, min_size=20, max_size=20))
@settings(
    max_examples=2_500,
    deadline=None,
    phases=[Phase.generate],  # a failure shows its stream; making twenty streams smaller takes too long
    suppress_health_check=list(HealthCheck),
)
def test_nothing_is_lost_and_nothing_invented_in_two_hundred_thousand_streams(quarter, many):
    for drawn in many:
        judge(drawn)


@pytest.mark.parametrize("first", range(0, 100, 7))
def test_a_token_at_the_start_of_a_line_or_behind_a_token_is_always_told(first):
    tokens = [(b"HB", Heartbeat()), (ASK, AckAsked()), (b"SCALE-01", Registration("SCALE-01"))]
    around = [line(first, b"KIYMA", b"KORKUT", b"") + b"\r\n", b"noise\n", b""]
    for before in around:
        for one, meant in tokens:
            for two, meant_too in tokens:
                told = [fact for fact in read([before + one + two]) if type(fact) in {type(f) for _, f in tokens}]
                assert told == [meant, meant_too]
