"""Argo Rollouts: its writes, for tests in which it does not run, and its real controller as a process."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shopdev.cluster import tools
from shopdev.ports import free_port
from tests.integration.cluster import Cluster
from tests.integration.operators import run

MANAGER = "rollouts-controller"
NAMESPACE = "argo-rollouts"


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


def abort(cluster: Cluster, namespace: str) -> None:
    """Abort the release, as `kubectl argo rollouts abort` does."""
    _patch(cluster, f"{cluster.path('Rollout', namespace, 'web')}/status", {"status": {"abort": True}})


@contextmanager
def controller(cluster: Cluster, folder: Path) -> Iterator[None]:
    """The real controller of Argo Rollouts as a process, with the plugin of dev/tools that sets the weights of HTTPRoutes."""
    kubectl = (tools.ensure("kubernetes") / "kubectl", "--kubeconfig", cluster.kubeconfig)
    for each in sorted(tools.ensure("argo-rollouts-crds").glob("*-crd.yaml")):
        run([*kubectl, "apply", "--server-side", "--force-conflicts", "-f", each])
    cluster.namespace(NAMESPACE)
    programs = tools.ensure("argo-rollouts")
    plugin = f'- {{name: argoproj-labs/gatewayAPI, location: "file://{programs}/gateway-weights"}}\n'
    for kind, name, data in (
        ("ConfigMap", "argo-rollouts-config", {"trafficRouterPlugins": plugin}),
        ("ConfigMap", "argo-rollouts-notification-configmap", {}),
        ("Secret", "argo-rollouts-notification-secret", {}),
    ):
        metadata = {"name": name, "namespace": NAMESPACE}
        cluster.create({"apiVersion": "v1", "kind": kind, "metadata": metadata, "data": data})
    flags = ["--kubeconfig", str(cluster.kubeconfig), f"--namespace={NAMESPACE}", "--leader-elect=false"]
    ports = [f"--{name}={free_port()}" for name in ("metricsPort", "healthzPort")]
    env = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig), "ARGO_ROLLOUTS_NAMESPACE": NAMESPACE}
    with (folder / "argo-rollouts.log").open("w") as log:
        process = subprocess.Popen(
            [programs / "rollouts-controller", *flags, *ports], cwd=folder, env=env, stdout=log, stderr=log
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait()
