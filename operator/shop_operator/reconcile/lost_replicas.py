"""The replica counts of Deployments that no longer exist. Pure."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from shop_operator.cache.snapshot import Child
from shop_operator.names import ChildId, Key
from shop_operator.objects.lenient import digits


def last_counts(
    key: Key,
    children: Mapping[ChildId, Child],
    lost: Mapping[str, int],
    status: Mapping[str, Any],
    known: AbstractSet[ChildId],
) -> dict[str, int]:
    """The last replica counts of Deployments that no longer exist.

    After a restart of the operator, they are known from the status and from the autoscalers, which outlive their Deployments.
    """
    # The HorizontalPodAutoscaler of KEDA has the labels of the ScaledObject, but another name.
    asked: dict[str, int] = {}
    for child, found in children.items():
        if child.kind == "HorizontalPodAutoscaler":
            name = found.state.get("scales", child.name)
            asked[name] = max(asked.get(name, 0), found.state["status"].get("desiredReplicas", 0))
    # A Deployment that an autoscaler counted existed, even if the status was never written.
    there = {child.name for child in children if child.kind == "Deployment"}
    gone = {child.name for child in known if child.kind == "Deployment"} | asked.keys()
    gone -= there
    if not gone:
        return {}
    asked[key.name] = asked.get(key.name) or _wanted_before(status)
    last = {**asked, **lost}
    return {name: count for name, count in last.items() if count and name in gone}


def _wanted_before(status: Mapping[str, Any]) -> int:
    """The number of desired web pods in an earlier status; 0 if it is unknown."""
    return digits(str(status.get("ready", "")).rpartition("/")[2])
