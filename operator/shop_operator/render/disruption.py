"""The PodDisruptionBudget of one part: how many of its pods a drain may take at the same time."""

from typing import Any, Final

from shop_operator.render.labels import metadata, selector
from shop_operator.render.parts import Part
from shop_operator.spec import ShopService

_ONE: Final = {"maxUnavailable": 1}


def disruption_budget(shop: ShopService, part: Part) -> list[dict[str, Any]]:
    """The budget; none for a part that may have one pod, which a budget could only keep from being drained."""
    if part.floor <= 1:
        return []
    disruption = shop.spec.disruption if part.serves else None
    return [
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": metadata(shop, part.name, part.component),
            "spec": {
                "selector": {"matchLabels": selector(shop, part.component)},
                # A pod that is not ready anyway must not hold up a drain.
                "unhealthyPodEvictionPolicy": "AlwaysAllow",
                **(disruption.to_dict() if disruption else _ONE),
            },
        }
    ]
