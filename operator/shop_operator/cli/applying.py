"""What there is once a file has been applied: the rules by which kubectl and the API server make one object of two. Pure."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from shop_operator.api.v1alpha1.crd import crd

Object = Mapping[str, Any]

LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_MERGED: Final = ("labels", "annotations")
_WHOLE: Final = object()
"""A field that was applied as one value, such as an atomic block: nothing below it is merged."""


def applied(document: Object, live: Object | None) -> dict[str, Any]:
    """The ShopService as it is stored after an apply.

    What the file says is set; what an earlier apply has set and the file says no more is taken away; everything else, such as
    a `suspend` of `kubectl shop suspend`, stays.

    Args:
        document: the file's.
        live: the cluster's, None when there is none.
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
        "spec": _defaulted(spec, _schema()),
    }


def written(obj: Object) -> dict[str, Any]:
    """What a person writes of a ShopService: the part of it that a difference is shown of."""
    annotations = {key: value for key, value in _part(obj, "annotations").items() if key != LAST_APPLIED}
    metadata = {"labels": _part(obj, "labels"), "annotations": annotations}
    shown = {key: value for key, value in metadata.items() if value}
    return {**({"metadata": shown} if shown else {}), "spec": obj["spec"]}


def _part(obj: Object, key: str) -> dict[str, Any]:
    found = (obj.get("metadata") or {}).get(key)
    return dict(found) if isinstance(found, Mapping) else {}


def _last(live: Object) -> Object:
    """What was applied before, as far as its keys go: kubectl's own note, or the fields of those who apply on the server."""
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
    """The keys in a set of managed fields; items of lists are no keys."""
    return {
        key[2:]: _fields(below) if below else _WHOLE for key, below in owned.items() if key.startswith("f:")
    }


def _union(one: Any, other: Any) -> Any:
    if one is _WHOLE or other is _WHOLE:
        return _WHOLE
    return {key: _union(one.get(key, {}), other.get(key, {})) for key in one.keys() | other.keys()}


def _merged(last: Any, new: Any, live: Any) -> Any:
    """A three-way merge as of a custom resource, where every list is one value."""
    if not isinstance(new, Mapping) or last is _WHOLE:
        return new
    last = last if isinstance(last, Mapping) else {}
    live = live if isinstance(live, Mapping) else {}
    kept = {key: value for key, value in live.items() if key not in last or key in new}
    return kept | {key: _merged(last.get(key), value, live.get(key)) for key, value in new.items()}


@cache
def _schema() -> Object:
    (version,) = crd()["spec"]["versions"]
    found: Object = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return found


def _defaulted(value: Any, schema: Object) -> Any:
    """With what the API server fills in; a null of a field that the schema knows is no value."""
    if isinstance(value, list):
        return [_defaulted(each, schema.get("items", {})) for each in value]
    if not isinstance(value, Mapping):
        return value
    known, others = schema.get("properties", {}), schema.get("additionalProperties", {})
    given = {key: each for key, each in value.items() if each is not None or key not in known}
    filled = {key: each["default"] for key, each in known.items() if "default" in each and key not in given}
    return {key: _defaulted(each, known.get(key, others)) for key, each in (given | filled).items()}
