"""Measure how long `make dev` takes from the change of a file until the processes that import it are ready again.

This takes about a minute. It touches files under services/ without changing them.
"""

import argparse
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from shopdev.checkout import ROOT
from shopdev.ports import free_port

# Files that affect one process, an API and its workers, every API, and all processes.
FILES: Final = (
    "services/order/relay.py",
    "services/order/api.py",
    "services/product/domain.py",
    "services/order/domain.py",
    "services/common/http/web.py",
    "services/common/values/clock.py",
)
TIMES: Final = 3


@contextmanager
def shop() -> Iterator[Iterator[str]]:
    """The output of a running `make dev`."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "dev" / "shop"), "--port", str(free_port())],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if process.stdout is None:
        raise SystemExit("no output of dev/shop")
    try:
        yield iter(process.stdout)
    finally:
        process.send_signal(signal.SIGINT)
        for _ in process.stdout:
            pass
        process.wait()


def wait_for(lines: Iterator[str], pattern: str) -> "re.Match[str]":
    """The first line that matches a pattern.

    Raises:
        SystemExit: when the program ends before, or a process does not become ready.
    """
    for line in lines:
        if found := re.search(pattern, line):
            return found
        if "was not ready within" in line or "exited with code" in line:
            break
    raise SystemExit(f"dev/shop printed no line with {pattern!r}: run it to see why")


def main(argv: Sequence[str]) -> int:
    """Print the table and return the exit code."""
    argparse.ArgumentParser(
        prog="dev/bench reload", description="Measure how long a change takes until `make dev` serves it."
    ).parse_args(argv)
    print(f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}\n")
    print(f"| changed file | restarted | serves again (median of {TIMES}) | slowest |\n|---|---|---|---|")
    with shop() as lines:
        wait_for(lines, "The shop is ready after")
        for file in FILES:
            seconds, restarted = [], ""
            for _ in range(TIMES):
                began = time.monotonic()
                (ROOT / file).touch()
                restarted = wait_for(lines, r"changed: restarting (.*)$")[1]
                wait_for(lines, "ready again after")
                seconds.append(time.monotonic() - began)
            count = len(restarted.split(", "))
            print(
                f"| {file} | {count} | {statistics.median(seconds):.1f} s | {max(seconds):.1f} s |",
                flush=True,
            )
    return 0
