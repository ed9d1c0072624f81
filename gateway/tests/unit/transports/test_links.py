import random

import pytest

from scaleledger.transports.links import Backoff, LinkCounters, TokenBucket


def test_waits_double_to_a_limit_and_half_of_each_is_chance():
    backoff = Backoff(0.2, 2.0, random.Random(1))
    waits = [backoff.wait_s() for _ in range(8)]
    for wait_s, full_s in zip(waits, [0.2, 0.4, 0.8, 1.6, 2, 2, 2, 2], strict=True):
        assert full_s / 2 <= wait_s <= full_s
    assert len(set(waits)) == 8
    backoff.reset()
    assert backoff.wait_s() <= 0.2


def test_a_bucket_lets_a_burst_through_and_then_the_rate():
    bucket = TokenBucket(rate=100, burst=1000, now=0)
    assert bucket.take(0, 1000) == 0
    assert bucket.take(0, 50) == pytest.approx(0.5)
    assert bucket.take(0.5, 100) == pytest.approx(1.0)
    assert bucket.take(1000, 1000) == 0, "a long silence saves up no more than one burst"
    assert bucket.take(1000, 1) == pytest.approx(0.01)


def test_counters_add_up():
    total = LinkCounters(bytes_in=1, lost=2)
    total.add(LinkCounters(bytes_in=10, bytes_out=5, open_failures=7))
    assert total == LinkCounters(bytes_in=11, bytes_out=5, lost=2, open_failures=7)
