"""A slow, unreliable or unavailable outside service costs its callers a bounded time."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from services.common.runtime.breaker import CallFailed, CallTimeout, CircuitOpen, Guard, Limits
from services.common.telemetry import metrics

LIMITS = Limits(deadline=0.2, tries=3, longest_pause=0.01, failures=2, recovery=0.2)
Eventually = Callable[[Callable[[], object]], None]


class Flaky(Exception):
    pass


class Declined(Exception):
    pass


@pytest.fixture
def guard() -> Guard:
    return Guard("provider", LIMITS, temporary=(Flaky,), refusals=(Declined,))


class Provider:
    """Returns the given values in turn, and raises the exceptions among them."""

    def __init__(self, *answers: str | Exception) -> None:
        self._answers = iter(answers)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_given_a_call_that_succeeds_when_it_is_guarded_then_its_result_is_returned(guard: Guard) -> None:
    assert guard.call(Provider("yes")) == "yes"


def test_given_a_temporary_failure_when_a_call_is_guarded_then_it_is_retried(guard: Guard) -> None:
    provider = Provider(Flaky(), Flaky(), "yes")

    assert guard.call(provider) == "yes"
    assert provider.calls == 3


def test_given_a_call_that_fails_at_every_attempt_when_it_is_guarded_then_the_last_error_is_raised(
    guard: Guard,
) -> None:
    with pytest.raises(CallFailed, match="provider: third") as failed:
        guard.call(Provider(Flaky(), Flaky(), Flaky("third")))

    assert isinstance(failed.value.__cause__, Flaky)


@pytest.mark.parametrize("answer", [Declined(), KeyError("a defect")])
def test_given_a_rejection_or_a_defect_when_a_call_is_guarded_then_it_is_not_retried(
    guard: Guard, answer: Exception
) -> None:
    provider = Provider(answer)

    with pytest.raises(type(answer)):
        guard.call(provider)

    assert provider.calls == 1


@pytest.fixture
def silence() -> Iterator[threading.Event]:
    ended = threading.Event()
    yield ended
    ended.set()


def test_given_a_call_that_does_not_return_when_its_deadline_passes_then_a_timeout_is_raised(
    guard: Guard, silence: threading.Event
) -> None:
    started = time.monotonic()

    with pytest.raises(CallTimeout):
        guard.call(lambda: silence.wait(30))

    assert time.monotonic() - started < 5


def open_circuits() -> float:
    """The metric that the alert uses."""
    value: float = metrics.CIRCUITS_OPEN.labels("provider")._value.get()
    return value


def test_given_consecutive_failures_when_they_reach_the_limit_then_the_circuit_opens_until_a_call_succeeds(
    guard: Guard, eventually: Eventually
) -> None:
    for _ in range(LIMITS.failures):
        with pytest.raises(CallFailed):
            guard.call(Provider(*[Flaky()] * 3))
    untouched = Provider("yes")
    with pytest.raises(CircuitOpen):
        guard.call(untouched)
    assert untouched.calls == 0
    assert open_circuits() == 1

    def recovered() -> bool:
        try:
            return guard.call(Provider("yes")) == "yes"
        except CircuitOpen:
            return False

    assert open_circuits() == 1, "no call has succeeded yet"
    eventually(recovered)
    assert open_circuits() == 0
    assert guard.call(Provider(Flaky(), "yes")) == "yes"


def test_given_repeated_rejections_when_calls_are_guarded_then_the_circuit_stays_closed(guard: Guard) -> None:
    for _ in range(LIMITS.failures + 1):
        with pytest.raises(Declined):
            guard.call(Provider(Declined()))

    assert guard.call(Provider("yes")) == "yes"


def test_given_two_concurrent_calls_when_they_are_guarded_then_neither_waits_for_the_other(
    guard: Guard,
) -> None:
    both = threading.Barrier(2)
    answers: list[int] = []

    def meet() -> int:
        return both.wait(LIMITS.deadline)

    threads = [threading.Thread(target=lambda: answers.append(guard.call(meet))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert sorted(answers) == [0, 1]
