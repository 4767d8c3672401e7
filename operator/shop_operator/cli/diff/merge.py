"""The ShopService that results from an apply, by the merge rules of kubectl and the API server. Pure."""

import json
from collections.abc import Mapping
from typing import Any, Final

from shop_operator.api.v1alpha1.crd import spec_schema

Object = Mapping[str, Any]

LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_MERGED: Final = ("labels", "annotations")
_WHOLE: Final = object()
"""Marks a field that was applied as one value, such as an atomic block, so that nothing below it is merged."""


def applied(document: Object, live: Object | None) -> dict[str, Any]:
    """The ShopService as it is stored after an apply.

    Fields of the file are set. Fields that an earlier apply set and the file no longer contains are removed. All other fields,
    such as the `suspend` of `kubectl shop suspend`, are kept.

    Args:
        document: the object in the file.
        live: the object in the cluster, None if it does not exist.
    """
    before = live or {}
    last = _last(before)
    metadata = {key: _merged(_part(last, key), _part(document, key), _part(before, key)) for key in _MERGED}
    metadata["annotations"].pop(LAST_APPLIED, None)
    spec = _merged(last.get("spec", {}), document["spec"], before.get("spec") or {})
    return {
        **before,
        **document,
        "metadata": {**before.get("metadata", {}), **document["metadata"], **metadata},
        "spec": _defaulted(spec, spec_schema()),
    }


def written(obj: Object) -> dict[str, Any]:
    """The part of a ShopService that users write, and that `diff` compares."""
    annotations = {key: value for key, value in _part(obj, "annotations").items() if key != LAST_APPLIED}
    metadata = {"labels": _part(obj, "labels"), "annotations": annotations}
    shown = {key: value for key, value in metadata.items() if value}
    return {**({"metadata": shown} if shown else {}), "spec": obj["spec"]}


def _part(obj: Object, key: str) -> dict[str, Any]:
    found = (obj.get("metadata") or {}).get(key)
    return dict(found) if isinstance(found, Mapping) else {}


def _last(live: Object) -> Object:
    """The keys of the last apply: from the annotation of kubectl, or from the managed fields of server-side applies."""
    noted = _part(live, "annotations").get(LAST_APPLIED)
    if noted is not None:
        found: Object = json.loads(noted)
        return found
    last: dict[str, Any] = {}
    for entry in (live.get("metadata") or {}).get("managedFields", ()):
        if entry["operation"] == "Apply" and not entry.get("subresource"):
            last = _union(last, _fields(entry["fieldsV1"]))
    return last


def _fields(owned: Object) -> dict[str, Any]:
    """The keys in a set of managed fields, without the items of lists."""
    return {
        key[2:]: _fields(below) if below else _WHOLE for key, below in owned.items() if key.startswith("f:")
    }


def _union(one: Any, other: Any) -> Any:
    if one is _WHOLE or other is _WHOLE:
        return _WHOLE
    return {key: _union(one.get(key, {}), other.get(key, {})) for key in one.keys() | other.keys()}


def _merged(last: Any, new: Any, live: Any) -> Any:
    """The three-way merge for custom resources, in which every list is one value."""
    if not isinstance(new, Mapping) or last is _WHOLE:
        return new
    last = last if isinstance(last, Mapping) else {}
    live = live if isinstance(live, Mapping) else {}
    kept = {key: value for key, value in live.items() if key not in last or key in new}
    return kept | {key: _merged(last.get(key), value, live.get(key)) for key, value in new.items()}


def _defaulted(value: Any, schema: Object) -> Any:
    """The value with the defaults of the API server. A null in a field of the schema counts as absent."""
    if isinstance(value, list):
        return [_defaulted(each, schema.get("items", {})) for each in value]
    if not isinstance(value, Mapping):
        return value
    known, others = schema.get("properties", {}), schema.get("additionalProperties", {})
    given = {key: each for key, each in value.items() if each is not None or key not in known}
    filled = {key: each["default"] for key, each in known.items() if "default" in each and key not in given}
    return {key: _defaulted(each, known.get(key, others)) for key, each in (given | filled).items()}
