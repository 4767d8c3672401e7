"""What a person sees while a command works: lines, numbered steps with their times, and errors that say what to do."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

LINES_OF_A_FAILURE = 25


class CommandError(Exception):
    """A command cannot continue; the message says what to do next."""


@dataclass
class Steps:
    """Numbered steps, each printed with what it took.

    Args:
        total: how many steps there will be.
    """

    total: int
    done: int = 0
    started: float = field(default_factory=time.monotonic)

    @contextmanager
    def step(self, title: str, expect: str = "") -> Iterator[None]:
        """Announce a step with how long it usually takes, then say how long it took."""
        self.done += 1
        hint = f"  (usually {expect})" if expect else ""
        say(f"{bold(f'[{self.done}/{self.total}]')} {title}{hint}")
        start = time.monotonic()
        yield
        say(
            f"      done in {time.monotonic() - start:.1f} s, {time.monotonic() - self.started:.0f} s in total"
        )


def bold(text: str) -> str:
    """The text in bold on a terminal, and as it is in a file, a pipe, or with NO_COLOR."""
    return f"\033[1m{text}\033[0m" if sys.stdout.isatty() and not os.environ.get("NO_COLOR") else text


def say(line: str) -> None:
    """Print one line at once, so that a log shows when it happened."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def say_aside(line: str) -> None:
    """Print one line at once on standard error, apart from what a pipe may read."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def run(
    command: Sequence[str], *, env: Mapping[str, str], show: bool = False, stdin: str | None = None
) -> str:
    """Run a command and answer what it printed.

    Args:
        command: program and arguments.
        env: its whole environment.
        show: let its output through as it comes (then the answer is empty).
        stdin: text for its standard input.

    Raises:
        CommandError: when it is missing or exits non-zero, with the end of what it printed.
    """
    try:
        done = subprocess.run(
            command,
            env=dict(env),
            input=stdin,
            text=True,
            check=False,
            stdout=None if show else subprocess.PIPE,
            stderr=None if show else subprocess.STDOUT,
        )
    except FileNotFoundError:
        raise CommandError(f"{command[0]} is not installed or not on PATH") from None
    if done.returncode:
        tail = "\n".join((done.stdout or "").splitlines()[-LINES_OF_A_FAILURE:])
        raise CommandError(f"`{' '.join(command)}` failed with exit code {done.returncode}\n{tail}".rstrip())
    return done.stdout or ""
