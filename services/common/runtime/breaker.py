"""Guards a call of an outside service: a deadline per try, more tries with jitter, and a circuit breaker around it all.

What the service answers, a refusal included, is for the caller; only its silence and its failures are tried again and
counted. The call itself must be safe to repeat: it carries an idempotency key of its own.
"""

import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as DeadlineExceeded
from dataclasses import dataclass
from typing import TypeVar

import pybreaker
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from services.common.runtime import telemetry

Result = TypeVar("Result")


class CallFailed(Exception):
    """The outside service did not answer, whatever it may have done; the same call may succeed later."""


class CallTimeout(CallFailed):
    """No answer within the deadline. The outside service may or may not have acted."""


class CircuitOpen(CallFailed):
    """Not called: too many calls before this one have failed."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How patient a guard is.

    Args:
        deadline: seconds per try.
        tries: how often a call is made at most.
        longest_pause: seconds between two tries at most; the pause grows and is random.
        failures: failed calls in a row that open the circuit.
        recovery: seconds after which an open circuit lets one call through.
    """

    deadline: float = 5.0
    tries: int = 3
    longest_pause: float = 2.0
    failures: int = 5
    recovery: float = 15.0


class Guard:
    """Guards every call of one outside service; safe to share between threads.

    Args:
        name: of the outside service, for metrics.
        limits: how patient it is.
        temporary: what the port raises when a try failed and another may succeed; `CallFailed` always is that.
        refusals: what the port raises to say no: an answer, which counts for no failure.
        threads: how many tries may be under way at once; one that outlives its deadline keeps its thread until it ends.
    """

    def __init__(
        self,
        name: str,
        limits: Limits,
        *,
        temporary: tuple[type[Exception], ...] = (),
        refusals: tuple[type[Exception], ...] = (),
        threads: int = 16,
    ) -> None:
        self.name = name
        self._limits = limits
        self._temporary = temporary
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._breaker = pybreaker.CircuitBreaker(
            fail_max=limits.failures,
            reset_timeout=limits.recovery,
            exclude=refusals,
            name=name,
            throw_new_error_on_trip=False,
        )
        self._note_circuit()
        self._retrying = Retrying(
            retry=retry_if_exception_type(CallFailed),
            stop=stop_after_attempt(limits.tries),
            wait=wait_random_exponential(multiplier=0.1, max=limits.longest_pause),
            reraise=True,
        )

    def call(self, function: Callable[[], Result]) -> Result:
        """What the function returns or refuses.

        Raises:
            CallTimeout: when the last try had no answer in time.
            CallFailed: when the last try raised a temporary error, which is its cause.
            CircuitOpen: when no try was made.
            Exception: whatever else the function raises, after that try.
        """
        result = "failed"
        try:
            # `calling` and not `call`: the latter lets one call through at a time.
            with self._breaker.calling():
                answer: Result = self._retrying.copy()(self._try, function)
            result = "done"
        except pybreaker.CircuitBreakerError as error:
            result = "circuit_open"
            raise CircuitOpen(
                f"{self.name} is not called: its last {self._limits.failures} calls failed"
            ) from error
        finally:
            telemetry.CALLS.labels(self.name, result).inc()
            self._note_circuit()
        return answer

    def _note_circuit(self) -> None:
        is_open = self._breaker.current_state != pybreaker.STATE_CLOSED
        telemetry.CIRCUITS_OPEN.labels(self.name).set(int(is_open))

    def _try(self, function: Callable[[], Result]) -> Result:
        context = contextvars.copy_context()
        attempt = self._pool.submit(context.run, function)
        try:
            return attempt.result(self._limits.deadline)
        except self._temporary as error:
            raise CallFailed(f"{self.name}: {error}") from error
        except DeadlineExceeded as error:
            attempt.cancel()
            raise CallTimeout(f"{self.name} did not answer within {self._limits.deadline} s") from error
