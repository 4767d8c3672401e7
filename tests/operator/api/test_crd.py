"""Descriptions in the CRD, as shown by `kubectl explain`."""

from collections.abc import Iterator, Mapping
from typing import Any

from shop_operator.api.v1alpha1.crd import crd

Schema = Mapping[str, Any]


def described_twice(schema: Schema, path: str = "") -> Iterator[str]:
    """The paths of lists and maps that have a description, and items with a description of their own."""
    for name, field in (schema.get("properties") or {}).items():
        yield from described_twice(field, f"{path}.{name}")
    for below in (schema.get("items"), schema.get("additionalProperties")):
        if isinstance(below, Mapping):
            if "description" in schema and "description" in below:
                yield path
            yield from described_twice(below, f"{path}[]")


def test_given_a_list_or_a_map_with_a_description_then_its_items_have_none() -> None:
    (version,) = crd()["spec"]["versions"]

    assert list(described_twice(version["schema"]["openAPIV3Schema"])) == []


def test_given_two_descriptions_of_one_field_then_the_check_names_it() -> None:
    described = {"description": "Rules.", "items": {"description": "A rule."}}

    assert list(described_twice({"properties": {"rules": described}})) == [".rules"]


def test_given_a_list_then_it_keeps_its_own_description() -> None:
    (version,) = crd()["spec"]["versions"]
    routes = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["routes"]

    assert routes["description"].startswith("Requests that the Gateway forwards to the microservice.")
    assert "description" in routes["items"]["properties"]["headers"]
