"""Progress of the rollout of a Deployment. Pure."""

from collections.abc import Mapping
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
