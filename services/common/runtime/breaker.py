"""Guards calls of an outside service with a deadline per attempt, retries with jitter, and a circuit breaker.

An answer of the service, including a rejection, is returned to the caller. Only timeouts and failures are retried and counted.
The calls must be idempotent.
"""

import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as DeadlineExceeded
from dataclasses import dataclass
from typing import TypeVar

import pybreaker
from opentelemetry.trace import Span
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from services.common.telemetry import metrics, tracing

Result = TypeVar("Result")
# Attributes of a span: outcome as in the metric, and number of attempts.
RESULT, ATTEMPTS = "shop.guard.result", "shop.guard.attempts"


class CallFailed(Exception):
    """The outside service did not answer. It may have performed the request. The same call may succeed later."""


class CallTimeout(CallFailed):
    """The outside service did not answer within the deadline. It may have performed the request."""


class CircuitOpen(CallFailed):
    """The outside service was not called, because too many earlier calls failed."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a guard.

    Args:
        deadline: seconds per attempt.
        tries: maximum number of attempts.
        longest_pause: maximum seconds between two attempts. The pause is random and grows exponentially.
        failures: number of consecutive failed calls that open the circuit.
        recovery: seconds after which an open circuit permits one call.
    """

    deadline: float = 5.0
    tries: int = 3
    longest_pause: float = 2.0
    failures: int = 5
    recovery: float = 15.0


class Guard:
    """Guards the calls of one outside service. Safe to share between threads.

    Args:
        name: name of the outside service, for metrics.
        limits: limits of the guard.
        temporary: temporary errors of the port, which are retried, in addition to `CallFailed`.
        refusals: rejections of the port, which are answers and do not count as failures.
        threads: maximum number of concurrent attempts. An attempt that exceeds its deadline occupies its thread until it ends.
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
        """The result of the function.

        Raises:
            CallTimeout: the last attempt exceeded its deadline.
            CallFailed: the last attempt raised a temporary error, which is the cause.
            CircuitOpen: no attempt was made.
            Exception: any other error of the function, after the first attempt that raises it.
        """
        with tracing.span(f"call {self.name}") as span:
            return self._call(function, span)

    def _call(self, function: Callable[[], Result], span: Span) -> Result:
        result = "failed"
        retrying = self._retrying.copy()
        try:
            # `calling` instead of `call`, which permits only one call at a time.
            with self._breaker.calling():
                answer: Result = retrying(self._try, function)
            result = "done"
        except pybreaker.CircuitBreakerError as error:
            result = "circuit_open"
            raise CircuitOpen(
                f"{self.name} was not called: its last {self._limits.failures} calls failed"
            ) from error
        finally:
            metrics.CALLS.labels(self.name, result).inc()
            span.set_attributes({RESULT: result, ATTEMPTS: retrying.statistics.get("attempt_number", 0)})
            self._note_circuit()
        return answer

    def _note_circuit(self) -> None:
        is_open = self._breaker.current_state != pybreaker.STATE_CLOSED
        metrics.CIRCUITS_OPEN.labels(self.name).set(int(is_open))

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
