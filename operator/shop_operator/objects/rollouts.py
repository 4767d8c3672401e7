"""Progress of the rollout of a Deployment, whose pods a Rollout of Argo Rollouts may run. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


def rolled_out(deployment: Mapping[str, Any]) -> bool:
    """Whether all pods have the newest template and are available, and no pod of an earlier template is left or can return."""
    state, wanted = deployment["status"], deployment["spec"]["replicas"]
    return bool(
        state.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
        and state.get("replicas", 0) == state.get("updatedReplicas", 0) == wanted
        and state.get("availableReplicas", 0) >= wanted
    )


def replaced(deployment: Mapping[str, Any]) -> bool:
    """Whether no pods of an earlier template exist: the template has never changed, or the rollout is complete."""
    return deployment["metadata"].get("generation", 0) <= 1 or rolled_out(deployment)


@dataclass(frozen=True)
class LiveRollout:
    """A Rollout in the cluster, as far as it affects other children.

    Attributes:
        replicas: its desired number of pods.
        stable: whether it has completed a release, whose pods its Services select.
        available: whether a completed release has as many available pods as desired.
    """

    replicas: int
    stable: bool
    available: bool

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> "LiveRollout":
        """From the summary of a Rollout."""
        state, wanted = kept["status"], kept["spec"]["replicas"]
        stable = bool(state.get("stableRS"))
        return cls(wanted, stable, stable and state.get("availableReplicas", 0) >= wanted)


def observed(rollout: Mapping[str, Any], deployment: Mapping[str, Any]) -> bool:
    """Whether the status of a Rollout is about its own spec and the pod template of its Deployment as they are now."""
    state = rollout["status"]
    return bool(
        state.get("observedGeneration", 0) >= rollout["metadata"].get("generation", 0)
        and state.get("workloadObservedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    )


def with_pods_of(deployment: dict[str, Any], rollout: Mapping[str, Any] | None) -> dict[str, Any]:
    """The summary of a Deployment with the pods that a Rollout runs for it.

    A Deployment without pods of its own gets the counts of the Rollout. While both have pods, because one takes over from the
    other, the counts add up, so that the Deployment does not count as rolled out.
    """
    if rollout is None:
        return deployment
    own, theirs = deployment["status"], rollout["status"]
    counts = {
        key: (own.get(key, 0) if deployment["spec"]["replicas"] else 0) + theirs.get(key, 0)
        for key in ("replicas", "readyReplicas", "availableReplicas")
    }
    if deployment["spec"]["replicas"]:
        return {**deployment, "status": {**own, **counts}}
    generation = deployment["metadata"].get("generation", 0)
    return {
        **deployment,
        "spec": rollout["spec"],
        "status": {
            **counts,
            "updatedReplicas": theirs.get("updatedReplicas", 0),
            "observedGeneration": generation if observed(rollout, deployment) else 0,
            "conditions": [
                {"type": "Available", "status": "True" if theirs.get("availableReplicas") else "False"}
            ],
        },
    }


def with_pods(
    children: Mapping[tuple[str, str], dict[str, Any]],
) -> dict[tuple[str, str], dict[str, Any]]:
    """Summaries of children, by kind and name, in which each Deployment has the pods that a Rollout runs for it."""
    return {
        (kind, name): with_pods_of(each, children.get(("Rollout", name))) if kind == "Deployment" else each
        for (kind, name), each in children.items()
    }
