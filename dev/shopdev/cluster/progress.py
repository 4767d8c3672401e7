"""Progress and errors of `dev/cluster`."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from shopdev import console


class ClusterError(console.CommandError):
    """The cluster or a tool does not meet a requirement; the message says what to do next."""


def say(line: str) -> None:
    """Print one line immediately, with the name of this command."""
    console.say(f"cluster: {line}")


@contextmanager
def timed(what: str, expect: str = "") -> Iterator[None]:
    """Print the beginning of a task with its usual duration, and then its actual duration."""
    say(f"{what}…" + (f" (usually {expect})" if expect else ""))
    start = time.monotonic()
    yield
    say(f"{what}: done in {time.monotonic() - start:.1f} s")
