"""The common metadata of all children: names, labels and the owner reference."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.names import (
    COMPONENT_LABEL,
    FIELD_MANAGER,
    GROUP,
    KIND,
    MANAGED_BY_LABEL,
    NAME_LABEL,
    PART_OF_LABEL,
    VERSION,
)

WEB: Final = "web"
DISCOVERY: Final = "discovery"
"""The component of the headless Service. It differs from WEB so that a selector of Services (a scrape, a mesh) finds the web workload once."""
STABLE: Final = "stable"
CANARY: Final = "canary"
"""The components of the Services of the two versions in a canary release."""
_LONGEST_VALUE: Final = 63


def worker_component(worker: str) -> str:
    """The component label of a worker's objects."""
    return f"worker-{worker}"


def selector(shop: ShopService, component: str) -> dict[str, str]:
    """The labels that select the pods of one component. They never change, because the selector of a Deployment is immutable."""
    return {NAME_LABEL: shop.name, COMPONENT_LABEL: component}


def labels(shop: ShopService, component: str) -> dict[str, str]:
    """The recommended labels of Kubernetes, and those of the operator."""
    return {
        "app.kubernetes.io/name": shop.name,
        "app.kubernetes.io/instance": shop.name,
        "app.kubernetes.io/version": version(shop.spec.image),
        PART_OF_LABEL: shop.labels.get(PART_OF_LABEL, shop.namespace),
        MANAGED_BY_LABEL: FIELD_MANAGER,
        **selector(shop, component),
    }


@lru_cache(maxsize=1024)
def version(image: str) -> str:
    """The tag of an image, or the beginning of its digest, as a label value."""
    name, _, digest = image.partition("@")
    _, colon, tag = name.rpartition("/")[2].partition(":")
    found = tag if colon else digest.rpartition(":")[2][:12] or "latest"
    return re.sub(r"[^A-Za-z0-9_.-]", "-", found)[:_LONGEST_VALUE].strip("_.-") or "latest"


def metadata(
    shop: ShopService, name: str, component: str, annotations: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The metadata of a child: in the namespace of the ShopService, and owned by it."""
    out: dict[str, Any] = {
        "name": name,
        "namespace": shop.namespace,
        "labels": labels(shop, component),
        "ownerReferences": [
            {
                "apiVersion": f"{GROUP}/{VERSION}",
                "kind": KIND,
                "name": shop.name,
                "uid": shop.uid,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }
    if annotations:
        out["annotations"] = dict(annotations)
    return out
