"""The delays before a rejected change is sent again: a policy may be removed without an event that the operator watches."""

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
    """The rejections of one ShopService.

    Attributes:
        generation: of the rejected spec.
        times: the number of rejected attempts that were due.
        due: the time of the next attempt.
    """

    generation: int
    times: int
    due: float


class Refusals:
    """The times of the next attempts: 15 seconds after the first rejection, doubled up to 5 minutes, with jitter.

    Args:
        clock: a steady clock in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[tuple[str, str], _Refusal] = {}

    def next(self, key: tuple[str, str], generation: int) -> float:
        """Seconds until the rejected spec of that generation is sent again.

        A pass after an event sends it earlier, and does not increase the next delay.
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
        """Forget a ShopService that is accepted or deleted."""
        self._known.pop(key, None)

    def clear(self) -> None:
        """Forget all ShopServices."""
        self._known.clear()
