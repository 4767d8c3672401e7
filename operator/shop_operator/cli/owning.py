"""What an apply takes away: fields that the operator has applied before, that no other client has set, and that it has no wish for now.

The API server notes in metadata.managedFields who has set what; a field that its only owner applies no more is removed.
Pure. The form of the notes is FieldsV1 of the Kubernetes API: `f:` before a key, `k:` before the keys of a list's item, `v:` before
an item of a set, `.` for the item itself, and nothing below what is one value.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from shop_operator.names import HASH_ANNOTATION
from shop_operator.objects.ownership import is_apply_by_operator

Object = Mapping[str, Any]
Fields = Mapping[str, Any]


def with_leftovers(desired: Object, live: Object) -> dict[str, Any]:
    """What is desired, and beside it what the live object has of what an apply of it takes away.

    Args:
        desired: an apply configuration.
        live: the object as the API server has it, with its managedFields.
    """
    entries = live["metadata"].get("managedFields") or ()
    ours = _union(each for each in entries if is_apply_by_operator(each))
    others = _union(each for each in entries if not is_apply_by_operator(each))
    kept = {
        # Of every object; what the operator writes there is nothing that a user has asked for.
        "f:metadata": {"f:annotations": {f"f:{HASH_ANNOTATION}": {}}},
        # The operator hands the count over before it lets go of it.
        "f:spec": {"f:replicas": {}},
    }
    wider: dict[str, Any] = _wider(desired, live, _without(_without(ours, others), kept))
    return wider


def applied_metadata(live: Object, group: str) -> dict[str, str]:
    """The labels or annotations (the group) that the operator has applied to an object."""
    entries = (each for each in live["metadata"].get("managedFields") or () if is_apply_by_operator(each))
    ours = _union(entries).get("f:metadata", {}).get(f"f:{group}", {})
    return {key: value for key, value in (live["metadata"].get(group) or {}).items() if f"f:{key}" in ours}


def _union(entries: Iterable[Object]) -> Fields:
    found: Fields = {}
    for each in entries:
        found = _both(found, each.get("fieldsV1") or {})
    return found


def _both(one: Fields, other: Fields) -> Fields:
    return {key: _both(one.get(key, {}), other.get(key, {})) for key in one.keys() | other.keys()}


def _without(fields: Fields, others: Fields) -> Fields:
    """Those of the fields that are not among the others; what was a group of them only and is empty now goes too."""
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
            # A group of which nothing is there any more is nothing.
            found[key] = part
    return found


def _in_list(desired: list[Any], live: list[Any], ours: Fields) -> list[Any]:
    """Items are desired in their own order; those that go come last."""
    found = list(desired)
    for there, key in _items(live, ours):
        at = next((index for index, each in enumerate(desired) if _is(each, key)), None)
        if at is None:
            found.append(_part(there, ours[key]))
        else:
            found[at] = _wider(desired[at], there, ours[key])
    return found


def _part(live: Any, ours: Fields) -> Any:
    """The part of a live value that the operator owns and that is no longer wanted."""
    if ours and isinstance(live, Mapping):
        return {key: _part(value, ours[f"f:{key}"]) for key, value in live.items() if f"f:{key}" in ours}
    if ours and isinstance(live, list):
        return [_part(each, ours[key]) for each, key in _items(live, ours)]
    return live


def _items(live: list[Any], ours: Fields) -> Iterator[tuple[Any, str]]:
    """The items of a list that are ours, each with its key of FieldsV1."""
    for item in live:
        yield from ((item, key) for key in ours if _is(item, key))


def _is(item: Any, key: str) -> bool:
    """Whether a list's item is the one of a key of FieldsV1."""
    kind, _, text = key.partition(":")
    if kind == "v":
        return bool(item == json.loads(text))
    if kind != "k" or not isinstance(item, Mapping):
        return False
    # The one key with a default in the schema is the protocol of a port.
    return all(
        item.get(name, "TCP" if name == "protocol" else None) == value
        for name, value in json.loads(text).items()
    )
