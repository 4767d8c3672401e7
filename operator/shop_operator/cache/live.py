"""The facts that live children contribute to the rendering of a ShopService. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from shop_operator.cache.snapshot import Child, Scaler
from shop_operator.names import ChildId
from shop_operator.objects.rollouts import LiveRollout, rolled_out, with_pods_of
from shop_operator.objects.summary.http_route import LiveRoute
from shop_operator.render import LiveScale
from shop_operator.render.configuration import Record
from shop_operator.render.prepare import LiveDeployment

AUTOSCALERS: Final = ("HorizontalPodAutoscaler", "ScaledObject")
_SCALERS: Final = (Scaler.AUTOSCALER, Scaler.KEDA)
# A count of zero that one of them has set does not turn an autoscaler off.
_NO_CHOICE: Final = (Scaler.OPERATOR, Scaler.SHARED, Scaler.KEDA)


def live_scale(children: Mapping[ChildId, Child], lost: Mapping[str, int]) -> LiveScale | None:
    """The replica count of each workload and its owner; None before there is a Deployment.

    They are those of the Rollout, if one runs the pods of the Deployment, which another client may have deleted.
    """
    deployments = {c.name: found for c, found in children.items() if c.kind == "Deployment"}
    deployments |= {c.name: found for c, found in children.items() if c.kind == "Rollout"}
    if not deployments and not lost:
        return None
    # An autoscaler that has not scaled yet owns no field of its Deployment.
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


def pod_states(children: Mapping[ChildId, Child]) -> dict[str, dict[str, Any]]:
    """The summaries of the Deployments, by name, with the pods that Rollouts run for them."""
    return {
        child.name: with_pods_of(live.state, rollout.state if rollout else None)
        for child, live in children.items()
        if child.kind == "Deployment"
        for rollout in (children.get(ChildId("Rollout", child.name)),)
    }


def deployments(children: Mapping[ChildId, Child]) -> dict[str, LiveDeployment]:
    """The live Deployments, by name."""
    return {
        child.name: _deployment(live.state) for child, live in children.items() if child.kind == "Deployment"
    }


def _deployment(state: Mapping[str, Any]) -> LiveDeployment:
    record = Record(*(state.get("checksums") or (None, None)))
    images = frozenset(filter(None, state["images"].values()))
    return LiveDeployment(images, state.get("partOf"), record, state["spec"]["replicas"], rolled_out(state))


def rollouts(children: Mapping[ChildId, Child], owner: str) -> dict[str, LiveRollout]:
    """The Rollouts that the ShopService controls, by name."""
    return {
        child.name: LiveRollout.of(live.state)
        for child, live in children.items()
        if child.kind == "Rollout"
        and live.controller == owner
        and "deletionTimestamp" not in live.state["metadata"]
    }


def picking(children: Mapping[ChildId, Child]) -> frozenset[str]:
    """The Services whose selectors Argo Rollouts has restricted to the pods of one version."""
    return frozenset(
        child.name for child, live in children.items() if child.kind == "Service" and live.state.get("picks")
    )


def routes(children: Mapping[ChildId, Child], owner: str) -> dict[str, LiveRoute]:
    """The HTTPRoutes that the ShopService controls, by name."""
    return {
        child.name: LiveRoute.of(live.state)
        for child, live in children.items()
        if child.kind == "HTTPRoute" and live.controller == owner
    }
