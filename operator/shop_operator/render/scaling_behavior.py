"""The rate at which an autoscaler may change the number of pods."""

from typing import Any, Final

from shop_operator.api.v1alpha1.scaling import Autoscaling

_SCALE_DOWN: Final[dict[str, Any]] = {
    "stabilizationWindowSeconds": 300,
    "selectPolicy": "Max",
    "policies": [
        {"type": "Percent", "value": 10, "periodSeconds": 60},
        {"type": "Pods", "value": 1, "periodSeconds": 60},
    ],
}
"""Kubernetes removes all surplus pods at once after 300 seconds. A load with a longer period would then find too few pods each time."""


def behavior(autoscaling: Autoscaling) -> dict[str, Any]:
    """The behavior in autoscaling/v2. A direction that the spec sets replaces the default of that direction."""
    wished = autoscaling.behavior.to_dict() if autoscaling.behavior else {}
    return {
        "scaleDown": {**_SCALE_DOWN, "policies": [dict(each) for each in _SCALE_DOWN["policies"]]},
        **wished,
    }
