"""Names that the operator uses in the cluster: its API group, labels, annotations and field managers; and keys of objects."""

from typing import Final, NamedTuple

GROUP: Final = "shopservice.dev"
VERSION: Final = "v1alpha1"
KIND: Final = "ShopService"
PLURAL: Final = "shopservices"

NAME_LABEL: Final = "shopservice.dev/name"
COMPONENT_LABEL: Final = "app.kubernetes.io/component"
PART_OF_LABEL: Final = "app.kubernetes.io/part-of"
MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"

HASH_ANNOTATION: Final = "shopservice.dev/applied-hash"
"""On every child: hash of the apply configuration."""
CHECKSUM_ANNOTATION: Final = "shopservice.dev/config-checksum"
"""On a Deployment and its pods: checksum of the ConfigMaps and Secrets of their environment variables. A change replaces the pods,
since a container reads its variables only once."""
KEPT_COUNT_ANNOTATION: Final = "shopservice.dev/kept-replicas"
"""On a Deployment that was created again with the replica count of its predecessor, until another field manager owns the count."""
RETRY_ANNOTATION: Final = "shopservice.dev/retry"
"""On a ShopService: a new value retries the release that was rolled back."""

REVISION_ANNOTATION: Final = "deployment.kubernetes.io/revision"
"""On a ReplicaSet, set by the Deployment controller: the number of its rollout."""

ROLLOUTS_REVISION_ANNOTATION: Final = "rollout.argoproj.io/revision"
"""The same, set by Argo Rollouts on a ReplicaSet of a Rollout."""

FIELD_MANAGER: Final = "shop-operator"
"""Field manager of the operator's applies, and value of MANAGED_BY_LABEL."""
HANDOVER_MANAGER: Final = "shop-operator-handover"
"""Field manager of spec.replicas during the hand-over from the operator to an autoscaler. A field without an owner returns to its
default, which is 1 for replicas."""
REPAIR_MANAGER: Final = "shop-operator-repair"
"""Field manager of changes that an apply cannot make, until the next apply."""
OWN_MANAGERS: Final = frozenset({FIELD_MANAGER, HANDOVER_MANAGER, REPAIR_MANAGER})

PORT_NAME: Final = "http"
"""Name of the port of the container and of the Service."""
DISCOVERY_SUFFIX: Final = "-discovery"
"""Suffix of the name of the headless Service, whose annotations have the discovery hostname."""

STABLE_SUFFIX: Final = "-stable"
CANARY_SUFFIX: Final = "-canary"
"""Suffixes of the names of the Services of the two versions in a canary release."""
ROLLOUTS_HASH_LABEL: Final = "rollouts-pod-template-hash"
"""Label by which Argo Rollouts tells the pods of two versions apart; it adds the label to the selectors of the two Services."""


class Key(NamedTuple):
    """Key of a ShopService, the unit of work."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class ChildId(NamedTuple):
    """Key of a child in the namespace of its ShopService."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"
