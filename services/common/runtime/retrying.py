"""Decides anew what was decided on a state that others have changed since."""

from collections.abc import Callable
from typing import TypeVar

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from services.common.values.errors import Stale, Unavailable

Result = TypeVar("Result")

# More than usually meet on one row. Pauses are random, so that those who met do not meet again: up to 0.02 s after the
# first try, twice as long after each further one, and 0.2 s at most. A function that works on a batch of ten messages, all of
# which lose every time, then ends within its timeout of 15 s.
_ON_STALE = Retrying(
    retry=retry_if_exception_type(Stale),
    stop=stop_after_attempt(8),
    wait=wait_random_exponential(multiplier=0.02, max=0.2),
    reraise=True,
)


def retry_on_stale(work: Callable[[], Result], subject: str) -> Result:
    """The result of work that reads, decides and writes; it is done again while others write in between.

    Args:
        work: may be called several times.
        subject: what is written, such as "order 1", for the message.

    Raises:
        Unavailable: when others were always faster; the same may succeed later.
        Exception: whatever else the work raises, after that try.
    """
    try:
        return _ON_STALE.copy()(work)
    except Stale as stale:
        raise Unavailable(f"{subject} is being changed too often; send the same again") from stale
