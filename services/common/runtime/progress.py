"""Detects a loop that runs without making progress.

A loop survives every failure of its dependencies, so its process could look healthy although it does nothing. A loop is not
ready if its work has failed for a minute without a success. A single failing message or row does not make it unready.
"""

import threading
import time
from collections.abc import Callable

PATIENCE_SECONDS = 60.0
# If one piece of work fails, the piece is at fault; if two fail without a success in between, the loop is.
PIECES = 2


class NoProgress(Exception):
    """The loop has work, but has made no progress for a while."""


class Progress:
    """The recent progress of a loop. Safe to share between threads.

    Args:
        what: the failure, for the message.
        monotonic: monotonic clock, in seconds.
    """

    def __init__(self, what: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._missed: dict[str, Exception] = {}
        self._since = 0.0

    def made(self) -> None:
        """Records a success."""
        with self._lock:
            self._missed.clear()

    def missed(self, piece: str, error: Exception) -> None:
        """Records the failure of a piece of work. An empty piece stands for the whole loop."""
        with self._lock:
            if not self._missed:
                self._since = self._monotonic()
            if len(self._missed) < PIECES or piece in self._missed:
                self._missed[piece] = error

    def check(self) -> None:
        """Checks that the loop is idle or makes progress.

        Raises:
            NoProgress: it makes no progress; the message contains the duration and the last error.
        """
        with self._lock:
            stalled = "" in self._missed or len(self._missed) >= PIECES
            seconds = self._monotonic() - self._since
            if stalled and seconds > PATIENCE_SECONDS:
                last = next(reversed(self._missed.values()))
                raise NoProgress(f"{self._what}: no progress for {seconds:.0f} s; last error: {last!r}")
