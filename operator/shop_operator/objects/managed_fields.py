"""The managers of fields, according to metadata.managedFields.

A removed field has no manager, and neither has the order of a list. fields_v1.py describes the format of an entry.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from shop_operator.objects.kubernetes_schema import Type, of_kind
from shop_operator.objects.lenient import mapping, text


def field_managers(kind: str, entries: Sequence[Mapping[str, Any]], paths: Iterable[str]) -> str:
    """The managers that own these fields, in alphabetical order; empty if a field has no known manager.

    Args:
        kind: kind of the object.
        entries: managedFields of the object, without the entries of the operator.
        paths: paths of the fields, in the format of compare.differences.
    """
    found = [_manager(of_kind(kind), entries, path) for path in paths]
    return ", ".join(sorted(set(found))) if all(found) else ""


def _manager(kind: Type, entries: Sequence[Mapping[str, Any]], path: str) -> str:
    """The manager that updated the field last; an entry of the scale subresource has no time."""
    managers = [
        (text(each.get("time")), text(each.get("manager")))
        for each in entries
        if _has(mapping(each.get("fieldsV1")), f".{path}", kind)
    ]
    return max(managers)[1] if managers else ""


def _has(fields: Mapping[str, Any], path: str, kind: Type) -> bool:
    for key, value in fields.items():
        step, below = _step(key), mapping(value)
        if step == path:
            # In a list that is merged, only the items have managers.
            return not any(each.startswith("k:") for each in below)
        inner = kind.item if key.startswith("k:") else kind.below(key[2:])
        if kind.name != "map" and step and path.startswith((f"{step}.", f"{step}[")):
            return not below or _has(below, path[len(step) :], inner)
    return False


def _step(key: str) -> str:
    """A key of FieldsV1 in the format of a path; empty for the item itself and for a value of a set."""
    form, _, text = key.partition(":")
    if form == "f":
        return f".{text}"
    if form != "k":
        return ""
    try:
        keys = orjson.loads(text)
    except orjson.JSONDecodeError:
        return ""
    return (
        f"[{','.join(f'{name}={value}' for name, value in keys.items())}]" if isinstance(keys, dict) else ""
    )
