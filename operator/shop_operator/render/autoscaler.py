"""The HorizontalPodAutoscaler of one workload."""

from typing import Any, Final

from shop_operator.api.v1alpha1.scaling import Autoscaling
from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.render.labels import metadata
from shop_operator.render.workloads import Workload

DEFAULT_CPU: Final = 80


def autoscaler(shop: ShopService, workload: Workload, autoscaling: Autoscaling) -> dict[str, Any]:
    """An autoscaling/v2 object that scales the workload's Deployment."""
    spec: dict[str, Any] = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": workload.name},
        "minReplicas": autoscaling.min_replicas,
        "maxReplicas": autoscaling.max_replicas,
        "metrics": _metrics(workload, autoscaling),
    }
    if autoscaling.behavior is not None:
        spec["behavior"] = autoscaling.behavior.to_dict()
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(shop, workload.name, workload.component),
        "spec": spec,
    }


def _metrics(workload: Workload, autoscaling: Autoscaling) -> list[dict[str, Any]]:
    """The metrics of the workload's own container, so that the resource requests of a sidecar have no effect."""
    cpu = autoscaling.cpu
    if cpu is None and autoscaling.memory is None:
        cpu = DEFAULT_CPU
    return [
        {
            "type": "ContainerResource",
            "containerResource": {
                "name": name,
                "container": workload.container,
                "target": {"type": "Utilization", "averageUtilization": value},
            },
        }
        for name, value in (("cpu", cpu), ("memory", autoscaling.memory))
        if value is not None
    ]
