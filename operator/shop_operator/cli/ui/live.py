"""Server-sent events: one whenever the ShopServices have changed. The page then loads itself again."""

import threading
from collections.abc import Iterator
from typing import Final

from shop_operator.cli.ui.fleet import Fleet

MOST_STREAMS: Final = 24
_SILENCE: Final = 10.0


class Streams:
    """The open streams, each of which keeps a thread busy.

    Args:
        fleet: the ShopServices.
        most: number of streams that may be open at the same time.
    """

    def __init__(self, fleet: Fleet, most: int = MOST_STREAMS) -> None:
        self._fleet = fleet
        self._free = threading.BoundedSemaphore(most)

    def events(self, seen: int) -> Iterator[str]:
        """The events after this version. If too many streams are open, the browser polls until it may try again."""
        if not self._free.acquire(blocking=False):
            yield "retry: 30000\n\n"
            return
        try:
            yield "retry: 1000\n\n"
            while not self._fleet.is_over:
                version = self._fleet.wait(seen, _SILENCE)
                # The comment finds out whether the browser is still there.
                yield ": \n\n" if version == seen else f"event: changed\nid: {version}\ndata: {version}\n\n"
                seen = version
        finally:
            self._free.release()
