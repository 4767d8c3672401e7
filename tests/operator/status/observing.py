"""ShopServices and children for tests of a status."""

from collections.abc import Mapping, Sequence
from typing import Any

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.objects.summary import summary
from shop_operator.status.compute import status
from shop_operator.status.diagnosis import Diagnosis
from shop_operator.status.observed import Observed

NOW = "2030-01-01T00:00:00Z"


SHOP = ShopService(
    name="web", namespace="shop", uid="u", generation=3, document={"image": "web:2", "replicas": 2}
)


DONE = [
    {"type": "Available", "status": "True"},
    {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
]


def deployment(
    *,
    wanted: int = 2,
    there: int = 2,
    updated: int = 2,
    available: int = 2,
    conditions: Sequence[Mapping[str, Any]] = tuple(DONE),
    resources: Mapping[str, Any] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    container = {"name": "app", "image": "web:2", "resources": resources or {}}
    return {
        "kind": "Deployment",
        "metadata": {"name": "web", "generation": 1},
        "spec": {"replicas": wanted, "template": {"spec": {"containers": [container]}}, **spec},
        "status": {
            "observedGeneration": 1,
            "replicas": there,
            "updatedReplicas": updated,
            "readyReplicas": available,
            "availableReplicas": available,
            "conditions": list(conditions),
        },
    }


def seen(*children: dict[str, Any], **more: Any) -> Observed:
    return Observed(
        {(child["kind"], child["metadata"]["name"]): summary(child) for child in children}, **more
    )


def conditions(
    observed: Observed, shop: ShopService = SHOP, previous: Mapping[str, Any] | None = None
) -> dict[str, dict[str, Any]]:
    found = status(shop, observed, previous or {}, now=lambda: NOW)
    return {each["type"]: each for each in found["conditions"]}


def states(found: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    return {kind: each["status"] for kind, each in found.items()}


LATE = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}


CRASH = Diagnosis("CrashLoopBackOff", "container app exited with code 1 and was restarted", "web-1", "app")


APP = {"name": "app", "image": "web:2"}


def rolled_out(**state: Any) -> dict[str, Any]:
    complete = {
        "observedGeneration": 1,
        "replicas": 2,
        "updatedReplicas": 2,
        "readyReplicas": 2,
        "availableReplicas": 2,
        "conditions": [{"type": "Available", "status": "True"}],
    }
    return {
        "kind": "Deployment",
        "metadata": {"name": "web", "generation": 1},
        "spec": {
            "replicas": 2,
            "template": {"spec": {"containers": [{"name": "mesh", "image": "mesh:7"}, APP]}},
        },
        "status": complete | state,
    }
