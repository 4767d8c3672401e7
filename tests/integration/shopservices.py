"""ShopServices for the tests: the smallest valid one, and optional additions."""

from typing import Any


def shopservice(namespace: str, name: str = "web", **spec: Any) -> dict[str, Any]:
    """A ShopService with an image and whatever else is given."""
    return {
        "apiVersion": "shopservice.dev/v1alpha1",
        "kind": "ShopService",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"image": "registry.test/shop-product:1", **spec},
    }


ROUTE: dict[str, Any] = {
    "gateway": {"name": "shop"},
    "routes": [{"path": "/products", "methods": ["GET"]}],
}
AUTOSCALING: dict[str, Any] = {"minReplicas": 2, "maxReplicas": 6, "cpu": 70}
WORKER: dict[str, Any] = {"name": "relay", "command": ["python", "-m", "relay"]}
