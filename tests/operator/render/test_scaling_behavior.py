"""The default behavior of an autoscaler under loads that rise and fall, by the algorithm of Kubernetes."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import pytest

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.render import render
from tests.operator.hpa import SYNC, Load, simulated

WARM_UP = 1800 // SYNC
"""Decisions before a load that repeats itself is measured."""
HOURS = 3.0


def autoscaler(**autoscaling: Any) -> Mapping[str, Any]:
    """The rendered spec for two to twenty pods."""
    wished = {"minReplicas": 2, "maxReplicas": 20, **autoscaling}
    shop = ShopService("web", "ns", "u", 1, document={"image": "shop:1", "autoscaling": wished})
    (found,) = (each for each in render(shop, live=None) if each["kind"] == "HorizontalPodAutoscaler")
    spec: Mapping[str, Any] = found["spec"]
    return spec


def of_kubernetes() -> Mapping[str, Any]:
    """The same without a behavior."""
    return {key: value for key, value in autoscaler().items() if key != "behavior"}


def saw_tooth(period: float, low: float = 1.0, high: float = 8.0) -> Load:
    return lambda now: low + (high - low) * (now % period) / period


def changes(counts: list[int]) -> list[int]:
    return [after - before for before, after in pairwise(counts[WARM_UP:]) if after != before]


def removed(counts: list[int]) -> int:
    return -sum(change for change in changes(counts) if change < 0)


def missing(load: Load, counts: list[int]) -> float:
    """The pods that the load needs beyond those that run, summed over the decisions."""

    def short() -> Iterator[float]:
        for number, count in enumerate(counts[WARM_UP:], WARM_UP):
            yield max(load(number * SYNC) - count, 0)

    return sum(short())


@pytest.mark.parametrize("period", [60, 120, 180, 300])
def test_given_a_saw_tooth_of_up_to_five_minutes_then_the_default_changes_no_count(period: int) -> None:
    assert changes(simulated(autoscaler(), saw_tooth(period), hours=HOURS)) == []


def test_given_no_stabilization_when_the_load_is_a_saw_tooth_then_the_count_changes_in_every_period() -> None:
    eager = autoscaler(behavior={"scaleDown": {"stabilizationWindowSeconds": 0}})

    counts = changes(simulated(eager, saw_tooth(120), hours=HOURS))

    assert len(counts) > 2 * (HOURS * 3600 - WARM_UP * SYNC) / 120


@pytest.mark.parametrize("period", [480, 600, 900, 1800])
def test_given_a_longer_saw_tooth_then_the_default_removes_fewer_pods_than_kubernetes(period: int) -> None:
    ours = simulated(autoscaler(), saw_tooth(period), hours=HOURS)
    theirs = simulated(of_kubernetes(), saw_tooth(period), hours=HOURS)

    assert removed(ours) < removed(theirs)
    assert all(change >= -1 for change in changes(ours)), "one pod per minute"


@pytest.mark.parametrize("period", [120, 600, 900, 1800, 3600])
def test_given_a_load_that_jumps_then_the_default_misses_no_more_pods_than_kubernetes(period: int) -> None:
    def jumps(now: float) -> float:
        return 8.0 if now % period < period / 2 else 1.0

    ours = missing(jumps, simulated(autoscaler(), jumps, hours=HOURS))
    theirs = missing(jumps, simulated(of_kubernetes(), jumps, hours=HOURS))

    assert ours <= theirs


def test_given_a_fleet_when_the_load_ends_then_nine_tenths_of_it_are_removed_within_half_an_hour() -> None:
    """A slow scale-down must not keep a large fleet for hours."""

    def ends(now: float) -> float:
        return 80.0 if now < 600 else 1.0

    spec = {**autoscaler(), "maxReplicas": 100}
    counts = simulated(spec, ends, hours=1)

    assert counts[600 // SYNC] >= 90
    assert counts[(600 + 1800) // SYNC] <= 10
