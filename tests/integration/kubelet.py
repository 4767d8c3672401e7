"""Status writes of a node's kubelet."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tests.integration.cluster import Cluster
from tests.waiting import wait_for


def roll_out(cluster: Cluster, namespace: str, name: str) -> None:
    """Have every pod of a Deployment ready, as a kubelet would, until the Deployment controller has replaced all old ones."""
    pods = f"/api/v1/namespaces/{namespace}/pods"
    selector = {"labelSelector": f"shopservice.dev/name={name}"}

    def done() -> bool:
        for pod in cluster.http.get(pods, params=selector).raise_for_status().json()["items"]:
            cluster.http.patch(
                f"{pods}/{pod['metadata']['name']}/status",
                json={"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}},
                headers={"Content-Type": "application/merge-patch+json"},
            )
        live = cluster.get("Deployment", namespace, name)
        state, wanted = live.get("status", {}), live["spec"]["replicas"]
        return bool(
            state.get("observedGeneration") == live["metadata"]["generation"]
            and state.get("replicas")
            == state.get("updatedReplicas")
            == state.get("availableReplicas")
            == wanted
        )

    wait_for(done, 30)


def _status(pod: Mapping[str, Any], missing: str) -> dict[str, Any]:
    (container,) = pod["spec"]["containers"]
    if container["image"] != missing:
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        return {"phase": "Running", "conditions": [ready]}
    waiting = {"reason": "ErrImageNeverPull", "message": f"Container image {missing} is not present"}
    started = {"image": missing, "imageID": "", "ready": False, "restartCount": 0}
    return {
        "phase": "Pending",
        "conditions": [{"type": "Ready", "status": "False"}],
        "containerStatuses": [{"name": container["name"], **started, "state": {"waiting": waiting}}],
    }


@contextmanager
def ready_pods(cluster: Cluster, namespace: str, *, missing: str = "") -> Iterator[None]:
    """Have every pod of a namespace ready, and end those that are deleted, until the end of the context.

    Args:
        cluster: the API server.
        namespace: of the pods.
        missing: an image that is not on the node, so that its pods do not start.
    """
    pods, over = f"/api/v1/namespaces/{namespace}/pods", threading.Event()

    def work() -> None:
        while not over.wait(0.2):
            for pod in cluster.http.get(pods).json().get("items", ()):
                path = f"{pods}/{pod['metadata']['name']}"
                if "deletionTimestamp" in pod["metadata"]:
                    cluster.http.request("DELETE", path, json={"gracePeriodSeconds": 0})
                elif not {"conditions", "containerStatuses"} & (pod.get("status") or {}).keys():
                    cluster.http.patch(
                        f"{path}/status",
                        json={"status": _status(pod, missing)},
                        headers={"Content-Type": "application/merge-patch+json"},
                    )

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
