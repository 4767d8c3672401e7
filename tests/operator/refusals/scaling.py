"""Invalid replicas and autoscaling."""

from typing import Any

from shop_operator.api.v1alpha1 import scaling, scaling_metrics, scaling_schedule
from tests.operator.refusals.refusal import WORKER, Refusal

_URL = "https://sqs.eu-west-1.amazonaws.com/123456789012/orders"


def _scaled(**queue: Any) -> dict[str, Any]:
    return {"autoscaling": {"maxReplicas": 2, "queue": queue}}


def _by_metric(**metric: Any) -> dict[str, Any]:
    return {"autoscaling": {"maxReplicas": 2, "metrics": [{"name": "requests", **metric}]}}


def _at_peaks(**peak: Any) -> dict[str, Any]:
    whole = {"start": "30 7 * * 1-5", "end": "0 19 * * 1-5", "replicas": 2, **peak}
    return {"autoscaling": {"maxReplicas": 2, "schedule": [whole]}}


REFUSALS = (
    Refusal(
        "a queue with both url and urlFrom",
        _scaled(url=_URL, urlFrom="URL", region="eu-west-1"),
        scaling.ONE_QUEUE,
    ),
    Refusal("a queue without url and urlFrom", _scaled(region="eu-west-1"), scaling.ONE_QUEUE),
    Refusal(
        "a queue URL without a region",
        _scaled(url="http://aws:4566/000000000000/orders"),
        scaling.MISSING_REGION,
    ),
    Refusal("a queue in a variable without a region", _scaled(urlFrom="URL"), scaling.MISSING_REGION),
    Refusal(
        "minReplicas 0 without a queue",
        {"autoscaling": {"minReplicas": 0, "maxReplicas": 2}},
        scaling.ZERO_WITHOUT_QUEUE,
    ),
    Refusal(
        "both replicas and autoscaling",
        {"replicas": 1, "autoscaling": {"maxReplicas": 2}},
        scaling.REPLICAS_AND_AUTOSCALING,
    ),
    Refusal(
        "both replicas and autoscaling of a worker",
        {"workers": [WORKER | {"replicas": 1, "autoscaling": {"maxReplicas": 2}}]},
        scaling.REPLICAS_AND_AUTOSCALING,
    ),
    Refusal(
        "minReplicas above maxReplicas",
        {"autoscaling": {"minReplicas": 3, "maxReplicas": 2}},
        scaling.MIN_ABOVE_MAX,
    ),
    Refusal(
        "the default minReplicas above maxReplicas",
        {"autoscaling": {"maxReplicas": 0}},
        "spec.autoscaling.maxReplicas in body should be greater than or equal to 1",
        "spec.autoscaling.maxReplicas: must be greater than or equal to 1",
    ),
    Refusal(
        "negative replicas",
        {"replicas": -1},
        "spec.replicas in body should be greater than or equal to 0",
        "spec.replicas: must be greater than or equal to 0",
    ),
    Refusal(
        "a queue in a variable with an equals sign in its name",
        _scaled(urlFrom="A=B", region="eu-west-1"),
        "must be the name of an environment variable: printable ASCII characters except =, such as LOG_LEVEL",
    ),
    Refusal(
        "a queue URL without a scheme",
        _scaled(url="sqs.eu-west-1.amazonaws.com/1/orders", region="eu-west-1"),
        "must be a URL that begins with https:// or http://, without spaces",
    ),
    Refusal(
        "a region with an uppercase letter",
        _scaled(url=_URL, region="Ireland"),
        "must be an AWS region, such as eu-west-1",
    ),
    Refusal(
        "a fallback above maxReplicas",
        _scaled(url=_URL, fallback={"replicas": 3}),
        scaling.FALLBACK_ABOVE_MAX,
    ),
    Refusal(
        "a fallback of no replicas",
        _scaled(url=_URL, fallback={"replicas": 0}),
        "spec.autoscaling.queue.fallback.replicas in body should be greater than or equal to 1",
        "spec.autoscaling.queue.fallback.replicas: must be greater than or equal to 1",
    ),
    Refusal("a peak above maxReplicas", _at_peaks(replicas=3), scaling.PEAK_ABOVE_MAX),
    Refusal("a peak that ends when it starts", _at_peaks(end="30 7 * * 1-5"), scaling_schedule.SAME_TIMES),
    Refusal(
        "a peak whose start has six fields",
        _at_peaks(start="0 30 7 * * 1-5"),
        "must be a cron expression: minute, hour, day of the month, month and day of the week",
    ),
    Refusal(
        "a peak in a time zone with a space",
        _at_peaks(timeZone="Europe Berlin"),
        "must be the name of a time zone, such as Europe/Berlin",
    ),
    Refusal(
        "a metric with value and averageValue",
        _by_metric(type="External", value=1, averageValue=1),
        scaling_metrics.ONE_TARGET,
    ),
    Refusal("a metric without a target", _by_metric(type="External"), scaling_metrics.ONE_TARGET),
    Refusal(
        "a metric of pods with a single value",
        _by_metric(type="Pods", value=1),
        scaling_metrics.AVERAGE_OF_PODS,
    ),
    Refusal(
        "a metric of an object without the object",
        _by_metric(type="Object", value=1),
        scaling_metrics.OBJECT_OF_METRIC,
    ),
    Refusal(
        "a metric of pods with an object",
        _by_metric(
            type="Pods", averageValue=1, object={"apiVersion": "v1", "kind": "Service", "name": "web"}
        ),
        scaling_metrics.OBJECT_OF_METRIC,
    ),
    *(
        Refusal(
            f"a metric of an object with the {field} {value!r}",
            _by_metric(
                type="Object",
                value=1,
                object={"apiVersion": "v1", "kind": "Service", "name": "web", field: value},
            ),
            message,
        )
        for field, value, message in (
            ("kind", "services", "must be a kind, such as HTTPRoute"),
            ("apiVersion", "Apps/1", "must be an API version, such as apps/v1"),
        )
    ),
    Refusal(
        "a metric whose name has a slash",
        {"autoscaling": {"maxReplicas": 2, "metrics": [{"type": "Pods", "name": "a/b", "averageValue": 1}]}},
        "must be the name of a metric: printable ASCII characters except spaces, / and %",
    ),
    Refusal(
        "a metric together with a queue",
        {
            "autoscaling": {
                "maxReplicas": 2,
                "queue": {"url": _URL},
                "metrics": [{"type": "Pods", "name": "requests", "averageValue": 1}],
            }
        },
        scaling.METRICS_WITH_KEDA,
    ),
    Refusal(
        "minReplicas 0 with a schedule",
        {"autoscaling": {**_at_peaks()["autoscaling"], "minReplicas": 0}},
        scaling.ZERO_WITHOUT_QUEUE,
    ),
)
