"""The garbage collector of a control plane after an outage: it must run before leftovers can be judged.

In production, kube-controller-manager exits when it loses its lease, and is restarted. Here it has no lease and keeps running
with watches that reconnect only up to a minute after an outage, and without kinds that it discovers every 30 s.
"""

from typing import Final

from shopdev.cluster.controlplane import ControlPlane
from tests.integration.cluster import Cluster
from tests.waiting import wait_for

_DISCOVERY: Final = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def serve_again(plane: ControlPlane, cluster: Cluster) -> None:
    """Start the API server, and wait until it has the ShopServices, too."""
    plane.start_apiserver()
    wait_for(lambda: cluster.http.get(cluster.path("ShopService", "default")).is_success)


def collect_garbage(plane: ControlPlane, cluster: Cluster) -> None:
    """Have a kube-controller-manager that knows the ShopServices, and watches everything from now on."""

    def told() -> bool:
        groups = cluster.http.get("/apis", headers={"Accept": _DISCOVERY}).raise_for_status().json()["items"]
        return "shopservice.dev" in {group["metadata"]["name"] for group in groups}

    wait_for(told)
    plane.restart_controllers()
