"""Rates, errors and percentiles of counters."""

import math

import pytest

from shop_operator.cli.top.exposition import Sample
from shop_operator.cli.top.sources import Scraped, between
from shop_operator.cli.top.traffic import MESSAGES, REQUESTS, Traffic, quantile


def requests(**by_status: float) -> list[Sample]:
    return [
        Sample("http_requests_total", {"route": "/", "status": status.strip("_")}, value)
        for status, value in by_status.items()
    ]


def test_given_counters_by_status_then_only_those_of_the_server_are_errors() -> None:
    found = Traffic.of(requests(_200=90, _404=6, _500=3, _503=1), REQUESTS)

    assert found is not None
    assert (found.total, found.errors, found.error_rate) == (100, 4, 0.04)


def test_given_samples_without_the_counter_then_there_is_no_traffic() -> None:
    assert Traffic.of(requests(_200=1), MESSAGES) is None


def test_given_no_requests_then_their_errors_and_durations_are_unknown() -> None:
    assert (Traffic().error_rate, Traffic().p95) == (None, None)


def test_given_two_scrapes_then_the_rates_are_per_second_and_a_reset_counts_from_zero() -> None:
    before = Traffic(100, 10, {0.1: 50.0, math.inf: 100.0})

    assert Traffic(160, 10, {0.1: 80.0, math.inf: 160.0}).since(before, 10) == Traffic(
        6, 0, {0.1: 3.0, math.inf: 6.0}
    )
    assert Traffic(20, 0, {}).since(before, 10).total == 2


def test_given_a_restart_then_every_counter_counts_from_zero_even_one_that_is_higher_than_before() -> None:
    before = Traffic(1000, 2, {0.1: 1.0, math.inf: 1000.0})

    assert Traffic(10, 5, {0.1: 4.0, math.inf: 10.0}).since(before, 1) == Traffic(
        10, 5, {0.1: 4.0, math.inf: 10.0}
    )


def test_given_pods_that_answered_at_different_times_then_each_rate_is_by_the_time_of_its_pod() -> None:
    slow, fast = ("shop", "slow"), ("shop", "fast")
    before = Scraped({slow: 15.0, fast: 0.0}, {slow: requests(_200=0), fast: requests(_200=0)})
    after = Scraped({slow: 20.0, fast: 20.0}, {slow: requests(_200=10), fast: requests(_200=20)})

    found = between(before, after).traffic

    assert (found[slow][REQUESTS].total, found[fast][REQUESTS].total) == (2, 1)


def test_given_several_pods_then_their_traffic_is_added_by_bucket() -> None:
    assert Traffic(1, 1, {0.1: 1.0}) + Traffic(2, 0, {0.1: 2.0, 1.0: 3.0}) == Traffic(
        3, 1, {0.1: 3.0, 1.0: 3.0}
    )


@pytest.mark.parametrize(
    ("buckets", "expected"),
    [
        ({}, None),
        ({0.1: 0.0, math.inf: 0.0}, None),
        # Half of the values are below 0.1 s; the 95th percentile is nine tenths into the second bucket.
        ({0.1: 50.0, 0.2: 100.0, math.inf: 100.0}, 0.19),
        # Prometheus returns the highest finite bound.
        ({0.1: 50.0, 0.2: 60.0, math.inf: 100.0}, 0.2),
        ({math.inf: 100.0}, None),
    ],
)
def test_given_a_histogram_then_its_percentile_is_that_of_prometheus(
    buckets: dict[float, float], expected: float | None
) -> None:
    assert quantile(0.95, buckets) == (None if expected is None else pytest.approx(expected))
