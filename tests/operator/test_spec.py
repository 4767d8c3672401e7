"""The models refuse what the API server's schema refuses, in words that help."""

from typing import Any

import pytest

from shop_operator.crd import crd
from shop_operator.errors import InvalidSpec
from shop_operator.spec import ShopService


def shop(spec: dict[str, Any], name: str = "web") -> ShopService:
    return ShopService(name=name, namespace="shop", uid="u", generation=1, document=spec)


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({}, "spec.image: is required"),
        (
            {"image": "a", "replicas": 1, "autoscaling": {"maxReplicas": 2}},
            "replicas or autoscaling, not both",
        ),
        (
            {"image": "a", "autoscaling": {"minReplicas": 3, "maxReplicas": 2}},
            "minReplicas must not be greater",
        ),
        ({"image": "a", "colour": "red"}, "spec.colour: unknown field"),
        ({"image": "a", "routes": [{"path": "/"}]}, "routes need a gateway"),
        (
            {"image": "a", "gateway": {"name": "g"}, "routes": [{"path": "/", "methods": ["FETCH"]}]},
            "spec.routes[0].methods[0]: Input should be 'GET'",
        ),
        (
            {"image": "a", "workers": [{"name": "w", "command": ["x"]}] * 2},
            "Duplicate value: w is there 2 times",
        ),
        ({"image": "a", "workers": [{"name": "w" * 40, "command": ["x"]}]}, "62 characters at most"),
        (
            {"image": "a", "probes": {"liveness": {"httpGet": {}, "exec": {"command": ["x"]}}}},
            "exactly one of httpGet, tcpSocket, exec and grpc",
        ),
    ],
)
def test_a_bad_spec_is_refused_with_a_sentence_that_says_where_and_what(
    spec: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InvalidSpec) as refused:
        _ = shop(spec, name="w" * 30).spec

    assert sentence in str(refused.value)


def _walk(schema: dict[str, Any], path: str = "") -> list[tuple[str, dict[str, Any]]]:
    found = [(path, schema)]
    for name, child in schema.get("properties", {}).items():
        found += _walk(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            found += _walk(schema[key], f"{path}[]")
    return found


def _schema() -> dict[str, Any]:
    version = crd()["spec"]["versions"][0]
    return dict(version["schema"]["openAPIV3Schema"]["properties"])


def test_every_field_of_the_schema_is_described() -> None:
    fields = _walk(_schema()["spec"], "spec") + _walk(_schema()["status"], "status")

    undescribed = [
        path for path, schema in fields if not path.endswith("[]") and not schema.get("description")
    ]

    assert undescribed == []


def test_the_schema_is_structural() -> None:
    for path, schema in _walk(_schema()["spec"], "spec"):
        assert "$ref" not in schema, path
        assert "type" in schema or "x-kubernetes-int-or-string" in schema, path
        assert schema.get("additionalProperties") is not False, path


def test_a_port_is_defaulted_alike_by_the_api_server_and_by_the_models() -> None:
    assert _schema()["spec"]["properties"]["port"]["default"] == shop({"image": "a"}).spec.port
