"""Since when nothing was heard of a kind: a watch that is deaf looks like a cluster in which nothing happens.

The API server sends a bookmark every minute or so, and ends each watch after eight minutes at most, so that silence has an
end. A kind that could be neither listed nor watched for longer makes the process not ready.
"""

import time
from collections.abc import Callable, Iterable
from typing import Final

DEAF: Final = 600.0
"""Seconds of silence after which the process is not ready."""
_ANSWERING: Final = 60.0
HOPELESS: Final = 1200.0
"""Seconds of silence, while the API server answers other requests, after which a new process shall try."""


Source = tuple[str, str]


class Hearing:
    """When each source of news was heard last.

    Args:
        sources: what is listened to: kinds, each in a namespace or (empty) in all.
        clock: a steady clock in seconds.
    """

    def __init__(self, sources: Iterable[Source], clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        now = clock()
        self._heard = dict.fromkeys(sources, now)

    def heard(self, source: Source) -> None:
        """There was a page, an event, a bookmark, or the end of a watch."""
        self._heard[source] = self._clock()

    def silence(self) -> dict[str, float]:
        """Seconds since each kind was heard, in that namespace where it is longest."""
        now = self._clock()
        longest: dict[str, float] = {}
        for (kind, _), at in self._heard.items():
            longest[kind] = max(longest.get(kind, 0.0), now - at)
        return longest

    def deaf(self, seconds: float = DEAF) -> list[str]:
        """The kinds that were silent for longer."""
        return sorted(kind for kind, silent in self.silence().items() if silent > seconds)

    def problem(self) -> str | None:
        """A sentence that names the kinds that are not heard, None when all are."""
        deaf = self.deaf()
        return f"nothing was heard of {', '.join(deaf)} for {DEAF / 60:.0f} minutes" if deaf else None

    def hopeless(self, answered: float) -> str | None:
        """A sentence when a new process, with connections of its own, should try; it gives the lease away as well.

        Args:
            answered: when the API server answered any request last, on the same clock.
        """
        answers = self._clock() - answered < _ANSWERING
        return self.problem() if answers and self.deaf(HOPELESS) else None
