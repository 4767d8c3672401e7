"""A slow, unreliable or unavailable outside service costs its callers a bounded time."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from services.common.runtime import telemetry
from services.common.runtime.breaker import CallFailed, CallTimeout, CircuitOpen, Guard, Limits

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


def test_an_answer_is_passed_on(guard: Guard) -> None:
    assert guard.call(Provider("yes")) == "yes"


def test_a_temporary_failure_is_retried(guard: Guard) -> None:
    provider = Provider(Flaky(), Flaky(), "yes")

    assert guard.call(provider) == "yes"
    assert provider.calls == 3


def test_the_error_of_the_last_attempt_is_raised(guard: Guard) -> None:
    with pytest.raises(CallFailed, match="provider: third") as failed:
        guard.call(Provider(Flaky(), Flaky(), Flaky("third")))

    assert isinstance(failed.value.__cause__, Flaky)


@pytest.mark.parametrize("answer", [Declined(), KeyError("a defect")])
def test_a_rejection_or_a_defect_is_not_retried(guard: Guard, answer: Exception) -> None:
    provider = Provider(answer)

    with pytest.raises(type(answer)):
        guard.call(provider)

    assert provider.calls == 1


@pytest.fixture
def silence() -> Iterator[threading.Event]:
    ended = threading.Event()
    yield ended
    ended.set()


def test_a_call_without_an_answer_ends_at_its_deadline(guard: Guard, silence: threading.Event) -> None:
    started = time.monotonic()

    with pytest.raises(CallTimeout):
        guard.call(lambda: silence.wait(30))

    assert time.monotonic() - started < 5


def open_circuits() -> float:
    """What the alert goes by."""
    value: float = telemetry.CIRCUITS_OPEN.labels("provider")._value.get()
    return value


def test_failed_calls_in_a_row_open_the_circuit_and_one_success_closes_it(
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


def test_refusals_never_open_the_circuit(guard: Guard) -> None:
    for _ in range(LIMITS.failures + 1):
        with pytest.raises(Declined):
            guard.call(Provider(Declined()))

    assert guard.call(Provider("yes")) == "yes"


def test_calls_do_not_wait_for_each_other(guard: Guard) -> None:
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
