"""Work that lost against a concurrent write is retried after growing random pauses."""

import time
from collections.abc import Callable

import pytest

from services.common.runtime.retrying import retry_on_stale
from services.common.values.errors import Stale, Unavailable


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    seconds: list[float] = []
    monkeypatch.setattr(time, "sleep", seconds.append)
    return seconds


def losing(times: int) -> Callable[[], int]:
    """Loses a number of times, then returns the number of calls."""
    calls: list[None] = []

    def work() -> int:
        calls.append(None)
        if len(calls) <= times:
            raise Stale("order 1")
        return len(calls)

    return work


def test_given_stale_writes_when_the_work_is_retried_then_it_succeeds_after_pauses(
    pauses: list[float],
) -> None:
    assert retry_on_stale(losing(3), "order 1") == 4
    assert len(pauses) == 3


def test_given_work_that_succeeds_at_once_when_it_runs_then_it_does_not_pause(pauses: list[float]) -> None:
    assert retry_on_stale(losing(0), "order 1") == 1
    assert pauses == []


def test_given_permanent_contention_when_the_work_is_retried_then_it_raises_unavailable_within_a_second(
    pauses: list[float],
) -> None:
    with pytest.raises(Unavailable, match=r"order 1 is being changed concurrently; retry the request"):
        retry_on_stale(losing(1000), "order 1")

    assert 3 <= len(pauses) < 20
    # Ten of a batch that all lose end within the 15 s of a function.
    assert all(pause <= 0.2 for pause in pauses)
    assert sum(pauses) < 1


def test_given_competing_writers_when_they_are_retried_then_their_pauses_are_random(
    pauses: list[float],
) -> None:
    for _ in range(50):
        retry_on_stale(losing(1), "order 1")

    assert len(set(pauses)) > 40
    assert all(0 <= pause <= 0.02 for pause in pauses)


def test_given_a_failure_other_than_a_stale_write_when_the_work_runs_then_it_is_not_retried(
    pauses: list[float],
) -> None:
    calls: list[None] = []

    def fail() -> None:
        calls.append(None)
        raise ConnectionError("no table")

    with pytest.raises(ConnectionError):
        retry_on_stale(fail, "order 1")

    assert len(calls) == 1
    assert pauses == []
