"""Whether pods of an earlier template of a Deployment may be left. Pure."""

from collections.abc import Mapping
from typing import Any


def rolled_out(deployment: Mapping[str, Any]) -> bool:
    """Whether every pod is of the newest template and available, and none of an earlier one is left or can come back."""
    state, wanted = deployment["status"], deployment["spec"]["replicas"]
    return bool(
        state.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
        and state.get("replicas", 0) == state.get("updatedReplicas", 0) == wanted
        and state.get("availableReplicas", 0) >= wanted
    )


def replaced(deployment: Mapping[str, Any]) -> bool:
    """Whether there are no pods of an earlier template: there never was one, or none of them is left."""
    return deployment["metadata"].get("generation", 0) <= 1 or rolled_out(deployment)
