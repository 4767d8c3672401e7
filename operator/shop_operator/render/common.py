"""The metadata that every child has because its user, or whoever runs the operator, asks for it."""

from collections.abc import Iterable
from typing import Any

from shop_operator.api.v1alpha1.common_metadata import NOTHING, CommonMetadata
from shop_operator.api.v1alpha1.shopservice import ShopService


def with_common_metadata(
    shop: ShopService, everywhere: CommonMetadata, children: Iterable[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The children with these labels and annotations; what the operator sets itself on one wins.

    Args:
        shop: has its own in spec.commonMetadata, which win over those of everywhere.
        everywhere: those of the children of all ShopServices.
        children: as rendered; their pod templates stay as they are.
    """
    own = shop.spec.common_metadata or NOTHING
    labels = {**(everywhere.labels or {}), **(own.labels or {})}
    annotations = {**(everywhere.annotations or {}), **(own.annotations or {})}
    if not labels and not annotations:
        return list(children)
    return [_with(child, labels, annotations) for child in children]


def _with(child: dict[str, Any], labels: dict[str, str], annotations: dict[str, str]) -> dict[str, Any]:
    metadata = child["metadata"]
    merged = {**metadata, "labels": {**labels, **metadata["labels"]}}
    described = {**annotations, **metadata.get("annotations", {})}
    if described:
        merged["annotations"] = described
    return {**child, "metadata": merged}
