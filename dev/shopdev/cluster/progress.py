"""Progress and errors of `dev/cluster`."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from shopdev import console


class ClusterError(console.CommandError):
    """The cluster, or a tool, is not what the command needs; the message says what to do next."""


def say(line: str) -> None:
    """Print one line at once, as one of this command."""
    console.say(f"cluster: {line}")


@contextmanager
def timed(what: str, expect: str = "") -> Iterator[None]:
    """Announce what begins, with its usual duration, and say afterwards what it took."""
    say(f"{what} …" + (f" (usually {expect})" if expect else ""))
    start = time.monotonic()
    yield
    say(f"{what}: {time.monotonic() - start:.1f} s")
