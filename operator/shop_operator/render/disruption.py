"""The PodDisruptionBudget of one workload: the number of its pods that a drain may evict at the same time."""

from typing import Any, Final

from shop_operator.api.v1alpha1.disruption import Disruption
from shop_operator.api.v1alpha1.shares import at_least
from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.render.labels import metadata, selector
from shop_operator.render.replicas import LiveScale, expected_replicas
from shop_operator.render.workloads import Workload

_ONE: Final = {"maxUnavailable": 1}


def disruption_budget(shop: ShopService, workload: Workload, live: LiveScale | None) -> list[dict[str, Any]]:
    """The budget; none for a workload with at most one pod, which it could not protect."""
    expected = expected_replicas(workload, live)
    most = max(expected, workload.autoscaling.max_replicas if workload.autoscaling else 0)
    if most <= 1:
        return []
    disruption = shop.spec.disruption if workload.serves else None
    return [
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": metadata(shop, workload.name, workload.component),
            "spec": {
                "selector": {"matchLabels": selector(shop, workload.component)},
                # A pod that is not ready must not block a drain.
                "unhealthyPodEvictionPolicy": "AlwaysAllow",
                **_bound(disruption, expected),
            },
        }
    ]


def _bound(disruption: Disruption | None, expected: int) -> dict[str, Any]:
    """The bound of the spec, unless it would prevent the eviction of any of the expected pods.

    maxUnavailable always permits one eviction. minAvailable permits none once an autoscaler has scaled down to it.
    """
    if disruption is None:
        return dict(_ONE)
    needed = disruption.min_available
    if needed is not None and at_least(needed, expected) >= expected:
        return dict(_ONE)
    return disruption.to_dict()
