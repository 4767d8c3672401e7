"""Empty blocks and nulls, in the schema and in the models."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.api.v1alpha1.spec import ShopServiceSpec
from shop_operator.errors import InvalidSpec
from tests.operator.specs import SPEC_SCHEMA


def spec_of(**spec: Any) -> ShopServiceSpec:
    return ShopService("web", "shop", "uid", 1, document={"image": "web:1", **spec}).spec


def granular(schema: Mapping[str, Any], path: str = "spec") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """All objects in a schema that are granular in server-side apply."""
    yield path, schema
    for name, field in schema["properties"].items():
        if field.get("x-kubernetes-list-type") == "map":
            yield from granular(field["items"], f"{path}.{name}[]")
        if field.get("type") == "object" and field.get("x-kubernetes-map-type") != "atomic":
            yield from granular(field, f"{path}.{name}")


def defaulted(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    for name, field in schema.get("properties", {}).items():
        if "default" in field:
            yield f"{path}.{name}"
        yield from defaulted(field.get("items", field), f"{path}.{name}")


def test_given_the_schema_then_only_the_spec_and_keyed_items_are_granular_and_each_has_a_required_field() -> (
    None
):
    found = dict(granular(SPEC_SCHEMA))

    assert set(found) == {
        "spec",
        "spec.env[]",
        "spec.imagePullSecrets[]",
        "spec.workers[]",
        "spec.workers[].env[]",
    }
    assert all(schema["required"] for schema in found.values())


def test_given_the_schema_then_no_field_below_the_spec_has_a_default() -> None:
    assert set(defaulted(SPEC_SCHEMA, "spec")) == {"spec.port"}


def test_given_a_default_of_the_models_then_the_description_of_its_field_states_it() -> None:
    interval = SPEC_SCHEMA["properties"]["monitoring"]["properties"]["interval"]

    assert interval["description"].endswith("Defaults to 30s.")
    assert spec_of(monitoring={}).monitoring.interval == "30s"  # type: ignore[union-attr]  # set above


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ({"networkPolicy": None}, {}),
        (
            {"replicas": None, "autoscaling": {"maxReplicas": 2, "cpu": None}},
            {"autoscaling": {"maxReplicas": 2}},
        ),
        ({"env": [{"name": "A", "value": None}]}, {"env": [{"name": "A"}]}),
        ({"monitoring": {"path": None, "labels": {"a": None}}}, {"monitoring": {"labels": {}}}),
        ({"port": None}, {}),
        (
            {"podTemplate": {"metadata": {"labels": {"a": None}}}},
            {"podTemplate": {"metadata": {"labels": {}}}},
        ),
    ],
)
def test_given_a_null_then_the_field_counts_as_not_set(given: dict[str, Any], stored: dict[str, Any]) -> None:
    assert spec_of(**given) == spec_of(**stored)


def test_given_a_null_in_the_pod_template_then_it_is_kept() -> None:
    template = {"spec": {"priorityClassName": None}}

    assert spec_of(podTemplate=template).to_dict()["podTemplate"] == template


@pytest.mark.parametrize("spec", [{"env": [None]}, {"dependsOn": [None]}, {"image": None}])
def test_given_a_null_for_a_required_value_then_the_spec_is_rejected(spec: dict[str, Any]) -> None:
    with pytest.raises(InvalidSpec):
        spec_of(**spec)


def test_given_an_empty_network_policy_then_it_counts_as_set_and_an_absent_one_does_not() -> None:
    assert spec_of(networkPolicy={}).network_policy is not None
    assert spec_of().network_policy is None
