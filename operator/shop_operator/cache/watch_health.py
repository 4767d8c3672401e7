"""The silence of each watch: a broken watch looks like a cluster in which nothing changes.

The API server sends a bookmark about every minute, and ends each watch after at most eight minutes. A kind that has been silent
for longer, and can be neither listed nor watched, makes the process not ready.
"""

import time
from collections.abc import Callable, Iterable
from typing import Final

SILENT: Final = 600.0
"""Seconds of silence after which the process is not ready."""
HOPELESS: Final = 1200.0
"""Seconds of silence, while the API server answers other requests, after which the process is restarted."""
_ANSWERING: Final = 60.0


Source = tuple[str, str]
"""A kind in one namespace, or in all namespaces if that is empty."""


class WatchHealth:
    """The time of the last message from each source.

    Args:
        sources: what is watched.
        clock: a steady clock in seconds.
    """

    def __init__(self, sources: Iterable[Source], clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        now = clock()
        self._heard = dict.fromkeys(sources, now)

    def heard(self, source: Source) -> None:
        """Record a page, an event, a bookmark, or the end of a watch."""
        self._heard[source] = self._clock()

    def silence(self) -> dict[str, float]:
        """Seconds since the last message, by kind; of several namespaces, the longest silence."""
        now = self._clock()
        longest: dict[str, float] = {}
        for (kind, _), at in self._heard.items():
            longest[kind] = max(longest.get(kind, 0.0), now - at)
        return longest

    def silent(self, seconds: float = SILENT) -> list[str]:
        """The kinds that have been silent for longer."""
        return sorted(kind for kind, silent in self.silence().items() if silent > seconds)

    def problem(self) -> str | None:
        """A sentence that names the silent kinds, None if there are none."""
        silent = self.silent()
        if not silent:
            return None
        return f"no watch event or bookmark of {', '.join(silent)} for {SILENT / 60:.0f} minutes"

    def hopeless(self, answered: float) -> str | None:
        """The reason to restart the process, None if a restart would not help; a new process has new connections.

        Args:
            answered: the time of the last response of the API server to any request, on the same clock.
        """
        answers = self._clock() - answered < _ANSWERING
        return self.problem() if answers and self.silent(HOPELESS) else None
