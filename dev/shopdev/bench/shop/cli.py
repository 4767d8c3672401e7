"""Measure the speed and memory of the shop in comparison with bare boto3 that sends the same AWS calls.

The shop runs as processes with an AWS emulator on loopback. The CPU is that of the processes under test, from /proc, so the emulator
and the load are not part of it. The bare loop repeats recorded calls against recorded responses. All sections are part of one run, so
that the ratios are meaningful on a shared machine. The output is tables in Markdown. Requires Linux.
"""

import argparse
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Final

from shopdev.bench.shop import consumers, search, sections, telemetry, where
from shopdev.bench.shop.rig import Measured, running
from shopdev.bench.shop.sections import Sizes
from shopdev.console import CommandError, say_aside
from shopdev.processes.emulator import Emulator

TITLES: Final[Mapping[str, str]] = {
    "orders": "POST /orders",
    "products": "GET /products/{sku}",
    "whole": "A whole order",
    "where": "Where the time of an order goes",
    "search": "Search",
    "consumers": "Several consumers",
    "telemetry": "Telemetry",
}
SINGLE: Final = 20
"""Orders that are placed one after another on an idle system."""
QUIET: Final[Mapping[str, Callable[[Measured, Sizes], str]]] = {
    "orders": sections.orders,
    "products": sections.products,
    "where": lambda shop, _: where.where(shop, SINGLE),
    "search": search.search,
    "consumers": consumers.consumers,
}
"""The sections that measure a shop without traces."""


class Bench:
    """The shops of one run, each started when the first section needs it."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._emulator: Emulator | None = None
        self._shops: dict[str, Measured] = {}
        self._sink: telemetry.Sink | None = None

    @property
    def collector(self) -> telemetry.Sink:
        """The collector of the spans."""
        if self._sink is None:
            self._sink = self._stack.enter_context(telemetry.sink())
        return self._sink

    @property
    def quiet(self) -> Measured:
        """The shop without traces."""
        return self._shop("bench", {})

    @property
    def traced(self) -> Measured:
        """The shop that sends traces to the collector."""
        return self._shop("traced", {"OTEL_EXPORTER_OTLP_ENDPOINT": self.collector.url})

    def measured(self, section: str, sizes: Sizes) -> str:
        """The tables of a section."""
        if section == "telemetry":
            return telemetry.telemetry(self.quiet, self.traced, self.collector, sizes)
        if section == "whole":
            return sections.whole(self.traced, sizes)
        return QUIET[section](self.quiet, sizes)

    def _shop(self, prefix: str, environment: Mapping[str, str]) -> Measured:
        if self._emulator is None:
            self._emulator = Emulator(lambda *_: None)
            self._stack.callback(self._emulator.stop)
            self._emulator.start()
        if prefix not in self._shops:
            say_aside(f"starting the shop {prefix}")
            self._shops[prefix] = self._stack.enter_context(running(self._emulator, prefix, environment))
        return self._shops[prefix]


def sections_of(text: str) -> list[str]:
    """The sections of a comma-separated list, in the order of the benchmark.

    Raises:
        argparse.ArgumentTypeError: a section does not exist.
    """
    chosen = {each.strip() for each in text.split(",")}
    if unknown := sorted(chosen - set(TITLES)):
        raise argparse.ArgumentTypeError(f"no section {', '.join(unknown)}; there are {', '.join(TITLES)}")
    return [section for section in TITLES if section in chosen]


def parsed(argv: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="dev/bench shop", description="Compare the shop with bare boto3 that sends the same AWS calls."
    )
    parser.add_argument(
        "--only",
        type=sections_of,
        default=list(TITLES),
        metavar="SECTIONS",
        help=f"comma-separated sections to measure (default: {','.join(TITLES)})",
    )
    parser.add_argument(
        "--number", type=int, default=500, help="orders or requests of a round (default: 500)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="number of rounds (default: 3)")
    parser.add_argument(
        "--products", type=int, default=50_000, help="products of the search (default: 50,000)"
    )
    parser.add_argument("--idle", type=float, default=60, help="seconds to measure while idle (default: 60)")
    parser.add_argument("--quick", action="store_true", help="measure little, in two minutes")
    arguments = parser.parse_args(argv)
    if arguments.quick:
        arguments.number, arguments.rounds, arguments.products, arguments.idle = 50, 1, 2000, 5
    return arguments


def main(argv: Sequence[str]) -> int:
    """Print the tables and return the exit code."""
    arguments = parsed(argv)
    sizes = Sizes(arguments.number, arguments.rounds, arguments.products, arguments.idle)
    print(
        f"{platform.machine()}, {os.cpu_count()} processors, {platform.system()}, Python {platform.python_version()}; "
        f"{sizes.rounds} round(s) of {sizes.number}\n"
    )
    try:
        with ExitStack() as stack:
            bench = Bench(stack)
            for section in arguments.only:
                say_aside(f"measuring: {TITLES[section]}")
                print(f"### {TITLES[section]}\n\n{bench.measured(section, sizes)}", flush=True)
    except CommandError as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1
    return 0
