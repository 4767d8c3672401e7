"""Random specs that the schema of the CRD allows.

A unit test passes them to the models, and an integration test passes them to a real API server, so that both accept the same specs.
"""

import re
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from shop_operator.api.v1alpha1.crd import crd
from shop_operator.api.v1alpha1.schema import python_pattern

SPEC_SCHEMA: dict[str, Any] = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]


names = st.from_regex(r"\A[a-z]([-a-z0-9]{0,18}[a-z0-9])?\Z")

# Keys that have a meaning in Kubernetes, which a schema cannot list.
_KEYS: Mapping[str, tuple[str, ...]] = {
    "requests": ("cpu", "memory", "ephemeral-storage"),
    "limits": ("cpu", "memory", "ephemeral-storage"),
    "annotations": ("a", "example.com/b", "eks.amazonaws.com/role-arn"),
    "labels": ("a", "example.com/b"),
    "matchLabels": ("a", "example.com/b"),
    "selector": ("a", "example.com/b"),
}


@st.composite
def documents(draw: st.DrawFn, schema: Mapping[str, Any] = SPEC_SCHEMA, field: str = "") -> Any:
    """Documents that a structural schema allows. They may violate rules between fields."""
    if "properties" in schema:
        required = set(schema.get("required", ()))
        optional = sorted(schema["properties"].keys() - required)
        chosen = draw(st.lists(st.sampled_from(optional), unique=True, max_size=4)) if optional else []
        fields = [*sorted(required), *chosen]
        return {name: draw(documents(schema["properties"][name], name)) for name in fields}
    return draw(_values(schema, field))


# Fields of the pod spec, which has no schema: valid ones, and some that the operator rejects.
_POD_SPECS: tuple[dict[str, Any], ...] = (
    {},
    {"priorityClassName": "high"},
    {"nodeSelector": {"kubernetes.io/arch": "arm64"}, "hostUsers": False},
    {"containers": [{"name": "app", "env": [{"name": "SIDE", "value": "1"}]}]},
    {"containers": [{"name": "app", "image": "other"}]},
    {"restartPolicy": "Never"},
)
_SAMPLES: Mapping[str, tuple[str, ...]] = {
    # Random strings rarely match the CEL rules of these fields.
    "cidr": ("10.0.0.0/8", "fd00::/8"),
    "except": ("10.1.0.0/16",),
    "path": ("/", "/a", "/orders/1", "/%41", "a", ""),
    "hostname": ("payment.shop.internal", "1.2-3", "payment", "A.internal", "a..b", "a.b-", ""),
}


def _values(schema: Mapping[str, Any], field: str) -> st.SearchStrategy[Any]:
    if field in _SAMPLES:
        return st.sampled_from(_SAMPLES[field])
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return _quantities(schema) if "pattern" in schema else st.sampled_from(_POD_SPECS)
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "additionalProperties" in schema:
        values = documents(schema["additionalProperties"])
        return st.dictionaries(st.sampled_from(_KEYS[field]), values, max_size=3)
    if "x-kubernetes-int-or-string" in schema:
        return _integers(schema) | _strings(schema)
    made = {"integer": _integers, "string": _strings, "array": _lists, "boolean": _booleans}
    return made[schema["type"]](schema)


def _in_rules(schema: Mapping[str, Any]) -> str:
    """The pattern in the rules of a string, empty if they have none."""
    ruled = (each["rule"] for each in schema.get("x-kubernetes-validations", ()))
    found = (re.fullmatch(r'(?:type\(self\) == int \|\| )?self\.matches\(r"(.*)"\)', each) for each in ruled)
    return next((each[1] for each in reversed(list(found)) if each), "")


def _quantities(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    numbers = st.integers(0, 10**12) | st.floats(0, 10**6, allow_subnormal=False)
    return numbers | _strings(schema)


def _booleans(_: Mapping[str, Any]) -> st.SearchStrategy[bool]:
    return st.booleans()


def _integers(schema: Mapping[str, Any]) -> st.SearchStrategy[int]:
    return st.integers(schema.get("minimum", 0), schema.get("maximum", 2**31 - 1))


def _strings(schema: Mapping[str, Any]) -> st.SearchStrategy[str]:
    least, most = schema.get("minLength", 0), schema.get("maxLength", 64)
    pattern = python_pattern(schema.get("pattern") or _in_rules(schema))
    if not pattern:
        return st.text(st.characters(codec="utf-8"), min_size=least, max_size=min(most, 20))
    anchored = pattern if pattern.endswith("$") else pattern + "[!-~]*$"
    return st.from_regex(re.compile(rf"{anchored[:-1]}\Z", re.ASCII)).filter(
        lambda text: least <= len(text) <= most
    )


def _lists(schema: Mapping[str, Any]) -> st.SearchStrategy[list[Any]]:
    keys = schema.get("x-kubernetes-list-map-keys", ())
    distinct = keys or schema.get("x-kubernetes-list-type") == "set"

    def identity(item: Any) -> Any:
        return tuple(item[key] for key in keys) if keys else item

    return st.lists(
        documents(schema["items"]),
        min_size=schema.get("minItems", 0),
        max_size=3,
        unique_by=identity if distinct else None,
    )


@st.composite
def changed(draw: st.DrawFn, document: Any) -> Any:
    """The document with one value replaced by any other value."""
    if isinstance(document, dict) and document and draw(st.integers(0, 9)):
        key = draw(st.sampled_from(sorted(document)))
        return document | {key: draw(changed(document[key]))}
    if isinstance(document, list) and document and draw(st.integers(0, 9)):
        index = draw(st.integers(0, len(document) - 1))
        return [*document[:index], draw(changed(document[index])), *document[index + 1 :]]
    if isinstance(document, dict) and draw(st.booleans()):
        return document | {"unknown": 1}
    if isinstance(document, list) and document and draw(st.booleans()):
        return [*document, document[0]]
    return draw(
        st.sampled_from(
            [[], {}, "", " ", "x" * 5000, -1, 0, 10**9, True, None, "http", "GET", [""], [{}], [None]]
        )
        | st.text(st.characters(codec="utf-8"), max_size=3)
    )
