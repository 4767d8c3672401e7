"""The HorizontalPodAutoscaler of one part."""

from typing import Any, Final

from shop_operator.api.v1alpha1.spec import Autoscaling, ShopService
from shop_operator.render.labels import metadata
from shop_operator.render.parts import Part

DEFAULT_CPU: Final = 80


def autoscaler(shop: ShopService, part: Part, autoscaling: Autoscaling) -> dict[str, Any]:
    """An autoscaling/v2 object that scales the part's Deployment."""
    spec: dict[str, Any] = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": part.name},
        "minReplicas": autoscaling.min_replicas,
        "maxReplicas": autoscaling.max_replicas,
        "metrics": _metrics(part, autoscaling),
    }
    if autoscaling.behavior is not None:
        spec["behavior"] = autoscaling.behavior.to_dict()
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(shop, part.name, part.component),
        "spec": spec,
    }


def _metrics(part: Part, autoscaling: Autoscaling) -> list[dict[str, Any]]:
    """What is held, of the part's own container: a sidecar without requests cannot break it, and one with many not dilute it."""
    cpu = autoscaling.cpu
    if cpu is None and autoscaling.memory is None:
        cpu = DEFAULT_CPU
    return [
        {
            "type": "ContainerResource",
            "containerResource": {
                "name": name,
                "container": part.container,
                "target": {"type": "Utilization", "averageUtilization": value},
            },
        }
        for name, value in (("cpu", cpu), ("memory", autoscaling.memory))
        if value is not None
    ]
