"""The algorithm of the HorizontalPodAutoscaler, from the documentation of Kubernetes: tolerance, stabilization and policies."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

SYNC: Final = 15
"""Seconds between two decisions (--horizontal-pod-autoscaler-sync-period)."""
TOLERANCE: Final = 0.1
"""--horizontal-pod-autoscaler-tolerance."""
DEFAULTS: Final[Mapping[str, Any]] = {
    "scaleUp": {
        "stabilizationWindowSeconds": 0,
        "selectPolicy": "Max",
        "policies": [
            {"type": "Percent", "value": 100, "periodSeconds": 15},
            {"type": "Pods", "value": 4, "periodSeconds": 15},
        ],
    },
    "scaleDown": {
        "stabilizationWindowSeconds": 300,
        "selectPolicy": "Max",
        "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
    },
}
"""The behavior that Kubernetes applies where an object sets none."""
Load = Callable[[float], float]
"""Seconds -> the load, in pods at full utilization."""


@dataclass
class Autoscaler:
    """One HorizontalPodAutoscaler with a target of utilization.

    Args:
        spec: as rendered, with minReplicas, maxReplicas and behavior.
        target: utilization per pod, 0.8 for 80 %.
    """

    spec: Mapping[str, Any]
    target: float
    _wished: list[tuple[float, int]] = field(default_factory=list)
    _changes: list[tuple[float, int]] = field(default_factory=list)

    def decide(self, now: float, replicas: int, load: float) -> int:
        """The replica count after a decision."""
        ratio = load / replicas / self.target
        wished = replicas if abs(ratio - 1) <= TOLERANCE else math.ceil(ratio * replicas)
        wished = min(max(wished, self.spec["minReplicas"]), self.spec["maxReplicas"])
        self._wished.append((now, wished))
        stable = min(max(replicas, self._least(now)), self._most(now))
        bounded = self._bounded(now, replicas, stable)
        if bounded != replicas:
            self._changes.append((now, bounded - replicas))
        return bounded

    def _least(self, now: float) -> int:
        return min(self._recent(now, "scaleUp"))

    def _most(self, now: float) -> int:
        return max(self._recent(now, "scaleDown"))

    def _recent(self, now: float, direction: str) -> Iterator[int]:
        since = now - self._rules(direction)["stabilizationWindowSeconds"]
        return (wished for at, wished in self._wished if at >= since)

    def _bounded(self, now: float, replicas: int, stable: int) -> int:
        if stable == replicas:
            return replicas
        up = stable > replicas
        rules = self._rules("scaleUp" if up else "scaleDown")
        bounds = [self._bound(now, replicas, policy, up=up) for policy in rules["policies"]]
        return min(stable, max(bounds)) if up else max(stable, min(bounds))

    def _bound(self, now: float, replicas: int, policy: Mapping[str, Any], *, up: bool) -> int:
        recent = sum(
            change
            for at, change in self._changes
            if at > now - policy["periodSeconds"] and (change > 0) == up
        )
        start, value = replicas - recent, int(policy["value"])
        if policy["type"] == "Pods":
            return start + value if up else start - value
        return math.ceil(start * (1 + value / 100)) if up else int(start * (1 - value / 100))

    def _rules(self, direction: str) -> Mapping[str, Any]:
        given = self.spec.get("behavior", {}).get(direction, {})
        return {**DEFAULTS[direction], **given}


def simulated(spec: Mapping[str, Any], load: Load, *, hours: float, target: float = 0.8) -> list[int]:
    """The replica counts after each decision. The metric is that of one decision earlier."""
    autoscaler, replicas = Autoscaler(spec, target), spec["minReplicas"]
    counts = []
    for now in range(0, int(hours * 3600), SYNC):
        replicas = autoscaler.decide(now, replicas, load(max(now - SYNC, 0)))
        counts.append(replicas)
    return counts
