"""`make load`: customers who browse and buy in the running shop, and a table of the responses.

The shop is that of `make dev` or, if none is running, that of `make demo`. Exits with 1 if a request fails.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from shopdev import environment_file
from shopdev.checkout import ROOT
from shopdev.console import say

LOCUST: Final = ROOT / ".venv-load" / "bin" / "locust"
LOCUSTFILE: Final = Path(__file__).with_name("locustfile.py")
MOST_CUSTOMERS: Final = 200
LONGEST_SECONDS: Final = 3600


def main(argv: list[str] | None = None) -> int:
    """Run the load and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="dev/load", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--customers", type=_up_to(MOST_CUSTOMERS), default=5, help="each acts every second (default: 5)"
    )
    parser.add_argument("--seconds", type=_up_to(LONGEST_SECONDS), default=60, help="(default: 60)")
    chosen = parser.parse_args(argv)
    file = _addresses()
    known = (environment_file.parse(file.read_text()) if file else {}) | dict(os.environ)
    if "API_URL" not in known:
        sys.stderr.write("dev/load: no shop is running: run `make dev` in another terminal, or `make demo`\n")
        return 1
    if "AWS_ENDPOINT_URL" not in known:
        sys.stderr.write(
            "dev/load: this shop runs on AWS, where a load costs money; run dev/load only with the emulator\n"
        )
        return 1
    if not LOCUST.is_file():
        sys.stderr.write("dev/load: Locust is not installed: run `make load`\n")
        return 1
    say(
        f"{chosen.customers} customers at {known['API_URL']} for {chosen.seconds} s; press Ctrl-C to stop earlier"
    )
    options = f" --env-file {file}" if file else ""
    token = f"{sys.executable} {ROOT / 'dev' / 'token'} alice{options}"
    users = str(chosen.customers)
    done = subprocess.run(
        [
            *(str(LOCUST), "--locustfile", str(LOCUSTFILE), "--headless", "--only-summary"),
            *("--host", known["API_URL"], "--users", users, "--spawn-rate", users),
            *("--run-time", f"{chosen.seconds}s", "--stop-timeout", "10", "--loglevel", "WARNING"),
        ],
        env={**os.environ, "LOAD_TOKEN_COMMAND": token},
        check=False,
    )
    say(
        "Next: during another run, watch `kubectl shop top -n shop` on Kubernetes, or the staff pages of the storefront"
    )
    return done.returncode


def _addresses() -> Path | None:
    """The file with the addresses of the shop: `make dev` removes its own when it ends."""
    demo = environment_file.OF_DEMO
    found = sorted(demo.parent.glob("shop-*.env"), key=lambda file: file.stat().st_mtime)
    return found[-1] if found else demo if demo.is_file() else None


def _up_to(most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isdecimal() or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"must be a number from 1 to {most}")
        return int(text)

    return number
