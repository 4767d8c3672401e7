"""The text format of Prometheus, as pods expose it. Pure."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

_SAMPLE: Final = re.compile(
    r'(?P<name>[A-Za-z_:][\w:]*)(?:\{(?P<labels>(?:[^"{}]|"(?:[^"\\]|\\.)*")*)\})?\s+(?P<value>\S+)'
)
_LABEL: Final = re.compile(r'\s*(?P<name>[A-Za-z_]\w*)\s*=\s*"(?P<value>(?:[^"\\]|\\.)*)"\s*,?')
_ESCAPE: Final = re.compile(r"\\(.)")
_ESCAPED: Final = {"n": "\n"}


@dataclass(frozen=True)
class Sample:
    """One line: the value of a series.

    Args:
        name: name of the metric, with the suffix of a histogram such as `_bucket`.
        labels: labels of the series.
        value: current value.
    """

    name: str
    labels: Mapping[str, str]
    value: float


def samples(text: str, names: frozenset[str]) -> Iterator[Sample]:
    """The samples of these names. Lines that cannot be read, and values that are not a number, are skipped.

    Args:
        text: response of a scrape, in the text format of Prometheus or of OpenMetrics.
        names: names of the metrics to return.
    """
    for line in text.splitlines():
        if line.startswith("#") or not (found := _SAMPLE.match(line)) or found["name"] not in names:
            continue
        try:
            value = float(found["value"])
        except ValueError:
            continue
        if not math.isnan(value):
            yield Sample(found["name"], _labels(found["labels"] or ""), value)


def _labels(text: str) -> dict[str, str]:
    return {
        each["name"]: _ESCAPE.sub(lambda one: _ESCAPED.get(one[1], one[1]), each["value"])
        for each in _LABEL.finditer(text)
    }
