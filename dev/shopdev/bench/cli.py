"""Run one of the benchmarks of docs/benchmarks.md; each prints its tables in Markdown."""

import argparse
import importlib
import signal
from collections.abc import Mapping, Sequence
from typing import Final, NoReturn

BENCHMARKS: Final[Mapping[str, str]] = {
    "shopservices": "speed and memory of the operator, in about 15 minutes",
    "shop": "CPU, memory and AWS calls of the shop, in about 20 minutes",
    "functions": "start and answer of a Lambda function beside its container, in about a minute",
    "catalogue": "import of a catalogue of 100,000 rows, in about five minutes",
    "scaling": "replica counts of two autoscalers under a saw-tooth load on the node of `make demo`, in about 13 minutes",
    "storefront": "size and first contentful paint of the pages in Chromium, in about two minutes",
    "reload": "time from the change of a file until `make dev` serves it, in about a minute",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one benchmark and return the exit code."""
    described = "".join(f"\n  {name:<13} {text}" for name, text in BENCHMARKS.items())
    parser = argparse.ArgumentParser(
        prog="dev/bench",
        description=__doc__,
        epilog=f"benchmarks:{described}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("benchmark", choices=BENCHMARKS)
    parser.add_argument("options", nargs=argparse.REMAINDER, help="`dev/bench NAME --help` lists them")
    chosen = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, _end)
    # Imported here, because the benchmarks need different packages, and some measure this process.
    code: int = importlib.import_module(f"shopdev.bench.{chosen.benchmark}").main(chosen.options)
    return code


def _end(number: int, _frame: object) -> NoReturn:
    """End as after an exception, so that the processes that the benchmark started end, too."""
    raise SystemExit(128 + number)
