"""Metrics of AWS Lambda functions, as log lines in the embedded metric format of Amazon CloudWatch.

A function cannot be scraped. After each invocation, it writes what the invocation added to the metrics of its process. Gauges
are left out: they describe a process that always runs.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, ClassVar, Final, ParamSpec, TypeVar

import orjson
from pydantic import Field

from services.common.runtime.settings import Environment
from services.common.telemetry.metrics import DEFINITIONS, Definition

# The namespace of a shop on AWS is below it: several shops can share an account.
NAMESPACE: Final = "Shop"
SERVICE: Final = "service"
# AWS limit of the values of one metric in a line.
MOST_VALUES: Final = 100

Given = ParamSpec("Given")
Result = TypeVar("Result")
# Name and value of each label that is part of a dimension set.
Series = tuple[tuple[str, str], ...]


class MetricsSettings(Environment):
    """Where Amazon CloudWatch keeps the metrics."""

    service: ClassVar[str] = "metrics"

    # The characters and the length are limits of AWS.
    metrics_namespace: str = Field(
        NAMESPACE,
        max_length=255,
        pattern="^[A-Za-z0-9._/#:-]+$",
        description="namespace of the metrics in Amazon CloudWatch",
    )


class Reporter:
    """Writes what was added to the metrics since its last report.

    Args:
        service: name of the service, which is a dimension of every metric.
    """

    def __init__(self, service: str) -> None:
        self._service = service
        self._namespace = MetricsSettings.load().metrics_namespace
        self._known: dict[tuple[str, Series], tuple[float, float]] = {}

    def report(self) -> None:
        """Writes the lines to standard output: one, unless two series of one metric changed; none if nothing did."""
        for line in self.lines():
            sys.stdout.write(orjson.dumps(line).decode() + "\n")
        sys.stdout.flush()

    def lines(self) -> list[dict[str, Any]]:
        """The lines as objects. The next call returns what was added after this one."""
        lines: list[dict[str, Any]] = []
        for definition, series, value in self._added():
            members = {**dict(series), SERVICE: self._service, definition.name: value}
            # A line has one value for each dimension.
            line = next((line for line in lines if _fits(members, line, definition.name)), None)
            if line is None:
                line = {"_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": []}}
                lines.append(line)
            line.update(members)
            line["_aws"]["CloudWatchMetrics"].append(self._directive(definition))
        return lines

    def _added(self) -> Iterator[tuple[Definition, Series, float | list[float]]]:
        for definition in DEFINITIONS:
            if not definition.dimensions or definition.kind == "gauge":
                continue
            for series, (total, count) in _totals(definition).items():
                before = self._known.get((definition.name, series), (0.0, 0.0))
                self._known[definition.name, series] = (total, count)
                more, times = total - before[0], int(count - before[1])
                if definition.kind == "counter" and more:
                    yield definition, series, more
                elif definition.kind == "histogram" and times:
                    # Several observations of one invocation are reported as their mean, as often as there were observations.
                    yield definition, series, [more / times] * min(times, MOST_VALUES)

    def _directive(self, definition: Definition) -> dict[str, Any]:
        return {
            "Namespace": self._namespace,
            "Dimensions": [[SERVICE, *names] for names in definition.dimensions],
            "Metrics": [{"Name": definition.name, "Unit": definition.unit}],
        }


def reported(service: str) -> Callable[[Callable[Given, Result]], Callable[Given, Result]]:
    """Decorates the handler of a function: reports the metrics after each invocation, including a failed one."""
    reporter = Reporter(service)

    def decorate(handler: Callable[Given, Result]) -> Callable[Given, Result]:
        @wraps(handler)
        def handle(*args: Given.args, **kwargs: Given.kwargs) -> Result:
            try:
                return handler(*args, **kwargs)
            finally:
                reporter.report()

        return handle

    return decorate


def _totals(definition: Definition) -> dict[Series, tuple[float, float]]:
    """The sum and the number of observations of each series; the number is 0 for a counter."""
    kept = {name for names in definition.dimensions for name in names}
    totals: dict[Series, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for family in definition.metric.collect():
        for sample in family.samples:
            suffix = sample.name.removeprefix(family.name)
            if suffix in {"_total", "_sum", "_count"}:
                series = tuple(sorted(item for item in sample.labels.items() if item[0] in kept))
                totals[series][suffix == "_count"] += sample.value
    return {series: (total, count) for series, (total, count) in totals.items()}


def _fits(members: dict[str, Any], line: dict[str, Any], name: str) -> bool:
    return name not in line and all(line.get(key, value) == value for key, value in members.items())
