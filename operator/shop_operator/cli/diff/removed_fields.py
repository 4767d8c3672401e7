"""The fields that an apply removes: the operator has applied them before, no other client owns them, and they are no longer desired. Pure.

The API server records the owners of each field in metadata.managedFields, and removes a field that its only owner no longer applies.
objects/fields_v1.py describes the format of its records.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from shop_operator.names import HASH_ANNOTATION
from shop_operator.objects.fields_v1 import Fields, union
from shop_operator.objects.ownership import is_apply_by_operator

Object = Mapping[str, Any]


def with_leftovers(desired: Object, live: Object) -> dict[str, Any]:
    """The desired object, together with the live fields that its apply removes.

    Args:
        desired: an apply configuration.
        live: the live object, with its managedFields.
    """
    entries = live["metadata"].get("managedFields") or ()
    ours = union(each for each in entries if is_apply_by_operator(each))
    others = union(each for each in entries if not is_apply_by_operator(each))
    kept = {
        # An annotation of all children, which is not part of a spec.
        "f:metadata": {"f:annotations": {f"f:{HASH_ANNOTATION}": {}}},
        # The operator gives the count another owner before it drops it.
        "f:spec": {"f:replicas": {}},
    }
    wider: dict[str, Any] = _wider(desired, live, _without(_without(ours, others), kept))
    return wider


def applied_metadata(live: Object, group: str) -> dict[str, str]:
    """The labels or annotations (the group) that the operator has applied to an object."""
    entries = (each for each in live["metadata"].get("managedFields") or () if is_apply_by_operator(each))
    ours = union(entries).get("f:metadata", {}).get(f"f:{group}", {})
    return {key: value for key, value in (live["metadata"].get(group) or {}).items() if f"f:{key}" in ours}


def _without(fields: Fields, others: Fields) -> Fields:
    """The fields that are not among the others, without groups that are empty then."""
    left = {}
    for key, below in fields.items():
        rest = _without(below, others[key]) if key in others else below
        if key != "." and (rest or (not below and key not in others)):
            left[key] = rest
    return left


def _wider(desired: Any, live: Any, ours: Fields) -> Any:
    if isinstance(desired, Mapping) and isinstance(live, Mapping):
        return {**desired, **_in_map(desired, live, ours)}
    if isinstance(desired, list) and isinstance(live, list):
        return _in_list(desired, live, ours)
    return desired


def _in_map(desired: Object, live: Object, ours: Fields) -> dict[str, Any]:
    found = {}
    for key, value in live.items():
        below = ours.get(f"f:{key}")
        if below is None:
            continue
        if key in desired:
            found[key] = _wider(desired[key], value, below)
        elif (part := _part(value, below)) or not below:
            # A group without any live field is omitted.
            found[key] = part
    return found


def _in_list(desired: list[Any], live: list[Any], ours: Fields) -> list[Any]:
    """The desired items in their order, followed by the removed ones."""
    found = list(desired)
    for there, key in _items(live, ours):
        at = next((index for index, each in enumerate(desired) if _is(each, key)), None)
        if at is None:
            found.append(_part(there, ours[key]))
        else:
            found[at] = _wider(desired[at], there, ours[key])
    return found


def _part(live: Any, ours: Fields) -> Any:
    """The part of a live value that the operator owns and no longer desires."""
    if ours and isinstance(live, Mapping):
        return {key: _part(value, ours[f"f:{key}"]) for key, value in live.items() if f"f:{key}" in ours}
    if ours and isinstance(live, list):
        return [_part(each, ours[key]) for each, key in _items(live, ours)]
    return live


def _items(live: list[Any], ours: Fields) -> Iterator[tuple[Any, str]]:
    """The items of a list that the operator owns, each with its FieldsV1 key."""
    for item in live:
        yield from ((item, key) for key in ours if _is(item, key))


def _is(item: Any, key: str) -> bool:
    """Whether a FieldsV1 key identifies a list item."""
    kind, _, text = key.partition(":")
    if kind == "v":
        return bool(item == json.loads(text))
    if kind != "k" or not isinstance(item, Mapping):
        return False
    # The protocol of a port is the only key with a default in the schema.
    return all(
        item.get(name, "TCP" if name == "protocol" else None) == value
        for name, value in json.loads(text).items()
    )
