"""The PodDisruptionBudget of one workload: how many of its pods a drain may take at the same time."""

from typing import Any, Final

from shop_operator.api.v1alpha1.disruption import Disruption
from shop_operator.api.v1alpha1.shares import at_least
from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.render.deployment import LiveScale, expected_replicas
from shop_operator.render.labels import metadata, selector
from shop_operator.render.workloads import Workload

_ONE: Final = {"maxUnavailable": 1}


def disruption_budget(shop: ShopService, workload: Workload, live: LiveScale | None) -> list[dict[str, Any]]:
    """The budget; none for a workload that has one pod at most, whose drain it could not make any safer."""
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
                # A pod that is not ready anyway must not hold up a drain.
                "unhealthyPodEvictionPolicy": "AlwaysAllow",
                **_bound(disruption, expected),
            },
        }
    ]


def _bound(disruption: Disruption | None, expected: int) -> dict[str, Any]:
    """The user's bound, unless it would keep every one of the expected pods from being drained.

    maxUnavailable lets one pod go, however many there are. minAvailable lets none go once an autoscaler has come down to it.
    """
    if disruption is None:
        return dict(_ONE)
    needed = disruption.min_available
    if needed is not None and at_least(needed, expected) >= expected:
        return dict(_ONE)
    return disruption.to_dict()
