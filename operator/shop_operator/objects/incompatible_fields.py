"""Fields of other managers that are incompatible with an apply, and the spec of an object without them.

A server-side apply sets the operator's fields and keeps all other fields. If the two are incompatible (another member of a union,
a second port with the same name), the API server rejects the apply as a whole. One write therefore removes the incompatible
fields and sets the operator's fields: with only one of the two steps, the object may be invalid.

Two forms are recognized from the objects alone: other members of a union of which the operator sets one, and list items with the
name of an operator's item under another key. All others are recognized by their manager: `fields_of_others` reads
metadata.managedFields.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from shop_operator.objects.compare import displaced
from shop_operator.objects.fields_v1 import Fields, union
from shop_operator.objects.kubernetes_schema import Type, of_kind
from shop_operator.objects.lenient import mappings

_NONE: Final[Fields] = {}
# Never removed: an autoscaler owns it.
_KEPT: Final = "f:replicas"


def without_incompatible_fields(
    desired: Mapping[str, Any], live: Mapping[str, Any], others: Fields = _NONE
) -> dict[str, Any] | None:
    """The spec with every desired field and without incompatible fields; None if there are none to remove.

    Args:
        desired: an apply configuration.
        live: the object.
        others: fields to remove as well if they are beside fields of the operator, as FieldsV1.
    """
    if "spec" not in desired or not isinstance(live.get("spec"), Mapping):
        return None
    left = {key: value for key, value in others.get("f:spec", _NONE).items() if key != _KEPT}
    merging = _Merging()
    spec: dict[str, Any] = merging.merged(
        desired["spec"], live["spec"], of_kind(desired["kind"]).below("spec"), left
    )
    return spec if merging.dropped else None


def fields_of_others(live: Mapping[str, Any], own: Iterable[str]) -> Fields:
    """The fields that managers other than our own have set, except by the status subresource, as FieldsV1."""
    entries = mappings(live["metadata"].get("managedFields"))
    names = frozenset(own)
    return union(
        each for each in entries if each.get("manager") not in names and each.get("subresource") != "status"
    )


class _Merging:
    """One merge.

    Attributes:
        dropped: whether anything was removed.
    """

    def __init__(self) -> None:
        self.dropped = False

    def merged(self, desired: Any, live: Any, kind: Type, others: Fields) -> Any:
        """The desired value merged over the live value."""
        if isinstance(desired, Mapping) and isinstance(live, Mapping) and not kind.atomic:
            return self._maps(desired, live, kind, others)
        if isinstance(desired, list) and isinstance(live, list) and kind.finds(desired, live):
            return self._lists(desired, live, kind, others)
        return desired

    def _maps(
        self, desired: Mapping[str, Any], live: Mapping[str, Any], kind: Type, others: Fields
    ) -> dict[str, Any]:
        away = set(displaced(desired, live, kind)) | {
            key for key in live if f"f:{key}" in others and key not in desired
        }
        self.dropped = self.dropped or bool(away)
        wanted = {key: value for key, value in desired.items() if value is not None}
        return {key: value for key, value in live.items() if key not in away} | {
            key: self.merged(value, live.get(key), kind.below(key), others.get(f"f:{key}", _NONE))
            for key, value in wanted.items()
        }

    def _lists(self, desired: list[Any], live: list[Any], kind: Type, others: Fields) -> list[Any]:
        """The items of the operator in its order, then those of others."""
        there = {kind.identity(item): item for item in live}
        below = {_identity(key, kind): value for key, value in others.items() if key.startswith("k:")}
        ours = {kind.identity(item): item for item in desired}
        kept = []
        for identity, item in there.items():
            if identity in ours:
                continue
            # An additional container or variable is compatible; an additional port may make the whole list invalid.
            incompatible = _is_namesake(item, desired, kind) or (identity in below and len(kind.keys) > 1)
            self.dropped = self.dropped or incompatible
            kept += [] if incompatible else [item]
        return [
            self.merged(item, there.get(identity), kind.item, below.get(identity, _NONE))
            for identity, item in ours.items()
        ] + kept


def _is_namesake(item: Mapping[str, Any], desired: list[Any], kind: Type) -> bool:
    """Whether an item has the name of a desired item, in a list whose names are unique but not a key, such as ports."""
    if "name" in kind.keys or "protocol" not in kind.keys or not item.get("name"):
        return False
    return any(each.get("name") == item["name"] for each in desired)


def _identity(key: str, kind: Type) -> tuple[Any, ...]:
    """The identity of the item that a key of FieldsV1 (`k:{"name":"app"}`) names."""
    return kind.identity(orjson.loads(key.partition(":")[2]))
