"""docs/reference/shopservice.md: every field of the CustomResourceDefinition as one table row."""

from collections.abc import Iterator, Mapping
from typing import Any

from shopdev.codegen.chartdocs.schema import is_quantity

_HEAD = """\
# ShopService reference

Generated from the CustomResourceDefinition by `make generate`. `kubectl explain shopservice.spec --recursive` shows the same in
a cluster. Fields of the same shape as in Kubernetes (probes, environment, resources, scaling behavior) have the same names.

- An empty block enables a feature with all of its defaults: `networkPolicy: {}`, `monitoring: {}`. An empty list is the same as no
  list.
- To remove a default in `podTemplate.spec`, write `$patch: delete` in its place:
  `livenessProbe: {$patch: delete}`. `kubectl apply` and `helm upgrade` remove a null before it reaches the API server.
- Null in any other field means that it is not set. Under server-side apply, the API server rejects null: omit the field.
- Under server-side apply, one field manager owns a block (a field of the spec that is an object, such as `rollout`) as a whole:
  applying a block replaces all of it. Items of `env`, `workers`, `imagePullSecrets` and `dependsOn` are owned one by one.

"""
_RULES = (
    "## Rules\n\nThe API server rejects a ShopService that violates a rule, with one of these messages:\n\n"
)
_TABLE = "| field | type | meaning |\n|---|---|---|\n"


def reference(crd: Mapping[str, Any]) -> str:
    """The page: a table for the spec, one for the status, and the rules between fields."""
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    page = _HEAD
    for part in ("spec", "status"):
        rows = "".join(_row(path, field) for path, field in fields(schema["properties"][part], ""))
        page += f"## {part}\n\n{_TABLE}{rows}\n"
    return page + _RULES + "".join(f"- {message}\n" for message in sorted(set(_messages(schema))))


def fields(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The fields of a schema with their paths, parents first."""
    for name, child in schema.get("properties", {}).items():
        here = f"{path}{name}"
        yield here, child
        inner = child.get("items", child)
        yield from fields(inner, f"{here}[]." if "items" in child else f"{here}.")


def _row(path: str, field: Mapping[str, Any]) -> str:
    meaning = " ".join(field.get("description", "").split()).replace("|", "\\|")
    if "enum" in field:
        meaning += " One of " + ", ".join(f"`{each}`" for each in field["enum"]) + "."
    if "default" in field and "Defaults to" not in meaning:
        meaning += f" Defaults to `{field['default']}`."
    return f"| `{path}` | {_type(field)} | {meaning} |\n"


def _type(field: Mapping[str, Any]) -> str:
    if is_quantity(field):
        return "quantity"
    if field.get("x-kubernetes-int-or-string"):
        return "integer or string"
    if field.get("type") == "array":
        return f"list of {_type(field['items'])}"
    if isinstance(field.get("additionalProperties"), Mapping):
        return f"map of {_type(field['additionalProperties'])}"
    return str(field.get("type", "any"))


def _messages(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping):
        for rule in schema.get("x-kubernetes-validations", ()):
            yield rule["message"]
        for value in schema.values():
            yield from _messages(value)
