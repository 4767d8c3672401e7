"""The objectives in manifests/slo.yaml: about metrics that exist, and equal in Prometheus and in CloudWatch."""

import json
from typing import Any, Final

import pytest

from services.common.telemetry import metrics
from services.order import metrics as order
from shop_operator.api.v1alpha1.slos import Availability, Latency, QueueAge
from shopdev.checkout import SERVICES
from shopdev.cloudformation import stacks
from shopdev.codegen.slo.cloudwatch import COUNTERS, NAMESPACE, series
from shopdev.codegen.slo.objectives import Objective, objectives

DEFINED: Final = {each.name: each for each in metrics.DEFINITIONS}
RESOURCES: Final[dict[str, Any]] = stacks.document("slo")["Resources"]
COUNTED: Final = [each for each in objectives() if not isinstance(each.slo.indicator.measured, QueueAge)]
SLOW: Final = [each for each in COUNTED if isinstance(each.slo.indicator.measured, Latency)]


def named(found: list[Objective]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("objective", found, ids=lambda each: each.name)


def _limit(objective: Objective) -> float:
    """The seconds above which the services count an event as late."""
    latency = objective.slo.indicator.latency
    assert latency
    if latency.metric == "order_duration_seconds":
        return order.LATE_SECONDS
    (method,) = next(each.values for each in latency.selector or () if each.label == "method")
    return metrics.SLOW_SECONDS.get(method, metrics.SLOW_OTHERWISE_SECONDS)


@named(list(objectives()))
def test_given_an_objective_then_the_services_define_its_metric_with_the_labels_that_it_selects(
    objective: Objective,
) -> None:
    found = objective.slo.indicator.measured
    labels = {each.label for each in found.selector or ()}
    if isinstance(found, Availability):
        labels |= {found.error_label}

    assert labels <= set(DEFINED[found.metric].labels)


@named(SLOW)
def test_given_a_latency_then_its_threshold_is_a_bucket_and_the_limit_of_the_counter_for_cloudwatch(
    objective: Objective,
) -> None:
    latency = objective.slo.indicator.latency
    assert latency
    histogram = DEFINED[latency.metric].metric

    assert latency.threshold_ms / 1000 in histogram._upper_bounds  # type: ignore[union-attr]
    assert latency.threshold_ms / 1000 == _limit(objective)


@named(COUNTED)
def test_given_an_objective_about_events_then_cloudwatch_has_the_dimensions_of_its_counters(
    objective: Objective,
) -> None:
    found = objective.slo.indicator.measured
    assert isinstance(found, Availability | Latency)

    for counter in COUNTERS[found.metric]:
        for dimensions in series(found.selector):
            assert tuple(dimensions) in DEFINED[counter].dimensions


def test_given_the_stack_then_each_alarm_compares_burn_rates_that_its_objective_computes() -> None:
    computed = {
        each["Properties"]["Name"]["Fn::Sub"]: {
            str(rate["LookBackWindowMinutes"]) for rate in each["Properties"]["BurnRateConfigurations"]
        }
        for each in RESOURCES.values()
        if each["Type"] == "AWS::ApplicationSignals::ServiceLevelObjective"
    }
    alarms = [each for each in RESOURCES.values() if each["Type"] == "AWS::CloudWatch::Alarm"]

    assert len(computed) == len(objectives())
    assert len(alarms) == 2 * len(computed)
    for alarm in alarms:
        for query in alarm["Properties"]["Metrics"][:-1]:
            dimensions = {each["Name"]: each["Value"] for each in query["MetricStat"]["Metric"]["Dimensions"]}
            windows = computed[dimensions["SloName"]["Fn::Sub"]]
            assert dimensions["BurnRateWindowMinutes"] in windows
            assert query["Id"] in alarm["Properties"]["Metrics"][-1]["Expression"]


def test_given_the_stack_then_every_queue_is_one_that_a_stack_creates() -> None:
    created = {
        each["Properties"]["QueueName"]["Fn::Sub"]
        for service in SERVICES
        for each in stacks.document(service)["Resources"].values()
        if each["Type"] == "AWS::SQS::Queue"
    }
    watched = {f"${{Prefix}}-{each.service}-{queue}" for each in objectives() for queue in each.queues}

    assert watched == {name for name in created if not name.endswith("-dlq")}


def test_given_the_dashboard_then_it_shows_metrics_of_the_services_with_their_dimensions() -> None:
    body = json.loads(RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"])

    shown = [
        metric
        for widget in body["widgets"]
        for metric in widget["properties"].get("metrics", ())
        if metric[0] == NAMESPACE
    ]
    assert shown
    for _, name, service, _, *dimensions in shown:
        assert service == "service"
        assert tuple(dimensions[::2]) in DEFINED[name].dimensions


def test_given_a_selector_that_excludes_values_then_cloudwatch_cannot_express_it() -> None:
    objective = next(each for each in objectives() if each.name == "product-reading-latency")
    (matcher,) = list(objective.slo.indicator.measured.selector or ())
    excluding = matcher.model_copy(update={"operator": "NotIn"})

    with pytest.raises(ValueError, match="exact values"):
        list(series([excluding]))
