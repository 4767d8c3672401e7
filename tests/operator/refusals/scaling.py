"""Invalid replicas and autoscaling."""

from typing import Any

from shop_operator.api.v1alpha1 import scaling
from tests.operator.refusals.refusal import WORKER, Refusal

_URL = "https://sqs.eu-west-1.amazonaws.com/123456789012/orders"


def _scaled(**queue: Any) -> dict[str, Any]:
    return {"autoscaling": {"maxReplicas": 2, "queue": queue}}


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
)
