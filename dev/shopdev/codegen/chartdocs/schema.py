"""The values.schema.json of a chart: closed, with types from the defaults, from hints in comments and from the CRD."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from shop_operator.api.v1alpha1.resources import QUANTITY_SCHEMA
from shop_operator.api.v1alpha1.scalars import LABEL
from shopdev.codegen.chartdocs.values import BadComment, Section, Value

JSON = dict[str, Any]
_DRAFT = "http://json-schema.org/draft-07/schema#"
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
_ENV_NAME = "^[-._a-zA-Z][-._a-zA-Z0-9]*$"


def schema(title: str, sections: Sequence[Section], crd: Mapping[str, Any]) -> JSON:
    """The JSON schema of a values.yaml.

    Args:
        title: name of the chart.
        sections: result of `values.read`.
        crd: CustomResourceDefinition of ShopServices, for the hint `+crd`.

    Raises:
        BadComment: when neither the default nor a hint determines the type of a value.
    """
    root = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    maker = _Maker(root)
    properties = {value.key: maker.value(value) for section in sections for value in section.values}
    # Helm passes this key to subcharts.
    properties.setdefault("global", {"type": "object"})
    return {
        "$schema": _DRAFT,
        "title": title,
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }


class _Maker:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root

    def value(self, value: Value) -> JSON:
        described: JSON = {"description": value.description} if value.description else {}
        return {**described, **self._type(value)}

    def _type(self, value: Value) -> JSON:
        if "crd" in value.hints:
            return nullable(plain(self._crd(value.hints["crd"].split("."), value)))
        if "env" in value.hints:
            return self._env()
        if "workers" in value.hints:
            return self._workers(value)
        if "chart" in value.hints:
            return {"type": "object"}  # the schema of that chart closes it
        if value.children:
            return {
                "type": "object",
                "properties": {child.key: self.value(child) for child in value.children},
                "additionalProperties": False,
                **value.schema_hint(),
            }
        hint = value.schema_hint()
        if (value.default is None or value.default in ([], {})) and not hint:
            raise BadComment(f"{value.where}: an empty value does not tell its type; add `# +schema {{…}}`")
        kind = {} if value.default is None else {"type": _TYPES[type(value.default)]}
        return {**kind, **hint}

    def _crd(self, path: Sequence[str], value: Value) -> Mapping[str, Any]:
        found = self._root
        for key in path:
            if key not in found.get("properties", {}):
                raise BadComment(f"{value.where}: the CRD has no {'.'.join(path)}")
            found = found["properties"][key]
        return found

    def _env(self) -> JSON:
        items = self._root["properties"]["spec"]["properties"]["env"]["items"]
        # One list of types instead of anyOf, so that the error for a number is one line.
        return {
            "type": ["object", "null"],
            "propertyNames": {"pattern": _ENV_NAME},
            "additionalProperties": {
                "type": ["string", "boolean", "number", "object", "null"],
                "properties": {"valueFrom": plain(items["properties"]["valueFrom"])},
                "required": ["valueFrom"],
                "additionalProperties": False,
            },
        }

    def _workers(self, value: Value) -> JSON:
        worker = plain(self._crd(["spec", "workers"], value)["items"])
        name = worker["properties"].pop("name")
        worker["required"] = [key for key in worker["required"] if key != "name"]
        env = worker["properties"]["env"]
        worker["properties"]["env"] = {
            key: value for key, value in env.items() if key == "description"
        } | self._env()
        for key in sorted(worker["properties"].keys() - set(worker["required"])):
            worker["properties"][key] = nullable(worker["properties"][key])
        return {
            "type": ["object", "null"],
            "propertyNames": {"pattern": f"^{LABEL}$", "maxLength": name["maxLength"]},
            "additionalProperties": nullable(worker),
        }


def is_quantity(structural: Mapping[str, Any]) -> bool:
    """Whether a field of a CRD is a quantity, whose schema has no type."""
    return bool(structural.get("pattern") == QUANTITY_SCHEMA["pattern"])


def _unnamed(pattern: str) -> str:
    """A pattern without names of groups, because some editors reject a schema with them."""
    return re.sub(r"\(\?<\w+>", "(", pattern)


def plain(structural: Mapping[str, Any]) -> JSON:
    """The structural schema of a CRD as JSON schema: closed, without the keywords of Kubernetes and without defaults."""
    made: JSON = {
        key: value
        for key, value in structural.items()
        if not key.startswith("x-kubernetes-") and key not in {"default", "nullable", "format", "example"}
    }
    if is_quantity(structural):
        return {"type": ["number", "string"], "pattern": _unnamed(structural["pattern"]), "minimum": 0}
    if "pattern" in made:
        made["pattern"] = _unnamed(made["pattern"])
    if structural.get("x-kubernetes-int-or-string"):
        made = {key: made[key] for key in ("description", "pattern") if key in made}
        made["type"] = ["integer", "string"]
    if "properties" in structural:
        made["properties"] = {name: plain(value) for name, value in structural["properties"].items()}
        made.setdefault("additionalProperties", False)
    for key in ("items", "additionalProperties"):
        if isinstance(structural.get(key), Mapping):
            made[key] = plain(structural[key])
    return made


def nullable(made: Mapping[str, Any]) -> JSON:
    """The schema, or null, with which a values file removes a value of another one."""
    kinds = made["type"] if isinstance(made["type"], list) else [made["type"]]
    if "null" in kinds:
        return dict(made)
    choices = {"enum": [*made["enum"], None]} if "enum" in made else {}
    return {**made, "type": [*kinds, "null"], **choices}
