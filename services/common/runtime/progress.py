"""Whether a loop that keeps turning gets anything done.

A loop survives every failure of what it needs, so its process looks well while it does nothing. What a loop cannot do
for a minute, with nothing done since, makes it not ready. One message or row that fails alone does not.
"""

import threading
import time
from collections.abc import Callable

PATIENCE_SECONDS = 60.0
# A failure of one piece of work is that piece's; of two, with nothing done in between, it is the loop's.
PIECES = 2


class NoProgress(Exception):
    """Nothing has been done for a while, and not for want of work."""


class Progress:
    """What a loop has done lately; safe to share between threads.

    Args:
        what: what the loop does, for the message.
        monotonic: seconds that pass.
    """

    def __init__(self, what: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._missed: dict[str, Exception] = {}
        self._since = 0.0

    def made(self) -> None:
        """Notes that something was done."""
        with self._lock:
            self._missed.clear()

    def missed(self, piece: str, error: Exception) -> None:
        """Notes that a piece of work failed. An empty piece stands for the loop as a whole."""
        with self._lock:
            if not self._missed:
                self._since = self._monotonic()
            if len(self._missed) < PIECES or piece in self._missed:
                self._missed[piece] = error

    def check(self) -> None:
        """Returns when the loop has nothing to do or gets it done.

        Raises:
            NoProgress: since when it has not, and the last error.
        """
        with self._lock:
            stalled = "" in self._missed or len(self._missed) >= PIECES
            seconds = self._monotonic() - self._since
            if stalled and seconds > PATIENCE_SECONDS:
                last = next(reversed(self._missed.values()))
                raise NoProgress(f"{self._what}: nothing done for {seconds:.0f} s; last error: {last!r}")
