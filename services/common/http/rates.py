"""Rate limits per caller and process, by token buckets.

The limits of the API Gateway apply to all callers together, so that a single caller could exhaust them.
"""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from services.common.http.errors import TooManyRequests

Seconds = Callable[[], float]

# Number of tracked callers. The caller that is idle for longest is removed, and starts again with a full bucket.
MOST_CALLERS = 10_000


class Rates:
    """The token buckets of all callers. Safe to share between threads.

    Args:
        per_second: sustained requests per second of each caller.
        burst: requests that a caller may send at once.
        clock: monotonic clock, in seconds.
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
            TooManyRequests: the bucket of the caller is empty.
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
                f"the rate limit of {self._per_second:g} requests per second is exceeded; retry in {wait} s",
                retry_after=wait,
            )
