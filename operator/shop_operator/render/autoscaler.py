"""The HorizontalPodAutoscaler of one workload."""

from collections.abc import Mapping
from typing import Any, Final

from shop_operator.api.v1alpha1.scaling import Autoscaling
from shop_operator.api.v1alpha1.scaling_metrics import Metric
from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.render.labels import metadata
from shop_operator.render.scaling_behavior import behavior
from shop_operator.render.workloads import Workload

DEFAULT_CPU: Final = 80


def autoscaler(
    shop: ShopService, workload: Workload, autoscaling: Autoscaling, target: Mapping[str, str]
) -> dict[str, Any]:
    """An autoscaling/v2 object that scales the Deployment or the Rollout of a workload."""
    spec: dict[str, Any] = {
        "scaleTargetRef": {**target},
        "minReplicas": autoscaling.min_replicas,
        "maxReplicas": autoscaling.max_replicas,
        "metrics": [*_utilization(workload, autoscaling), *map(_served, autoscaling.metrics or ())],
        "behavior": behavior(autoscaling),
    }
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(shop, workload.name, workload.component),
        "spec": spec,
    }


def default_cpu(autoscaling: Autoscaling) -> int | None:
    """The target of CPU utilization, which has a default if there is no other metric."""
    others = (autoscaling.memory, autoscaling.metrics, autoscaling.queue)
    if autoscaling.cpu is None and all(each is None for each in others):
        return DEFAULT_CPU
    return autoscaling.cpu


def _utilization(workload: Workload, autoscaling: Autoscaling) -> list[dict[str, Any]]:
    """The metrics of the workload's own container, so that the resource requests of a sidecar have no effect."""
    return [
        {
            "type": "ContainerResource",
            "containerResource": {
                "name": name,
                "container": workload.container,
                "target": {"type": "Utilization", "averageUtilization": value},
            },
        }
        for name, value in (("cpu", default_cpu(autoscaling)), ("memory", autoscaling.memory))
        if value is not None
    ]


def _served(metric: Metric) -> dict[str, Any]:
    """A metric that an adapter serves."""
    identified: dict[str, Any] = {"name": metric.name}
    if metric.selector:
        identified["selector"] = {"matchLabels": metric.selector}
    target = (
        {"type": "Value", "value": metric.value}
        if metric.value is not None
        else {"type": "AverageValue", "averageValue": metric.average_value}
    )
    source: dict[str, Any] = {"metric": identified, "target": target}
    if metric.object is not None:
        source["describedObject"] = metric.object.to_dict()
    return {"type": metric.type, metric.type.lower(): source}
