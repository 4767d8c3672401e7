"""The output of a command: lines, numbered steps with their durations, and errors that say what to do."""

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
    """Numbered steps, printed with their durations.

    Args:
        total: how many steps there will be.
    """

    total: int
    done: int = 0
    started: float = field(default_factory=time.monotonic)

    @contextmanager
    def step(self, title: str, expect: str = "") -> Iterator[None]:
        """Print a step with its usual duration, and then its actual one."""
        self.done += 1
        hint = f"  (usually {expect})" if expect else ""
        say(f"{bold(f'[{self.done}/{self.total}]')} {title}{hint}")
        start = time.monotonic()
        yield
        say(
            f"      done in {time.monotonic() - start:.1f} s, {time.monotonic() - self.started:.0f} s in total"
        )


def bold(text: str) -> str:
    """The text in bold on a terminal; unchanged in a file, in a pipe, or with NO_COLOR."""
    return f"\033[1m{text}\033[0m" if sys.stdout.isatty() and not os.environ.get("NO_COLOR") else text


def say(line: str) -> None:
    """Print one line immediately."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def say_aside(line: str) -> None:
    """Print one line immediately on standard error, so that standard output contains only results."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def run(
    command: Sequence[str], *, env: Mapping[str, str], show: bool = False, stdin: str | None = None
) -> str:
    """Run a command and return its output.

    Args:
        command: program and arguments.
        env: its complete environment.
        show: print its output immediately and return an empty text.
        stdin: text for its standard input.

    Raises:
        CommandError: when the program is missing or fails; includes the end of its output.
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
