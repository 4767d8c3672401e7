"""The fields of a spec that make pods. All other fields follow the spec while the last good release runs."""

from collections.abc import Mapping
from typing import Any, Final

from shop_operator.api.v1alpha1.shopservice import without_nulls
from shop_operator.objects.lenient import mappings

NO_PODS: Final = (
    "replicas",
    "autoscaling",
    "routes",
    "gateway",
    "gateways",
    "discovery",
    "disruption",
    "rollout",
    "networkPolicy",
    "monitoring",
    "commonMetadata",
    "suspend",
)
"""The fields of a spec that do not affect pods."""
SCALE: Final = ("replicas", "autoscaling")
"""The fields of a worker that do not affect pods."""
# Removes a field of a podTemplate, as null does.
_GONE: Final = {"$patch": "delete"}


def pod_fields(document: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a spec that make pods, as a status can store them."""
    return {key: value for key, value in mergeable(document).items() if key not in NO_PODS}


def without_scale(worker: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a worker that make pods."""
    return {key: value for key, value in worker.items() if key not in SCALE}


def same_pods(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two specs make the same pods."""
    first, second = (
        {**fields, "workers": [without_scale(each) for each in mappings(fields.get("workers"))]}
        for fields in map(pod_fields, (one, other))
    )
    return first == second


def mergeable(document: Mapping[str, Any]) -> dict[str, Any]:
    """The spec without nulls, which a JSON merge patch cannot write. In a podTemplate, `$patch: delete` replaces them."""
    found: dict[str, Any] = without_nulls(document)
    if "podTemplate" in found:
        found["podTemplate"] = _without_null_fields(found["podTemplate"])
    return found


def _without_null_fields(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _GONE if each is None else _without_null_fields(each) for key, each in value.items()}
    return [_without_null_fields(each) for each in value] if isinstance(value, list) else value
