"""Retries work that lost against a concurrent write."""

from collections.abc import Callable
from typing import TypeVar

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from services.common.telemetry import metrics
from services.common.values.errors import Stale, Unavailable

Result = TypeVar("Result")

# More attempts than writers usually compete for one row. The pauses are random, so that competing writers do not collide
# again: up to 0.02 s after the first attempt, doubled after each further one, and at most 0.2 s. A Lambda function that handles
# ten messages, each of which loses every time, then still ends within its timeout of 15 s.
_ON_STALE = Retrying(
    retry=retry_if_exception_type(Stale),
    stop=stop_after_attempt(8),
    wait=wait_random_exponential(multiplier=0.02, max=0.2),
    before_sleep=lambda _: metrics.WRITE_CONFLICTS.labels("retried").inc(),
    reraise=True,
)


def retry_on_stale(work: Callable[[], Result], subject: str) -> Result:
    """The result of work that reads, decides and writes. It is retried if it raises `Stale`.

    Args:
        work: the work, which may be called several times.
        subject: the object that is written, such as "order 1", for the message.

    Raises:
        Unavailable: a concurrent write won at every attempt. The same work may succeed later.
        Exception: any other error of the work, after the first attempt that raises it.
    """
    try:
        return _ON_STALE.copy()(work)
    except Stale as stale:
        metrics.WRITE_CONFLICTS.labels("given_up").inc()
        raise Unavailable(f"{subject} is being changed concurrently; retry the request") from stale
