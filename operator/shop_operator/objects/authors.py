"""The author of a field, as metadata.managedFields tells it; none when it does not tell.

A field that was removed, and the order of a list, have no owner. The form of the notes is FieldsV1 of the Kubernetes API: `f:`
before a key, `k:` before the keys of a list's item, and nothing below what is one value.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from shop_operator.objects.kubernetes_schema import Type, of_kind
from shop_operator.objects.lenient import mapping, text


def author(kind: str, entries: Sequence[Mapping[str, Any]], paths: Iterable[str]) -> str:
    """The managers that own these very fields, in alphabetical order; empty when one of the fields has no known owner.

    Args:
        kind: of the object.
        entries: its managedFields, without those of the operator itself.
        paths: as compare.drift names fields.
    """
    found = [_owner(of_kind(kind), entries, path) for path in paths]
    return ", ".join(sorted(set(found))) if all(found) else ""


def _owner(kind: Type, entries: Sequence[Mapping[str, Any]], path: str) -> str:
    """The newest of the owners; an entry of the scale subresource has no time."""
    owners = [
        (text(each.get("time")), text(each.get("manager")))
        for each in entries
        if _has(mapping(each.get("fieldsV1")), f".{path}", kind)
    ]
    return max(owners)[1] if owners else ""


def _has(fields: Mapping[str, Any], path: str, kind: Type) -> bool:
    for key, value in fields.items():
        step, below = _step(key), mapping(value)
        if step == path:
            # Of a list that is merged only the items have owners.
            return not any(each.startswith("k:") for each in below)
        inner = kind.item if key.startswith("k:") else kind.below(key[2:])
        if kind.name != "map" and step and path.startswith((f"{step}.", f"{step}[")):
            return not below or _has(below, path[len(step) :], inner)
    return False


def _step(key: str) -> str:
    """A key of FieldsV1 as paths have it; empty for the item itself and for a value of a set."""
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
