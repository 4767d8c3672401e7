"""The traffic of a pod or a workload: requests or messages per second, their errors and their durations. Pure."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from shop_operator.cli.top.exposition import Sample

P95: Final = 0.95
_INFINITY: Final = math.inf


@dataclass(frozen=True)
class Family:
    """The metrics of one kind of traffic, as a counter and a histogram.

    Args:
        counter: counter of requests or messages.
        histogram: name of the histogram of their durations in seconds.
        outcome: label of the counter with the outcome.
        failures: values of that label that are errors, or their first characters.
    """

    counter: str
    histogram: str
    outcome: str
    failures: tuple[str, ...]

    @property
    def bucket(self) -> str:
        """The name of the buckets."""
        return f"{self.histogram}_bucket"

    def is_failure(self, outcome: str) -> bool:
        """Whether an outcome is an error."""
        return outcome.startswith(self.failures)


REQUESTS: Final = Family("http_requests_total", "http_request_duration_seconds", "status", ("5",))
MESSAGES: Final = Family("messages_processed_total", "message_duration_seconds", "result", ("failed",))
FAMILIES: Final = (REQUESTS, MESSAGES)
NAMES: Final = frozenset(name for each in FAMILIES for name in (each.counter, each.bucket))


@dataclass(frozen=True)
class Traffic:
    """Counts since the start of a process, or rates per second.

    Args:
        total: requests or messages.
        errors: those that failed.
        buckets: upper bound of a duration in seconds -> requests or messages that took no longer.
    """

    total: float = 0.0
    errors: float = 0.0
    buckets: Mapping[float, float] = field(default_factory=dict)

    def __add__(self, other: "Traffic") -> "Traffic":
        bounds = self.buckets.keys() | other.buckets.keys()
        return Traffic(
            self.total + other.total,
            self.errors + other.errors,
            {each: self.buckets.get(each, 0.0) + other.buckets.get(each, 0.0) for each in bounds},
        )

    def since(self, before: "Traffic", seconds: float) -> "Traffic":
        """The rates between two counts. A restart, after which a counter is lower, resets all of them to zero."""
        is_reset = (
            self.total < before.total
            or self.errors < before.errors
            or any(self.buckets.get(each, 0.0) < then for each, then in before.buckets.items())
        )
        known = Traffic() if is_reset else before
        return Traffic(
            (self.total - known.total) / seconds,
            (self.errors - known.errors) / seconds,
            {each: (now - known.buckets.get(each, 0.0)) / seconds for each, now in self.buckets.items()},
        )

    @property
    def error_rate(self) -> float | None:
        """The share of errors, from 0 to 1; None without traffic."""
        return self.errors / self.total if self.total else None

    @property
    def p95(self) -> float | None:
        """The 95th percentile of the durations in seconds, interpolated like histogram_quantile; None without traffic."""
        return quantile(P95, self.buckets)

    @classmethod
    def of(cls, found: Iterable[Sample], family: Family) -> Self | None:
        """The traffic of one family in samples; None if they contain no counter of the family."""
        total = errors = 0.0
        buckets: dict[float, float] = {}
        is_there = False
        for each in found:
            if each.name == family.counter:
                is_there = True
                total += each.value
                errors += each.value if family.is_failure(each.labels.get(family.outcome, "")) else 0.0
            elif each.name == family.bucket:
                bound = _bound(each.labels.get("le", ""))
                buckets[bound] = buckets.get(bound, 0.0) + each.value
        return cls(total, errors, buckets) if is_there else None


def quantile(share: float, buckets: Mapping[float, float]) -> float | None:
    """A quantile of a cumulative histogram, interpolated within its bucket.

    The result is at most the highest finite bound, as in Prometheus.

    Args:
        share: from 0 to 1.
        buckets: upper bound -> count or rate of values up to it, including the bound +Inf.
    """
    total = buckets.get(_INFINITY, 0.0)
    if total <= 0:
        return None
    lower = below = 0.0
    for bound, count in sorted(buckets.items()):
        if count >= share * total:
            if bound == _INFINITY:
                return lower or None
            return (
                lower + (bound - lower) * (share * total - below) / (count - below)
                if count > below
                else bound
            )
        lower, below = bound, count
    return lower or None


def _bound(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return _INFINITY
