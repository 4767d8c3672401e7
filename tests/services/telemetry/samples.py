"""Reads the samples that a scrape would contain."""

from collections.abc import Mapping
from typing import Any

from prometheus_client import REGISTRY


def value(name: str, **labels: Any) -> float:
    """The value of a sample; 0 if it does not exist."""
    return REGISTRY.get_sample_value(name, {key: str(each) for key, each in labels.items()}) or 0.0


def series() -> set[tuple[str, frozenset[tuple[str, str]]]]:
    """Name and labels of every sample."""
    return {
        (sample.name, _labels(sample.labels)) for family in REGISTRY.collect() for sample in family.samples
    }


def _labels(labels: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset(labels.items())
