"""Waiting for a condition with a deadline: the only way in which a test here spends time."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

Seen = TypeVar("Seen")

DEADLINE: Final = 15.0
# Asked about thirty times a second at first, and the longer it takes the more rarely: a question costs time of the processors
# on which what is waited for happens. At most a twentieth of a wait is lost.
_SHORTEST: Final = 0.03
_LONGEST: Final = 0.2
_SHARE: Final = 1 / 20


class NotYet(AssertionError):
    """A condition did not come true before its deadline; the message shows the last state."""


def wait_for(condition: Callable[[], Seen], deadline: float = DEADLINE, *, what: str = "") -> Seen:
    """Wait for the condition and return its first true value; failed assertions inside it count as false.

    Raises:
        NotYet: it did not become true in `deadline` seconds.
    """
    began = time.monotonic()
    while True:
        try:
            answer = condition()
            if answer:
                return answer
            last: object = f"{answer!r}"
        except (AssertionError, LookupError) as error:
            last = error
        waited = time.monotonic() - began
        if waited > deadline:
            raise NotYet(f"{what or 'the condition'}: not within {deadline:.0f} s; last: {last}")
        time.sleep(min(max(waited * _SHARE, _SHORTEST), _LONGEST))
