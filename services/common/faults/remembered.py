"""The switchboard as it was up to a second ago, so that a switch takes effect within a second, at the cost of one read."""

import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

from services.common.faults.switches import Fault
from services.common.telemetry import logs, tracing
from services.common.values.errors import Unavailable

log = logs.logger(__name__)
REMEMBERED_SECONDS: Final = 1.0


class Readable(Protocol):
    """A switchboard that can be read."""

    def on(self) -> frozenset[Fault]:
        """The faults that are on.

        Raises:
            Unavailable: the switchboard cannot be read.
        """


class Remembered:
    """The faults that are on, read at most once a second. None are on while they cannot be read. Safe to share between threads.

    Args:
        switchboard: switches of all faults.
        monotonic: monotonic clock, in seconds.
    """

    def __init__(self, switchboard: Readable, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._switchboard = switchboard
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._on: frozenset[Fault] = frozenset()
        self._until = float("-inf")

    def on(self) -> frozenset[Fault]:
        """The faults that are on, as of a second ago."""
        with self._lock:
            if self._monotonic() >= self._until:
                self._on = self._read()
                self._until = self._monotonic() + REMEMBERED_SECONDS
            return self._on

    def _read(self) -> frozenset[Fault]:
        try:
            # The trace of an order shows its own steps only.
            with tracing.untraced():
                return self._switchboard.on()
        except Unavailable as error:
            log.warning("faults_not_read", error=str(error))
            return frozenset()
