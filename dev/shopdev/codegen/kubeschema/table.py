"""The table of fields, from the OpenAPI documents of Kubernetes and the CRDs of other kinds.

operator/shop_operator/objects/kubernetes_schema.py describes its format.
"""

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, Final

import yaml

from shopdev.checkout import ROOT
from shopdev.cluster.tools import ensure, module_folder
from shopdev.codegen.kubeschema.sources import zeros_omitted
from shopdev.codegen.kubeschema.unions import ALL_BUT_NAME, CANDIDATES, NO_UNIONS, UNIONS

TABLE: Final = ROOT / "operator" / "shop_operator" / "objects" / "kubernetes_schema.json"
KUBERNETES: Final = "k8s.io/kubernetes"

Schema = Mapping[str, Any]
Types = dict[str, dict[str, Any]]

# OpenAPI document -> the kinds in it that the operator writes.
BUILT_IN: Final[Mapping[str, tuple[str, ...]]] = {
    "api/v1": ("io.k8s.api.core.v1.Service", "io.k8s.api.core.v1.ServiceAccount"),
    "apis/apps/v1": ("io.k8s.api.apps.v1.Deployment",),
    "apis/autoscaling/v2": ("io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler",),
    "apis/networking.k8s.io/v1": ("io.k8s.api.networking.v1.NetworkPolicy",),
    "apis/policy/v1": ("io.k8s.api.policy.v1.PodDisruptionBudget",),
}
_CUSTOM: Final = (
    # tool, manifest, version
    ("gateway-api", "gateway.networking.k8s.io_httproutes.yaml", "v1"),
    ("keda-crds", "keda.sh_scaledobjects.yaml", "v1alpha1"),
    ("argo-rollouts-crds", "rollout-crd.yaml", "v1alpha1"),
    ("argo-rollouts-crds", "analysis-template-crd.yaml", "v1alpha1"),
    ("prometheus-operator-crds", "monitoring.coreos.com_servicemonitors.yaml", "v1"),
    ("prometheus-operator-crds", "monitoring.coreos.com_podmonitors.yaml", "v1"),
    ("prometheus-operator-crds", "monitoring.coreos.com_prometheusrules.yaml", "v1"),
)
# Types with a zero value.
_SIMPLE: Final = frozenset({"boolean", "int32", "int64", "number", "string"})
# Types that are one value, regardless of their schemas.
_SCALARS: Final[Mapping[str, str]] = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": "quantity",
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "int-or-string",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": "time",
    "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1": "any",
}
_QUANTITY: Final = "KMGTPE"


class Unreviewed(Exception):
    """The API describes a type as a union, and it is in no table of unions.py."""


def generated() -> str:
    """The text of the table, from the modules that are pinned in dev/tools."""
    documents = [_document(group) for group in BUILT_IN]
    manifests = [
        (yaml.safe_load((ensure(tool) / name).read_text()), version) for tool, name, version in _CUSTOM
    ]
    return written(table(documents, manifests, zeros_omitted))


def _document(group: str) -> Schema:
    folder = module_folder("kubernetes", KUBERNETES) / "api" / "openapi-spec" / "v3"
    found: Schema = json.loads((folder / f"{group.replace('/', '__')}_openapi.json").read_text())
    return found


def table(
    documents: Iterable[Schema],
    manifests: Iterable[tuple[Schema, str]],
    omitted: Callable[[str], Collection[str]] = lambda _: (),
) -> Types:
    """Name of a type -> its fields.

    Args:
        documents: OpenAPI v3 documents of Kubernetes.
        manifests: CustomResourceDefinitions with the version that the operator writes.
        omitted: the fields of a type of Kubernetes that store no zero value.

    Raises:
        Unreviewed: when a union is in no table.
    """
    schemas = {
        name: each for document in documents for name, each in document["components"]["schemas"].items()
    }
    types: Types = {}
    for roots in BUILT_IN.values():
        for root in roots:
            _add(root, schemas, types)
    full = {_short(name): name for name in schemas if _short(name) in types}
    for short, each in types.items():
        found = sorted(
            key
            for key in omitted(full[short])
            if key in each["fields"] and _name(each["fields"][key]) in _SIMPLE
        )
        if found:
            each["omitsZero"] = found
    for manifest, version in manifests:
        _add_custom(manifest, version, types)
    return types


def written(types: Types) -> str:
    """JSON with one line per type."""
    lines = [f"{json.dumps(name)}: {json.dumps(types[name], sort_keys=True)}" for name in sorted(types)]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _name(field: Any) -> str | None:
    """The name of a scalar type or of another type."""
    found = field.get("type") if isinstance(field, Mapping) else field
    return None if found is None else str(found)


def _short(name: str) -> str:
    return name.rpartition(".")[2]


def _add(name: str, schemas: Mapping[str, Schema], types: Types) -> None:
    """A type and the types to which it refers, except statuses, which others write."""
    short = _short(name)
    if short in types:
        return
    schema = schemas[name]
    types[short] = {}
    is_kind = "x-kubernetes-group-version-kind" in schema
    fields = {
        key: _field(each, schemas, types)
        for key, each in schema.get("properties", {}).items()
        if not (is_kind and key == "status") and key != "managedFields"
    }
    _check_reviewed(short, schema)
    types[short] = {"fields": fields, **_atomic(schema), **_unions(short, fields)}


def _field(schema: Schema, schemas: Mapping[str, Schema], types: Types) -> Any:
    found = _referred(schema, schemas, types)
    if found is None:
        found = _of(schema, lambda each: _field(each, schemas, types))
    return found


def _referred(schema: Schema, schemas: Mapping[str, Schema], types: Types) -> str | None:
    """The name of the type to which a field refers, with or without a description."""
    references = [schema, *schema.get("allOf", ())]
    target = next((each["$ref"].rpartition("/")[2] for each in references if "$ref" in each), None)
    if target is None or target in _SCALARS:
        return None if target is None else _SCALARS[target]
    _add(target, schemas, types)
    return _short(target)


def _of(schema: Schema, inner: Any) -> Any:
    """A field without a named type: a list, a map or a scalar."""
    if schema.get("type") == "array":
        kept: dict[str, Any] = {"list": inner(schema["items"])}
        kind = schema.get("x-kubernetes-list-type", "atomic")
        if kind == "map":
            keys = schema["x-kubernetes-list-map-keys"]
            merge_key = schema.get("x-kubernetes-patch-merge-key", keys[0])
            # A strategic merge patch of kubectl identifies items by the first key.
            if merge_key != keys[0]:
                raise Unreviewed(f"a list merges by {merge_key} and has the keys {keys}")
            kept["keys"] = keys
        elif kind == "set":
            kept["set"] = True
        return kept
    if isinstance(schema.get("additionalProperties"), Mapping):
        return {"map": inner(schema["additionalProperties"]), **_atomic(schema)}
    return _scalar(schema)


def _scalar(schema: Schema) -> Any:
    kind = schema.get("type", "any")
    if schema.get("x-kubernetes-int-or-string"):
        return "quantity" if _QUANTITY in schema.get("pattern", "") else "int-or-string"
    if kind == "integer":
        kind = schema.get("format", "int64")
    elif kind == "object":
        kind = "any"
    # Only the default of a list key matters: it identifies items without the key.
    return {"type": kind, "default": "TCP"} if schema.get("default") == "TCP" else kind


def _atomic(schema: Schema) -> dict[str, bool]:
    return {"atomic": True} if schema.get("x-kubernetes-map-type") == "atomic" else {}


def _unions(name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    unions = UNIONS.get(name)
    if unions is None:
        return {}
    if unions == [ALL_BUT_NAME]:
        unions = [{"members": [[each] for each in sorted(fields) if each != "name"]}]
    named = {field for union in unions for member in union["members"] for field in member}
    if not named <= fields.keys():
        raise Unreviewed(f"{name} has no {', '.join(sorted(named - fields.keys()))}")
    return {"unions": unions}


def _check_reviewed(name: str, schema: Schema) -> None:
    if name in UNIONS or name in NO_UNIONS:
        return
    if "x-kubernetes-unions" in schema or any(CANDIDATES.search(text) for text in _descriptions(schema)):
        raise Unreviewed(
            f"{name} may be a union; add it to UNIONS or NO_UNIONS of dev/shopdev/codegen/kubeschema/unions.py"
        )


def _descriptions(schema: Schema) -> Iterator[str]:
    for each in (schema, *schema.get("properties", {}).values()):
        yield re.sub(r"\s+", " ", each.get("description", ""))


def _add_custom(manifest: Schema, version: str, types: Types) -> None:
    """A kind of a CRD, and a type for each object in it."""
    kind = manifest["spec"]["names"]["kind"]
    (schema,) = (
        each["schema"]["openAPIV3Schema"] for each in manifest["spec"]["versions"] if each["name"] == version
    )
    types[kind] = {
        "fields": {
            "apiVersion": "string",
            "kind": "string",
            "metadata": "ObjectMeta",
            "spec": _custom(schema["properties"]["spec"], f"{kind}.spec", types),
        }
    }


def _custom(schema: Schema, path: str, types: Types) -> Any:
    if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        fields = {key: _custom(each, f"{path}.{key}", types) for key, each in schema["properties"].items()}
        types[path] = {"fields": fields, **_atomic(schema)}
        return path
    if schema.get("type") == "array" and schema.get("x-kubernetes-list-type", "atomic") == "atomic":
        # A list that is one value needs no type of its items.
        return {"list": "any"}
    return _of(schema, lambda each: _custom(each, f"{path}[]", types))
