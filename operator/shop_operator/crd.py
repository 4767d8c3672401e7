"""The CustomResourceDefinition, generated from the models of `spec.py`.

Kubernetes wants a structural schema: nothing by reference, no null unions, no titles. This module rewrites what pydantic
generates into that and adds what a schema cannot say: names, printer columns, the scale and status subresources.
"""

import copy
from collections.abc import Mapping
from typing import Any, Final

from shop_operator.spec import (
    GROUP,
    KIND,
    OBJECT_RULES,
    PLURAL,
    VERSION,
    ShopServiceSpec,
    ShopServiceStatus,
)

SHORT_NAME: Final = "shopsvc"
_DROPPED: Final = frozenset({"title", "additionalProperties", "$defs", "default"})
_COLUMNS: Final = (
    # name, type, path, priority (1: only with -o wide), description
    ("Ready", "string", ".status.ready", 0, "Ready and wanted pods"),
    ("Available", "string", '.status.conditions[?(@.type=="Available")].status', 0, "Whether it serves"),
    ("Reason", "string", '.status.conditions[?(@.type=="Ready")].reason', 0, "Why it is ready or not"),
    ("Image", "string", ".spec.image", 1, "The wanted image"),
    ("HPA", "string", ".status.autoscaling", 0, "Bounds of the autoscaler"),
    ("URL", "string", ".status.url", 1, "Where it answers inside the cluster"),
    ("Age", "date", ".metadata.creationTimestamp", 0, "When it was created"),
)


def crd() -> dict[str, Any]:
    """The whole CustomResourceDefinition (apiextensions.k8s.io/v1)."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": [SHORT_NAME],
                "categories": ["all"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": _schema()},
                    "subresources": {
                        "status": {},
                        "scale": {
                            "specReplicasPath": ".spec.replicas",
                            "statusReplicasPath": ".status.replicas",
                            "labelSelectorPath": ".status.selector",
                        },
                    },
                    "additionalPrinterColumns": [
                        {
                            "name": name,
                            "type": kind,
                            "jsonPath": path,
                            "priority": priority,
                            "description": text,
                        }
                        for name, kind, path, priority, text in _COLUMNS
                    ],
                }
            ],
        },
    }


def _schema() -> dict[str, Any]:
    return {
        "type": "object",
        "description": "One HTTP microservice. The operator makes everything that Kubernetes needs to run it, and keeps it so.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": structural(ShopServiceSpec.model_json_schema(by_alias=True)),
            "status": structural(ShopServiceStatus.model_json_schema(by_alias=True)),
        },
        **OBJECT_RULES,
    }


def structural(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Rewrite a JSON schema with `$defs` and null unions into a structural one."""
    return _rewritten(schema, schema.get("$defs", {}))


def _rewritten(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """One level; what stands beside a reference (its description) wins over what is referred to."""
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
    if "items" in schema:
        out["items"] = _rewritten(schema["items"], definitions)
    if isinstance(schema.get("additionalProperties"), Mapping):
        out["additionalProperties"] = _rewritten(schema["additionalProperties"], definitions)
    return out


def _kept(schema: Mapping[str, Any]) -> dict[str, Any]:
    """What a structural schema may say, the description first: a person reads the CRD too."""
    described = {"description": schema["description"]} if "description" in schema else {}
    # A copy of everything, or YAML would show what is used twice as an alias.
    return described | {key: copy.deepcopy(value) for key, value in schema.items() if key not in _DROPPED}
