"""The models reject the specs that the schema of the API server rejects, with helpful messages."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop_operator.api.v1alpha1.crd import crd
from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.errors import InvalidSpec
from tests.operator.refusals import REFUSALS
from tests.operator.refusals.refusal import Refusal
from tests.operator.specs import changed, documents


def shop(spec: dict[str, Any], name: str = "web") -> ShopService:
    return ShopService(name=name, namespace="shop", uid="u", generation=1, document=spec)


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.given)
def test_given_an_invalid_spec_then_the_message_names_the_field_and_the_mistake(refusal: Refusal) -> None:
    with pytest.raises(InvalidSpec) as refused:
        _ = shop({"image": "web:1"} | refusal.spec, refusal.name).spec

    assert (refusal.model or refusal.server) in refused.value.message


def _rules(schema: Any) -> Iterator[str]:
    """The messages of all CEL rules in a schema."""
    if isinstance(schema, dict):
        yield from (each["message"] for each in schema.get("x-kubernetes-validations", ()))
    if isinstance(schema, dict | list):
        for each in schema.values() if isinstance(schema, dict) else schema:
            yield from _rules(each)


def test_given_every_rule_of_the_crd_then_a_refused_spec_covers_it() -> None:
    expected = {message for each in REFUSALS for message in (each.server, each.model) if message}

    untested = [
        rule for rule in set(_rules(crd())) if not any(rule in each or each in rule for each in expected)
    ]

    assert untested == []


def test_given_several_mistakes_then_the_message_names_all_of_them() -> None:
    with pytest.raises(InvalidSpec) as refused:
        _ = shop({"replicas": "two", "color": "red"}).spec

    assert refused.value.message == (
        "spec.image: is required. spec.replicas: must be a whole number without quotes. spec.color: unknown field."
    )


@pytest.mark.slow
@given(documents(), st.data())
def test_given_any_document_then_it_is_either_accepted_or_refused_as_an_invalid_spec(
    spec: dict[str, Any], data: st.DataObject
) -> None:
    with suppress(InvalidSpec):
        _ = shop(data.draw(changed(spec))).spec


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


def test_given_the_schema_then_every_field_has_a_description() -> None:
    fields = _walk(_schema()["spec"], "spec") + _walk(_schema()["status"], "status")

    undescribed = [
        path for path, schema in fields if not path.endswith("[]") and not schema.get("description")
    ]

    assert undescribed == []


def test_given_the_schema_then_it_is_structural() -> None:
    for path, schema in _walk(_schema()["spec"], "spec"):
        assert "$ref" not in schema, path
        typed = {"type", "x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields"}
        assert typed & schema.keys(), path
        assert schema.get("additionalProperties") is not False, path


def test_given_no_port_then_the_api_server_and_the_models_fill_in_the_same_default() -> None:
    assert _schema()["spec"]["properties"]["port"]["default"] == shop({"image": "a"}).spec.port
