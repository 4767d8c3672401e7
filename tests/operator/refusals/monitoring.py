"""Invalid monitoring."""

from typing import Any

from shop_operator.api.v1alpha1 import slos
from tests.operator.refusals.refusal import Refusal

_LATENCY: dict[str, Any] = {"latency": {"thresholdMs": 500}}


def _objective(**changed: Any) -> dict[str, Any]:
    return {
        "monitoring": {"slos": [{"name": "latency", "objective": "99", "indicator": _LATENCY, **changed}]}
    }


REFUSALS = (
    Refusal(
        "a scrape interval that is not a duration",
        {"monitoring": {"interval": "often"}},
        "must be a duration in seconds or minutes, such as 30s or 1m",
    ),
    Refusal("a metrics path with a space", {"monitoring": {"path": "/a b"}}, "path must not contain spaces"),
    Refusal(
        "an objective that leaves no error budget",
        _objective(objective="100"),
        "must be a percentage from 90 to 99.999, such as 99.9",
    ),
    Refusal(
        "an objective over a window without a unit",
        _objective(window="30"),
        "must be 1 to 99 days or hours, such as 30d",
    ),
    Refusal("an objective without an indicator", _objective(indicator={}), slos.ONE_INDICATOR),
    Refusal(
        "an objective with two indicators",
        _objective(indicator=_LATENCY | {"availability": {}}),
        slos.ONE_INDICATOR,
    ),
    Refusal(
        "an objective about what is no metric",
        _objective(indicator={"availability": {"metric": "http requests"}}),
        "must_be_the_name_of_a_metric",
        "must be the name of a metric: letters, digits, '_' and ':'",
    ),
    Refusal(
        "an objective with a runbook at an address with a space",
        _objective(runbookUrl="https://example.com/a b"),
        "must be a URL without spaces",
    ),
)
