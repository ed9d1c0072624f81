import hashlib
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.outbox import START
from scaleledger.domain.errors import ClaimMistyped
from scaleledger.domain.standing import CLAIM_CHARACTERS, Claim, TokenLife, claim_of, clock_offset_ms, fingerprint

DAY = timedelta(days=1)


def test_a_fingerprint_is_what_the_contract_says():
    key = "4c1f0d9fb0a5d4dd0f4f4d3b4a2b1c0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b"
    shown = fingerprint(key)
    assert shown.replace(" ", "") == hashlib.sha256(bytes.fromhex(key)).hexdigest()[:16]
    assert [len(group) for group in shown.split(" ")] == [4, 4, 4, 4]
    assert fingerprint("") == ""


@pytest.mark.parametrize(
    "typed",
    ["K7Q2-ABCD-EFGH-JKMN-PQRS", "k7q2abcdefghjkmnpqrs", " K7Q2 ABCD EFGH JKMN PQRS\n", "K7Q2ABCD-EFGHJKMN-PQRS"],
)
def test_a_claim_code_is_read_however_it_is_typed(typed):
    assert claim_of(typed) == Claim("K7Q2", "ABCDEFGHJKMNPQRS")


def test_letters_that_look_like_digits_are_read_as_those():
    assert claim_of("OIL0-oil1-0000-1111-2222") == Claim("0110", "0111000011112222")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "has 0"),
        ("K7Q2-ABCD-EFGH-JKMN-PQR", "has 19"),
        ("K7Q2-ABCD-EFGH-JKMN-PQRST", "has 21"),
        ("K7Q2-ABCU-EFGH-JKMN-PQRS", "character 8 of the claim code is 'U'"),
        ("K7Q2-ABCD-EFGH-JKMN-PQR\N{LATIN SMALL LETTER E WITH ACUTE}", r"character 20 of the claim code is '\xc9'"),
    ],
)
def test_a_mistyped_claim_code_is_told_what_is_wrong_with_it(typed, said):
    with pytest.raises(ClaimMistyped) as caught:
        claim_of(typed)
    assert said in str(caught.value)


@given(st.text(st.sampled_from(CLAIM_CHARACTERS), min_size=20, max_size=20))
def test_every_code_of_the_alphabet_is_read(code):
    claim = claim_of("-".join(code[at : at + 4] for at in range(0, 20, 4)).lower())
    assert claim.id + claim.secret == code


@given(st.text(max_size=40))
def test_any_text_is_a_claim_or_is_told_why_not(text):
    try:
        claim = claim_of(text)
    except ClaimMistyped as wrong:
        assert str(wrong).isprintable()  # noqa: PT017 - either outcome is right
    else:
        assert set(claim.id + claim.secret) <= set(CLAIM_CHARACTERS)


@pytest.mark.parametrize(
    ("hours_held", "hours_left", "ending"),
    [
        (0, 24, False),
        (15, 9, False),
        (15.9, 8.1, False),
        (16.1, 7.9, True),
        (24, 0, True),
        (30, -6, True),
        (0, -1, True),
    ],
)
def test_a_token_is_renewed_in_the_last_third_of_its_life(hours_held, hours_left, ending):
    life = TokenLife(START + timedelta(hours=hours_left), since_s=100.0)
    assert life.is_ending(START, 100.0 + hours_held * 3600) is ending


def test_a_token_without_an_end_is_never_renewed():
    assert not TokenLife().is_ending(START, 1e9)


@pytest.mark.parametrize(
    ("ahead_ms", "took_s", "offset_ms"),
    [(0, 0.1, -50), (500, 1.0, 0), (-86_400_000, 0.0, -86_400_000), (500, 2.1, None)],
)
def test_the_clock_offset_is_taken_from_the_middle_of_the_exchange(ahead_ms, took_s, offset_ms):
    assert clock_offset_ms(START + timedelta(milliseconds=ahead_ms), START, took_s) == offset_ms
