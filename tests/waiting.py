"""Waiting for a condition with a deadline: the only way in which a test here spends time."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

Seen = TypeVar("Seen")

DEADLINE: Final = 15.0


class NotYet(AssertionError):
    """A condition did not come true before its deadline; the message shows the last state."""


def wait_for(condition: Callable[[], Seen], deadline: float = DEADLINE, *, what: str = "") -> Seen:
    """What the condition answers as soon as that is true; assertions inside it count as not yet.

    Raises:
        NotYet: it did not become true in `deadline` seconds.
    """
    end = time.monotonic() + deadline
    while True:
        try:
            answer = condition()
            if answer:
                return answer
            last: object = f"{answer!r}"
        except (AssertionError, LookupError) as error:
            last = error
        if time.monotonic() > end:
            raise NotYet(f"{what or 'the condition'}: not within {deadline:.0f} s; last: {last}")
        time.sleep(0.03)
