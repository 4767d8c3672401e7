"""The benchmark of the shop; docs/benchmarks.md contains the results."""

from shopdev.bench.shop.cli import main

__all__ = ["main"]
