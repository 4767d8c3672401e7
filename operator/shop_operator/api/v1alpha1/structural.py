"""The conversion of a JSON schema of pydantic into the structural schema of a CRD.

A structural schema has no references, no null unions and no titles.

A block is a field of the spec that is an object. It is atomic under server-side apply: one field manager owns it as a whole. In a
granular block, `networkPolicy: {}` would become null as soon as its manager gives up the last field in it. For the same reason,
fields inside a block have no default in the schema: the stored block would differ from the applied one, which is a conflict for
the next client that applies it under another name. The models apply these defaults.
"""

import copy
import json
from collections.abc import Mapping
from typing import Any, Final

_DROPPED: Final = frozenset({"title", "additionalProperties", "$defs", "default"})


def structural(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON schema of pydantic, with `$defs` and null unions, as a structural schema."""
    return _rewritten(schema, schema.get("$defs", {}))


def owned_by_block(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A structural schema in which every block is atomic and has no defaults inside."""
    return {**schema, "properties": {name: _owned(field) for name, field in schema["properties"].items()}}


def _owned(field: Mapping[str, Any]) -> dict[str, Any]:
    if field.get("type") == "object":
        return {**_without_defaults(field), "x-kubernetes-map-type": "atomic"}
    if field.get("x-kubernetes-list-type") == "map":
        # Server-side apply merges the items, so every field of an item has its own owner.
        return {**field, "items": owned_by_block(field["items"])}
    return _without_defaults(field) if field.get("type") == "array" else dict(field)


def _without_defaults(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without_defaults(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    out = {key: _without_defaults(value) for key, value in schema.items() if key != "properties"}
    if "default" in out:
        default = json.dumps(out.pop("default")).strip('"')
        described = out.get("description", "")
        if "Defaults to" not in described:
            out["description"] = f"{described} Defaults to {default}.".lstrip()
    if "properties" in schema:
        # By name, since a field may have the name default.
        out["properties"] = {name: _without_defaults(each) for name, each in schema["properties"].items()}
    return out


def _rewritten(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """One level of a schema. Keys beside a reference, such as a description, override those of its target."""
    if "$ref" in schema:
        target = definitions[schema["$ref"].rpartition("/")[2]]
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        return _rewritten({**target, **beside}, definitions)
    if "x-kubernetes-int-or-string" in schema:
        return _kept(schema)
    if "anyOf" in schema:
        (only,) = (each for each in schema["anyOf"] if each.get("type") != "null")
        beside = {key: value for key, value in schema.items() if key != "anyOf"}
        return _rewritten({**only, **beside}, definitions)
    out = _kept(schema)
    if schema.get("default") is not None:
        out["default"] = schema["default"]
    if "properties" in schema:
        out["properties"] = {
            key: _rewritten(value, definitions) for key, value in schema["properties"].items()
        }
    below = {"items": schema.get("items"), "additionalProperties": schema.get("additionalProperties")}
    for key, each in below.items():
        if isinstance(each, Mapping):
            out[key] = _rewritten(each, definitions)
            if "description" in out:
                # Otherwise `kubectl explain FIELD` prints two descriptions: that of the list or map, and that of its items.
                out[key].pop("description", None)
    return out


def _kept(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that a structural schema allows, with the description first for readers of the CRD."""
    described = {"description": schema["description"]} if "description" in schema else {}
    # A copy, since YAML would render an object that appears twice as an alias.
    return described | {key: copy.deepcopy(value) for key, value in schema.items() if key not in _DROPPED}
