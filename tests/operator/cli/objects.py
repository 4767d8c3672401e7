"""Minimal realistic objects of a namespace with ShopServices."""

from typing import Any, Final

LABEL: Final = "shopservice.dev/name"


def shopservice(
    name: str = "web", *, reason: str = "Ready", message: str = "", **spec: Any
) -> dict[str, Any]:
    """A ShopService that an operator has observed."""
    return {
        "apiVersion": "shopservice.dev/v1alpha1",
        "kind": "ShopService",
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": f"uid-{name}",
            "generation": 1,
            "resourceVersion": "1",
        },
        "spec": {"image": "web:2", "port": 8080, **spec},
        "status": {
            "observedGeneration": 1,
            "ready": "2/2",
            "image": "web:2",
            "rollout": {"lastAvailableImage": "web:1"},
            "conditions": [
                condition("Available", "Available", "True"),
                condition("Ready", reason, "True" if reason == "Ready" else "False", message),
            ],
        },
    }


def condition(kind: str, reason: str, status: str, message: str = "") -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def owned(kind: str, name: str, owner: str = "uid-web", of: str = "web", **more: Any) -> dict[str, Any]:
    """An object with the label of a ShopService and a controller reference to that UID."""
    return {
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": f"uid-{kind}-{name}",
            "resourceVersion": "1",
            "labels": {LABEL: of},
            "ownerReferences": [{"uid": owner, "controller": True}],
        },
        **more,
    }


def pod(name: str = "web-1", **container: Any) -> dict[str, Any]:
    """A pod with one container that is in that state."""
    return owned("Pod", name, status={"containerStatuses": [{"name": "app", **container}]})
