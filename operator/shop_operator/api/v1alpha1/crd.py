"""The CustomResourceDefinition, generated from the models of `spec.py`.

Kubernetes wants a structural schema: nothing by reference, no null unions, no titles. This module rewrites what pydantic
generates into that and adds what a schema cannot say: names, printer columns, the scale and status subresources.

A block, which is a field of the spec that is an object, is atomic under server-side apply: one field manager owns it as a
whole. In a granular one, `networkPolicy: {}` would become null as soon as its manager gives up the last field in it. For the
same reason no field inside a block has a default in the schema: the stored block would differ from the applied one, which
is a conflict for the next client that applies it under another name. The models know these defaults.
"""

import copy
import json
from collections.abc import Mapping
from typing import Any, Final

from shop_operator.api.v1alpha1.shopservice import OBJECT_RULES
from shop_operator.api.v1alpha1.spec import ShopServiceSpec
from shop_operator.api.v1alpha1.status import ShopServiceStatus
from shop_operator.names import GROUP, KIND, PLURAL, VERSION

SHORT_NAME: Final = "shopsvc"
_DROPPED: Final = frozenset({"title", "additionalProperties", "$defs", "default"})
_COLUMNS: Final = (
    # name, type, path, priority (1: only with -o wide), description
    ("Ready", "string", ".status.ready", 0, "Ready and desired pods"),
    (
        "Available",
        "string",
        '.status.conditions[?(@.type=="Available")].status',
        0,
        "Whether the web pods have minimum availability",
    ),
    ("Reason", "string", '.status.conditions[?(@.type=="Ready")].reason', 0, "Reason of the Ready condition"),
    ("Image", "string", ".spec.image", 1, "Container image of the spec"),
    ("HPA", "string", ".status.autoscaling", 0, "Minimum and maximum of the autoscaler"),
    ("URL", "string", ".status.url", 1, "URL inside the cluster"),
    ("Age", "date", ".metadata.creationTimestamp", 0, "Time since creation"),
)

# Without any condition, whoever follows kstatus takes an object for ready until the operator has seen it.
_UNOBSERVED: Final[Mapping[str, Any]] = {
    "conditions": [
        {
            "type": "Ready",
            "status": "Unknown",
            "reason": "NotObserved",
            "message": "Waiting for the operator.",
            "lastTransitionTime": "1970-01-01T00:00:00Z",
            "observedGeneration": 0,
        }
    ]
}


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
        "description": "A microservice that serves HTTP. The operator creates and reconciles all Kubernetes objects that it needs.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": owned_by_block(structural(ShopServiceSpec.model_json_schema(by_alias=True))),
            "status": structural(ShopServiceStatus.model_json_schema(by_alias=True))
            | {"default": _UNOBSERVED},
        },
        **OBJECT_RULES,
    }


def structural(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Rewrite a JSON schema with `$defs` and null unions into a structural one."""
    return _rewritten(schema, schema.get("$defs", {}))


def owned_by_block(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The same structural schema with every block atomic and without defaults inside of it."""
    return {**schema, "properties": {name: _owned(field) for name, field in schema["properties"].items()}}


def _owned(field: Mapping[str, Any]) -> dict[str, Any]:
    if field.get("type") == "object":
        return {**_without_defaults(field), "x-kubernetes-map-type": "atomic"}
    if field.get("x-kubernetes-list-type") == "map":
        # Server-side apply merges its items, so their fields are owned one by one.
        return {**field, "items": owned_by_block(field["items"])}
    return _without_defaults(field) if field.get("type") == "array" else dict(field)


def _without_defaults(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without_defaults(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    out = {key: _without_defaults(value) for key, value in schema.items() if key != "properties"}
    if "default" in out:
        told = json.dumps(out.pop("default")).strip('"')
        described = out.get("description", "")
        if "Defaults to" not in described:
            out["description"] = f"{described} Defaults to {told}.".lstrip()
    if "properties" in schema:
        # By name, since a field may be called default.
        out["properties"] = {name: _without_defaults(each) for name, each in schema["properties"].items()}
    return out


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
    below = {"items": schema.get("items"), "additionalProperties": schema.get("additionalProperties")}
    for key, each in below.items():
        if isinstance(each, Mapping):
            out[key] = _rewritten(each, definitions)
            if "description" in out:
                # `kubectl explain FIELD` prints the description of a list or a map and then that of its items.
                out[key].pop("description", None)
    return out


def _kept(schema: Mapping[str, Any]) -> dict[str, Any]:
    """What a structural schema may say, the description first: a person reads the CRD too."""
    described = {"description": schema["description"]} if "description" in schema else {}
    # A copy of everything, or YAML would show what is used twice as an alias.
    return described | {key: copy.deepcopy(value) for key, value in schema.items() if key not in _DROPPED}
