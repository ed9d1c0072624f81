import pytest

from scaleledger.wire.asking import ARRIVING_S, Pacing


def test_prompt_answers_are_asked_for_once_per_interval():
    pacing = Pacing(interval_s=0.1, reply_timeout_s=0.3)
    assert pacing.next_at == 0.0
    pacing.sent(5.0)
    assert pacing.next_at == pytest.approx(5.3)
    pacing.replied(5.06)
    assert pacing.next_at == pytest.approx(5.1)
    pacing.sent(5.1)
    pacing.replied(5.25)
    assert pacing.next_at == pytest.approx(5.25)
    assert not pacing.timed_out


def test_one_open_question_is_overtaken_once_and_then_the_line_must_be_quiet():
    pacing = Pacing(interval_s=0.1, reply_timeout_s=0.3)
    pacing.sent(0.0)
    assert pacing.timed_out
    pacing.sent(0.3)
    assert pacing.next_at == pytest.approx(0.9)
    pacing.replied(0.35)  # to the first, or to the second?
    assert pacing.next_at == pytest.approx(0.35 + 0.75)
    pacing.replied(0.4)  # both are in: nothing is open
    assert pacing.next_at == pytest.approx(0.4)


def test_a_lost_answer_costs_one_quiet_time():
    pacing = Pacing(interval_s=0.1, reply_timeout_s=0.3)
    pacing.sent(0.0)
    pacing.sent(0.3)
    pacing.replied(0.36)
    pacing.sent(pacing.next_at)
    pacing.replied(1.2)
    assert pacing.next_at == pytest.approx(1.21)


def test_an_answer_that_nobody_asked_for_makes_the_line_settle():
    pacing = Pacing(interval_s=0.1, reply_timeout_s=0.3)
    pacing.sent(0.0)
    pacing.replied(0.05)
    pacing.replied(0.06)
    assert pacing.next_at == pytest.approx(0.06 + 0.75)
    pacing.sent(0.81)
    pacing.replied(0.9)
    assert pacing.next_at == pytest.approx(0.91)


def test_after_a_dead_line_the_first_answer_is_not_trusted_to_be_the_last():
    pacing = Pacing(interval_s=0.1, reply_timeout_s=0.3)
    for at in (0.0, 0.3, 0.9, 1.5, 2.1):
        pacing.sent(at)
    pacing.replied(2.2)
    assert pacing.next_at >= 2.2 + 0.75


def test_a_line_that_is_never_quiet_is_asked_again():
    pacing = Pacing(interval_s=0.1, reply_timeout_s=0.3)
    pacing.sent(0.0)
    for n in range(1, 98):
        pacing.replied(n * 0.1)
    assert pacing.next_at == pytest.approx(10.0)


def test_a_long_request_is_given_its_time():
    pacing = Pacing(interval_s=0.1, reply_timeout_s=0.3)
    pacing.sent(0.0, extra_s=4.2)
    assert pacing.next_at == pytest.approx(4.5)


def test_some_answers_after_trouble_the_line_is_listened_to_once_more():
    pacing = Pacing(interval_s=0.1, reply_timeout_s=0.3)
    now, waits = 0.0, []
    pacing.sent(now)
    for _ in range(30):
        now = pacing.next_at
        pacing.sent(now)
        if len(waits) != 0 or now > 0.5:
            pacing.replied(now + 0.05)
            waits.append(round(pacing.next_at - now, 2))
    assert waits[0] == 0.8
    assert waits[1:].count(0.8) == 1
    assert waits[-1] == 0.1


def test_an_answer_later_than_a_quiet_line_lasts_is_found_out():
    """Two requests are open, the line is quiet, and only then does the second answer come: one behind from now on."""
    pacing = Pacing(interval_s=0.1, reply_timeout_s=0.3)
    pacing.sent(0.0)
    pacing.sent(0.3)
    pacing.replied(0.32)
    line = [1.08]  # when answers arrive; the first is to the request at 0.3
    behind = 0
    for _ in range(30):
        now = pacing.next_at
        pacing.sent(now)
        line.append(now + 0.13)
        behind = len(line) - 1
        while line and line[0] <= pacing.next_at:
            pacing.replied(line.pop(0))
    assert behind == 0


def test_nothing_is_asked_while_an_answer_is_coming_in():
    pacing = Pacing(interval_s=0.1, reply_timeout_s=0.3)
    pacing.sent(0.0)
    pacing.arriving(0.29)
    assert pacing.next_at == pytest.approx(0.29 + ARRIVING_S)
    pacing.replied(0.34)
    assert pacing.next_at == pytest.approx(0.34)
    assert not pacing.timed_out


def test_endless_noise_is_not_taken_for_an_answer_coming_in():
    pacing = Pacing(interval_s=0.1, reply_timeout_s=0.3)
    pacing.sent(0.0)
    for tenth in range(1, 30):
        pacing.arriving(tenth / 10)
    assert pacing.next_at <= 0.3 + ARRIVING_S
    assert pacing.timed_out


def test_bytes_after_an_answer_hold_nothing_up():
    pacing = Pacing(interval_s=0.1, reply_timeout_s=0.3)
    pacing.sent(0.0)
    pacing.replied(0.06)
    pacing.arriving(0.07)
    assert pacing.next_at == pytest.approx(0.1)
