"""The summaries of a HorizontalPodAutoscaler and of a ScaledObject."""

from collections.abc import Mapping
from typing import Any, Final

from shop_operator.objects.lenient import mapping, mappings, number, text
from shop_operator.objects.summary.conditions import Summary, conditions

_PAUSED_ANNOTATION: Final = "autoscaling.keda.sh/paused"
_PAUSED_COUNT_ANNOTATION: Final = "autoscaling.keda.sh/paused-replicas"


def fields(obj: Mapping[str, Any]) -> Summary:
    """The conditions, the desired replica count and its target, which both outlive a deleted Deployment, and the metrics.

    A metric that is a share of requests appears as its resource and its container, if it measures only one: in `shares` if the
    spec has it, in `measured` if the status has a measurement. Measurements themselves are omitted.
    """
    kept = conditions(obj)
    kept["status"]["desiredReplicas"] = number(mapping(obj.get("status")).get("desiredReplicas"))
    scaled = text(mapping(mapping(obj.get("spec")).get("scaleTargetRef")).get("name"))
    kept |= {"scales": scaled} if scaled else {}
    shares = [
        [text(found.get("name")), found.get("container")]
        for metric in mappings(mapping(obj.get("spec")).get("metrics"))
        if (found := mapping(metric.get("resource") or metric.get("containerResource")))
        and mapping(found.get("target")).get("type") == "Utilization"
    ]
    # A metric without a measurement has an empty current value.
    measured = [
        [text(found.get("name")), found.get("container")]
        for metric in mappings(mapping(obj.get("status")).get("currentMetrics"))
        if (found := mapping(metric.get("resource") or metric.get("containerResource")))
        and "averageUtilization" in mapping(found.get("current"))
    ]
    return kept | ({"shares": shares} if shares else {}) | ({"measured": measured} if measured else {})


def fields_of_scaled_object(obj: Mapping[str, Any]) -> Summary:
    """The conditions, and whether an annotation pauses the ScaledObject."""
    annotations = mapping(obj["metadata"].get("annotations"))
    # KEDA parses the value like Go parses a Boolean, and every other value counts as true.
    runs = text(annotations.get(_PAUSED_ANNOTATION, "false")).lower() in {"false", "f", "0"}
    paused = _PAUSED_COUNT_ANNOTATION in annotations or not runs
    return conditions(obj) | ({"paused": True} if paused else {})
