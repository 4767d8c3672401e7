"""The metadata that spec.commonMetadata and the settings of the operator add to all children."""

from collections.abc import Iterable
from typing import Any

from shop_operator.api.v1alpha1.common_metadata import NOTHING, CommonMetadata
from shop_operator.api.v1alpha1.shopservice import ShopService


def with_common_metadata(
    shop: ShopService, everywhere: CommonMetadata, children: Iterable[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The children with the common labels and annotations. The operator's own labels and annotations take precedence.

    Args:
        shop: the ShopService, whose spec.commonMetadata takes precedence over `everywhere`.
        everywhere: the metadata of the children of all ShopServices.
        children: the rendered children; their pod templates do not change.
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
