"""A bounded load of GET requests at a steady rate, and what became of each request."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

RATE = 60
"""Requests per second."""
LONGEST = 240.0
"""Seconds after which the load ends on its own."""
_THREADS = 6


@dataclass(frozen=True)
class Answered:
    """A request.

    Attributes:
        began: when it was sent, on the steady clock.
        version: of the pod that answered; empty if none did.
        status: of the response; 0 without one.
        seconds: until the response.
    """

    began: float
    version: str
    status: int
    seconds: float


class Load:
    """The requests so far."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stop = threading.Event()
        self._seen: list[Answered] = []

    def since(self, began: float = 0.0) -> list[Answered]:
        """The requests that were sent after a time."""
        return [each for each in list(self._seen) if each.began >= began]

    def versions(self, began: float) -> Counter[str]:
        """The number of requests that each version has answered after a time."""
        return Counter(each.version for each in self.since(began))

    def work(self) -> None:
        """Send the share of one thread."""
        end, due = time.monotonic() + LONGEST, time.monotonic()
        with httpx.Client(timeout=5.0) as http:
            while time.monotonic() < end and not self._stop.wait(max(due - time.monotonic(), 0)):
                due = max(due + _THREADS / RATE, time.monotonic() - 1)
                self._seen.append(self._answered(http))

    def end(self) -> None:
        """Send no more."""
        self._stop.set()

    def _answered(self, http: httpx.Client) -> Answered:
        began = time.monotonic()
        version, status = "", 0
        try:
            answer = http.get(self._url)
            status = answer.status_code
            version = str(answer.json()["version"])
        except (httpx.HTTPError, ValueError, LookupError):
            pass
        return Answered(began, version, status, time.monotonic() - began)


@contextmanager
def load(url: str) -> Iterator[Load]:
    """Send requests until the end of the context."""
    found = Load(url)
    threads = [threading.Thread(target=found.work) for _ in range(_THREADS)]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        found.end()
        for thread in threads:
            thread.join()
