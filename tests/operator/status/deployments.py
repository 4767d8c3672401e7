"""Deployments as their controller reports them, for tests of the status writer."""

from typing import Any

from tests.operator.world import World


def state(world: World, conditions: list[dict[str, Any]] | None = None, **counts: int) -> None:
    """Set the status of the Deployment, as its controller would."""
    live = world.edit("Deployment")
    live["status"] = {
        "observedGeneration": live["metadata"]["generation"],
        "conditions": conditions or [],
        **counts,
    }
    world.see(live)


DONE = [{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}]


FULL = {"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1}
