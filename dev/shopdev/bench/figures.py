"""Measured figures, their bounds, and their tables in Markdown. Pure."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

HEAD: Final = ("what", "measured", "must", "aim", "met")


@dataclass(frozen=True)
class Run:
    """The cost of reconciling a number of new ShopServices.

    Args:
        number: number of ShopServices.
        seconds: seconds until all had their children and their status.
        server: CPU seconds of the API server.
        own: CPU seconds of the operator, or of the bare loop.
        writes: number of write requests.
        reads: number of read requests, without the watches, which started before.
        resident: memory of the operator in MB before the first ShopService.
    """

    number: int
    seconds: float
    server: float
    own: float
    writes: float = 0.0
    reads: float = 0.0
    resident: float = 0.0

    @property
    def rate(self) -> float:
        """ShopServices per second."""
        return self.number / self.seconds

    @property
    def server_ms(self) -> float:
        """CPU milliseconds of the API server per ShopService."""
        return self.server / self.number * 1000

    @property
    def own_ms(self) -> float:
        """CPU milliseconds of the program per ShopService."""
        return self.own / self.number * 1000


@dataclass(frozen=True)
class Bound:
    """The required and the intended bound of a figure; smaller is better unless `more` is set."""

    must: float
    aim: float
    unit: str = ""
    more: bool = False

    def met(self, value: float) -> str:
        """The bounds that a value meets."""
        if self.more:
            return "aim" if value >= self.aim else "must" if value >= self.must else "MISSED"
        return "aim" if value <= self.aim else "must" if value <= self.must else "MISSED"

    def row(self, what: str, value: float, text: str) -> tuple[str, ...]:
        """A row under HEAD."""
        sign = "≥" if self.more else "≤"
        must, aim = (
            f"{sign} {each:g} {self.unit}".strip() if each or self.more else "0"
            for each in (self.must, self.aim)
        )
        return (what, text, must, aim, self.met(value))


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share of the values lies."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def spread(values: Sequence[float], digits: int = 2, unit: str = "") -> str:
    """The median, the minimum and the maximum."""
    middle = f"{statistics.median(values):.{digits}f}{unit}"
    return f"{middle} ({min(values):.{digits}f} to {max(values):.{digits}f})" if len(values) > 1 else middle


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in lines) + "\n"
