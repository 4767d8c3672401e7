"""Responses of the last second, so that many requests for the same product read it once.

A product that is shown to many customers at once is requested far more often than it changes. The price that a customer pays is
decided when the order is placed, and the stock when it is reserved, never by what was shown.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

# Maximum age of a response in seconds.
KEPT: Final = 1.0
# Maximum number of responses: a few hundred bytes each.
MOST: Final = 1000


@dataclass(frozen=True, slots=True)
class Shown:
    """The body of a response, and its entity tag (RFC 9110, 8.8.3)."""

    body: bytes
    etag: str


class Recent:
    """The responses of the last second, by key. Safe to share between threads.

    Args:
        monotonic: monotonic clock, in seconds.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._kept: dict[str, tuple[float, Shown]] = {}

    def get(self, key: str, render: Callable[[], bytes]) -> Shown:
        """The response of a key: that of the last second, or the result of `render`. Its errors are not kept."""
        now = self._monotonic()
        found = self._kept.get(key)
        if found is not None and now < found[0]:
            return found[1]
        body = render()
        shown = Shown(body, f'"{sha256(body).hexdigest()[:32]}"')
        if len(self._kept) >= MOST:
            self._kept = {}
        # From the time before the read: the response may be as old as that.
        self._kept[key] = (now + KEPT, shown)
        return shown
