"""The desired state of one child, and its comparison with the live child. Pure."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.cache.snapshot import Child
from shop_operator.names import HASH_ANNOTATION, ChildId, Key
from shop_operator.objects.compare import applied_hash
from shop_operator.objects.lenient import mapping, mappings


@dataclass(frozen=True)
class Wanted:
    """The desired state of one child.

    Attributes:
        key: the key of its ShopService.
        shop: its ShopService.
        configuration: the rendered apply configuration.
        seen: the version of the live child at the time of rendering; None if it did not exist.
        known_before: the child existed or was desired before.
        certainly_existed: the child existed before, so another client has deleted it if it does not exist now.
    """

    key: Key
    shop: ShopService
    configuration: Mapping[str, Any]
    seen: int | None = None
    known_before: bool = False
    certainly_existed: bool = False

    def __str__(self) -> str:
        return f"{self.key.namespace}: {self.child}"

    @property
    def child(self) -> ChildId:
        """Kind and name."""
        return ChildId(self.configuration["kind"], self.configuration["metadata"]["name"])

    @cached_property
    def digest(self) -> str:
        """The hash that identifies the configuration."""
        return applied_hash(self.configuration)

    @property
    def signed(self) -> dict[str, Any]:
        """The configuration with its own hash, as it is sent."""
        metadata = self.configuration["metadata"]
        annotations = {**metadata.get("annotations", {}), HASH_ANNOTATION: self.digest}
        return {**self.configuration, "metadata": {**metadata, "annotations": annotations}}


def is_like(live: Child, digest: str) -> bool:
    """Whether the apply configuration with that hash was the last one applied."""
    obj = live.object
    return live.settled == digest if obj is None else remembered(obj) == digest


def remembered(live: Mapping[str, Any]) -> str | None:
    """The hash of the last applied configuration, from the annotation of a live object."""
    hashed: str | None = mapping(live["metadata"].get("annotations")).get(HASH_ANNOTATION)
    return hashed


def existed(
    status: Mapping[str, Any], absent: AbstractSet[ChildId], lost: AbstractSet[str]
) -> frozenset[ChildId]:
    """The absent children that certainly existed. A status lists Deployments before they are created.

    Args:
        status: the status of the ShopService.
        absent: children that the ShopService has had, according to its status or an earlier pass.
        lost: the Deployments that are known to have existed.
    """
    if not absent:
        return frozenset()
    children = mappings(status.get("children"))
    ready = {(c.get("kind"), c.get("name")) for c in children if c.get("ready")}
    return frozenset(
        child for child in absent if child.kind != "Deployment" or child.name in lost or child in ready
    )
