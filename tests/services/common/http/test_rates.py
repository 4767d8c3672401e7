"""Rate limits per caller."""

import contextlib

import pytest

from services.common.http import rates
from services.common.http.errors import TooManyRequests
from services.common.http.rates import Rates


class Clock:
    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


def granted(limits: Rates, caller: str, times: int) -> int:
    """The number of accepted requests out of concurrent ones."""
    count = 0
    for _ in range(times):
        with contextlib.suppress(TooManyRequests):
            limits.take(caller)
            count += 1
    return count


def test_given_a_rate_and_a_burst_when_a_caller_exceeds_them_then_only_that_caller_is_limited() -> None:
    clock = Clock()
    limits = Rates(2, 5, clock)

    assert granted(limits, "alice", 9) == 5
    assert granted(limits, "bob", 9) == 5
    clock.at += 1.5
    assert granted(limits, "alice", 9) == 3
    clock.at += 3600
    assert granted(limits, "alice", 9) == 5


def test_given_a_limit_of_known_callers_when_more_send_requests_then_memory_stays_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rates, "MOST_CALLERS", 3)
    limits = Rates(1, 1, Clock())

    assert sum(granted(limits, f"caller-{number}", 1) for number in range(50)) == 50
    assert len(limits._buckets) == 3
