"""The rules of objectives with unusual windows and scrape intervals."""

import re
from typing import Any

import pytest

from shop_operator.api.v1alpha1.slos import Slo
from shop_operator.render.slo.queries import Scope
from shop_operator.render.slo.rules import groups

INDICATORS: dict[str, dict[str, Any]] = {
    "availability": {"availability": {}},
    "latency": {"latency": {"thresholdMs": 250}},
    "queue": {"queueAge": {"thresholdSeconds": 60}},
}


def rules(indicator: str, window: str, interval: str) -> list[dict[str, Any]]:
    slo = Slo.model_validate(
        {"name": "slo", "objective": "99.9", "window": window, "indicator": INDICATORS[indicator]}
    )
    return [rule for group in groups(slo, Scope("shop", "order"), interval) for rule in group["rules"]]


# Four scrapes are shorter than the window of the objective, as long as it, and longer.
@pytest.mark.parametrize("interval", ["1s", "30s", "2m", "12m", "15m", "20m", "90m"])
@pytest.mark.parametrize("indicator", INDICATORS)
def test_given_a_short_window_then_each_time_series_is_recorded_once_and_those_that_rules_read_are_recorded(
    indicator: str, interval: str
) -> None:
    found = rules(indicator, "1h", interval)

    recorded = [(each["record"], each["labels"].get("window")) for each in found if "record" in each]
    read = {
        (name, window or None)
        for each in found
        for name, window in re.findall(r'(slo:\w+(?::\w+)?)\{[^}]*?(?:window="(\w+)")?\}', each["expr"])
    }

    assert len(recorded) == len(set(recorded))
    assert read <= set(recorded)
    assert ("slo:error_ratio", "1h") in read
