"""When a refused change is sent again: a policy that denies it may go without any change that the operator watches."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

FIRST: Final = 15.0
LONGEST: Final = 300.0
_JITTER: Final = 0.2


@dataclass
class _Refusal:
    """The last refusals of one ShopService.

    Attributes:
        generation: of the spec that was refused.
        times: how often it was sent when it was due.
        due: when it is sent again, on the clock.
    """

    generation: int
    times: int
    due: float


class Refusals:
    """The times of the next attempts: 15 seconds after the first refusal, doubled up to 5 minutes, with jitter.

    Args:
        clock: a steady clock in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[tuple[str, str], _Refusal] = {}

    def next(self, key: tuple[str, str], generation: int) -> float:
        """Seconds until the spec of that generation, which was refused just now, is sent again.

        A pass that an event brought sends it earlier, and does not make the next wait longer.
        """
        known = self._known.get(key)
        if known is None or known.generation != generation:
            known = self._known[key] = _Refusal(generation, 0, self._clock())
        if known.due <= self._clock():
            pause = min(FIRST * 2 ** min(known.times, 16), LONGEST)
            known.times += 1
            known.due = self._clock() + pause * random.uniform(1 - _JITTER, 1)  # noqa: S311  spread, not secrecy
        return known.due - self._clock()

    def forget(self, key: tuple[str, str]) -> None:
        """Drop the refusals of a ShopService that is accepted or deleted."""
        self._known.pop(key, None)

    def clear(self) -> None:
        """Drop all refusals."""
        self._known.clear()
