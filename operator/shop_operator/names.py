"""What the operator calls things in the cluster, each name once: its API, labels, annotations, field managers; and a key of each object."""

from typing import Final, NamedTuple

GROUP: Final = "shopservice.dev"
VERSION: Final = "v1alpha1"
KIND: Final = "ShopService"
PLURAL: Final = "shopservices"

NAME_LABEL: Final = "shopservice.dev/name"
COMPONENT_LABEL: Final = "app.kubernetes.io/component"
PART_OF_LABEL: Final = "app.kubernetes.io/part-of"

HASH_ANNOTATION: Final = "shopservice.dev/applied-hash"
"""On each child: the hash of the configuration that was applied."""
CHECKSUM_ANNOTATION: Final = "shopservice.dev/config-checksum"
"""A container reads its variables once, so that a ConfigMap or Secret that changes needs new pods."""
KEPT_COUNT_ANNOTATION: Final = "shopservice.dev/kept-replicas"
"""On a Deployment that was created with the count of its predecessor, until another field manager owns that count."""
RETRY_ANNOTATION: Final = "shopservice.dev/retry"
"""On a ShopService: a new value retries a release that was rolled back."""

FIELD_MANAGER: Final = "shop-operator"
"""Of the operator's own applies; also the value of app.kubernetes.io/managed-by."""
HANDOVER_MANAGER: Final = "shop-operator-handover"
"""Holds spec.replicas while it passes from the operator to an autoscaler: a field whose only owner drops it returns to its
default, which for replicas is 1."""
REPAIR_MANAGER: Final = "shop-operator-repair"
"""Writes what an apply cannot, and owns that until the apply that follows."""
OWN_MANAGERS: Final = frozenset({FIELD_MANAGER, HANDOVER_MANAGER, REPAIR_MANAGER})

PORT_NAME: Final = "http"
"""Of the container's own port, and of the Service's."""
DISCOVERY_SUFFIX: Final = "-discovery"
"""Of the headless Service that carries the hostname."""


class Key(NamedTuple):
    """Names one ShopService; the unit of work."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class ChildId(NamedTuple):
    """Names one child inside the namespace of its ShopService."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"
