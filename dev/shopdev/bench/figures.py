"""What was measured, judged and laid out in Markdown. Pure."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

HEAD: Final = ("what", "measured", "must", "aim", "met")


@dataclass(frozen=True)
class Run:
    """What it took to make so many ShopServices true.

    Args:
        number: of ShopServices.
        seconds: until all had their children and their status.
        server: seconds of CPU of the API server.
        own: seconds of CPU of the operator, or of the bare loop.
        writes: requests that wrote.
        reads: requests that read; those of the watches are from before.
    """

    number: int
    seconds: float
    server: float
    own: float
    writes: float = 0.0
    reads: float = 0.0

    @property
    def rate(self) -> float:
        """How many a second."""
        return self.number / self.seconds

    @property
    def server_ms(self) -> float:
        """Milliseconds of the API server's CPU for each."""
        return self.server / self.number * 1000

    @property
    def own_ms(self) -> float:
        """Milliseconds of the program's own CPU for each."""
        return self.own / self.number * 1000


@dataclass(frozen=True)
class Bound:
    """What a figure must be, and is aimed to be; the smaller the better unless `more`."""

    must: float
    aim: float
    unit: str = ""
    more: bool = False

    def met(self, value: float) -> str:
        """Which of the two a value is within."""
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
    """The value below which that share of all is."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def spread(values: Sequence[float], digits: int = 2, unit: str = "") -> str:
    """The median, and from where to where all are."""
    middle = f"{statistics.median(values):.{digits}f}{unit}"
    return f"{middle} ({min(values):.{digits}f} to {max(values):.{digits}f})" if len(values) > 1 else middle


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in lines) + "\n"
