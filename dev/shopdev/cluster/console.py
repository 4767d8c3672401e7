"""Progress and errors of `dev/cluster`."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


class ClusterError(Exception):
    """Something the user has to know; the message says what to do next."""


def say(line: str) -> None:
    """Print one line at once."""
    sys.stdout.write(f"cluster: {line}\n")
    sys.stdout.flush()


@contextmanager
def timed(what: str, expect: str = "") -> Iterator[None]:
    """Announce what begins, with its usual duration, and say afterwards what it took."""
    say(f"{what} …" + (f" (usually {expect})" if expect else ""))
    start = time.monotonic()
    yield
    say(f"{what}: {time.monotonic() - start:.1f} s")
