"""How many replicas Deployments have and had, and who has decided that. Pure."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final

from shop_operator.cache.store import Child, Scaler
from shop_operator.names import ChildId, Key
from shop_operator.objects.lenient import digits
from shop_operator.render import LiveScale

AUTOSCALERS: Final = ("HorizontalPodAutoscaler", "ScaledObject")
FOREIGN: Final = (Scaler.OTHER, Scaler.SHARED)
"""Of a count; an autoscaler is not among them."""
_SCALERS: Final = (Scaler.AUTOSCALER, Scaler.KEDA)
# A zero of theirs is no decision to switch an autoscaler off.
_NO_CHOICE: Final = (Scaler.OPERATOR, Scaler.SHARED, Scaler.KEDA)


def last_counts(
    key: Key,
    children: Mapping[ChildId, Child],
    lost: Mapping[str, int],
    status: Mapping[str, Any],
    known: AbstractSet[ChildId],
) -> dict[str, int]:
    """The counts that Deployments had which are not there any more.

    After a restart of the operator the status and the autoscalers, which outlive their Deployments, tell of them.
    """
    # KEDA gives its autoscaler the labels of the ScaledObject, and a name of its own.
    asked: dict[str, int] = {}
    for child, found in children.items():
        if child.kind == "HorizontalPodAutoscaler":
            name = found.state.get("scales", child.name)
            asked[name] = max(asked.get(name, 0), found.state["status"].get("desiredReplicas", 0))
    # What an autoscaler has counted was there, also when the status was never written.
    there = {child.name for child in children if child.kind == "Deployment"}
    gone = {child.name for child in known if child.kind == "Deployment"} | asked.keys()
    gone -= there
    if not gone:
        return {}
    asked[key.name] = asked.get(key.name) or _wanted_before(status)
    last = {**asked, **lost}
    return {name: count for name, count in last.items() if count and name in gone}


def live_scale(children: Mapping[ChildId, Child], lost: Mapping[str, int]) -> LiveScale | None:
    """How many replicas each Deployment is set to, and by whom; None before there is one."""
    deployments = {c.name: d for c, d in children.items() if c.kind == "Deployment"}
    if not deployments and not lost:
        return None
    # An autoscaler that has had nothing to do yet has left no trace on its Deployment.
    autoscalers = {c.name for c in children if c.kind in AUTOSCALERS}
    kept = {name for name, cached in deployments.items() if cached.state.get("kept")}
    by = {name: cached.scaled_by for name, cached in deployments.items()}
    return LiveScale(
        replicas={name: cached.state["spec"]["replicas"] for name, cached in deployments.items()},
        ours={name for name, who in by.items() if who is Scaler.OPERATOR},
        autoscaled=autoscalers | kept | {name for name, who in by.items() if who in _SCALERS},
        unchosen={name for name, who in by.items() if who in _NO_CHOICE},
        event_driven={c.name for c in children if c.kind == "ScaledObject"},
        lost=lost,
    )


def _wanted_before(status: Mapping[str, Any]) -> int:
    """How many pods of the web part an earlier status says are wanted; 0 when it does not say."""
    return digits(str(status.get("ready", "")).rpartition("/")[2])
