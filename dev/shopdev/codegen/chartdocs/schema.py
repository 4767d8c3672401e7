"""Makes a chart's values.schema.json: closed, typed by the defaults, the comments' hints and the CRD."""

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
        title: the chart's name.
        sections: what `values.read` answers.
        crd: the ShopService CustomResourceDefinition, where `+crd` looks.

    Raises:
        BadComment: when a value's type can be told neither from its default nor from a hint.
    """
    root = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    maker = _Maker(root)
    properties = {value.key: maker.value(value) for section in sections for value in section.values}
    # Helm hands this key to every chart inside another.
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
            return {"type": "object"}  # closed by the schema of that chart
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
        # One list of types instead of anyOf: the complaint about a number is then one line.
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
    """Whether a field of a CRD is a quantity, which has no type there."""
    return bool(structural.get("pattern") == QUANTITY_SCHEMA["pattern"])


def _unnamed(pattern: str) -> str:
    """A pattern without the names of its groups, for which some editors refuse the whole schema."""
    return re.sub(r"\(\?<\w+>", "(", pattern)


def plain(structural: Mapping[str, Any]) -> JSON:
    """A CRD's structural schema as JSON schema: closed, without Kubernetes' own keywords and without defaults."""
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
    """The same, or null: that is how one values file takes back what another one set."""
    kinds = made["type"] if isinstance(made["type"], list) else [made["type"]]
    if "null" in kinds:
        return dict(made)
    choices = {"enum": [*made["enum"], None]} if "enum" in made else {}
    return {**made, "type": [*kinds, "null"], **choices}
