"""Status writes of a node's kubelet."""

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
