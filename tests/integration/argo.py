"""Writes of the controller of Argo Rollouts, which does not run here: the status of a Rollout, selectors and weights."""

from typing import Any

from tests.integration.cluster import Cluster

MANAGER = "rollouts-controller"


def report(cluster: Cluster, namespace: str, **state: Any) -> None:
    """Report a state of the Rollout web, about its spec and the pod template as they are now."""
    rollout, deployment = (cluster.get(kind, namespace, "web") for kind in ("Rollout", "Deployment"))
    seen = {
        "observedGeneration": str(rollout["metadata"]["generation"]),
        "workloadObservedGeneration": str(deployment["metadata"]["generation"]),
    }
    _patch(cluster, f"{cluster.path('Rollout', namespace, 'web')}/status", {"status": {**seen, **state}})


def healthy(cluster: Cluster, namespace: str, version: str) -> None:
    """Report that a version has passed all steps, with as many available pods as desired."""
    pods = cluster.get("Rollout", namespace, "web")["spec"]["replicas"]
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), pods)
    report(cluster, namespace, phase="Healthy", message=None, abort=None, stableRS=version, **counts)


def select(cluster: Cluster, namespace: str, **versions: str) -> None:
    """Restrict the selectors of the Services stable and canary to the pods of a version each."""
    for role, version in versions.items():
        selector = {"selector": {"rollouts-pod-template-hash": version}}
        _patch(cluster, cluster.path("Service", namespace, f"web-{role}"), {"spec": selector})


def weigh(cluster: Cluster, namespace: str, weight: int) -> None:
    """Give the new version a share of the requests, as the plugin for the Gateway API does."""
    path = cluster.path("HTTPRoute", namespace, "web")
    route = cluster.get("HTTPRoute", namespace, "web")
    for rule in route["spec"]["rules"]:
        for backend in rule["backendRefs"]:
            backend["weight"] = weight if backend["name"].endswith("-canary") else 100 - weight
    cluster.http.put(path, json=route, params={"fieldManager": MANAGER}).raise_for_status()


def _patch(cluster: Cluster, path: str, patch: dict[str, Any]) -> None:
    cluster.http.patch(
        path,
        json=patch,
        params={"fieldManager": MANAGER},
        headers={"Content-Type": "application/merge-patch+json"},
    ).raise_for_status()
