"""Limits of requests per caller: a token bucket for each, which fills at a rate and empties by requests.

The API Gateway's limits are over all callers, so that one could use them up; these are each caller's own, per process.
"""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from services.common.http.errors import TooManyRequests

Seconds = Callable[[], float]

# Callers that are tracked at once; the one idle for longest is dropped, and starts with a full bucket.
MOST_CALLERS = 10_000


class Rates:
    """The buckets of all callers; safe to share between threads.

    Args:
        per_second: requests a second that each caller may send for ever.
        burst: how many may come at once.
        clock: seconds that never go back.
    """

    def __init__(self, per_second: float, burst: int, clock: Seconds = time.monotonic) -> None:
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str) -> None:
        """Counts a request.

        Raises:
            TooManyRequests: when the caller's bucket is empty.
        """
        with self._lock:
            now = self._clock()
            left, at = self._buckets.pop(caller, (float(self._burst), now))
            left = min(self._burst, left + (now - at) * self._per_second)
            allowed = left >= 1
            self._buckets[caller] = (left - 1 if allowed else left, now)
            if len(self._buckets) > MOST_CALLERS:
                self._buckets.popitem(last=False)
        if not allowed:
            wait = math.ceil((1 - left) / self._per_second)
            raise TooManyRequests(
                f"at most {self._per_second:g} requests a second are answered; send the same again in {wait} s",
                retry_after=wait,
            )
