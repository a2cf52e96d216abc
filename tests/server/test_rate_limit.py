"""Counting attempts."""

from __future__ import annotations

import pytest

from madang.core.clock import ManualClock
from madang.core.errors import RateLimited
from madang.server.rate_limit import AttemptLimiter


def test_each_key_has_its_own_minute() -> None:
    clock = ManualClock()
    limiter = AttemptLimiter(2, clock)
    limiter.count("name:kim", "address:a")
    clock.advance(20)
    limiter.count("name:kim", "address:b")
    with pytest.raises(RateLimited) as refused:
        limiter.count("name:kim", "address:c")
    assert refused.value.retry_after_s == 40
    limiter.count("name:lee", "address:c")
    clock.advance(40)
    limiter.count("name:kim", "address:c")


def test_a_refused_attempt_counts_for_nobody() -> None:
    limiter = AttemptLimiter(1, ManualClock())
    limiter.count("name:kim")
    with pytest.raises(RateLimited):
        limiter.count("address:a", "name:kim")
    limiter.count("address:a")


def test_forgiving_takes_one_attempt_back() -> None:
    limiter = AttemptLimiter(2, ManualClock())
    limiter.count("name:kim")
    limiter.count("name:kim")
    limiter.forgive("name:kim")
    limiter.count("name:kim")
    with pytest.raises(RateLimited):
        limiter.count("name:kim")


def test_memory_is_bounded() -> None:
    limiter = AttemptLimiter(1, ManualClock(), most_keys=10)
    for number in range(100):
        limiter.count(f"name:{number}", "address:attacker" if number == 0 else f"address:{number}")
    assert len(limiter) == 10
