"""The table of the Kubernetes API, and its generation."""

from typing import Any

import pytest

from shop_operator.objects.kubernetes_schema import ANY, Type, of_kind, types
from shop_operator.render import KINDS
from shopdev.codegen.kubeschema import table

POD = of_kind("Deployment").below("spec").below("template").below("spec")


def test_given_every_kind_that_the_operator_writes_then_the_schema_table_knows_it() -> None:
    assert {each.kind for each in KINDS if of_kind(each.kind) is ANY} == set()


@pytest.mark.parametrize(
    ("found", "keys"),
    [
        (POD.below("containers"), ("name",)),
        (POD.below("containers").item.below("ports"), ("containerPort", "protocol")),
        (POD.below("topologySpreadConstraints"), ("topologyKey", "whenUnsatisfiable")),
        (POD.below("hostAliases"), ("ip",)),
        (POD.below("tolerations"), ()),
        (of_kind("Service").below("spec").below("ports"), ("port", "protocol")),
        # The same field name with another type of list.
        (POD.below("imagePullSecrets"), ("name",)),
        (of_kind("ServiceAccount").below("imagePullSecrets"), ()),
    ],
)
def test_given_a_list_of_the_kubernetes_api_then_the_table_has_its_merge_keys(
    found: Type, keys: tuple[str, ...]
) -> None:
    assert (found.is_list, found.keys) == (True, keys)


def test_given_an_item_without_a_merge_key_then_the_default_of_the_key_identifies_it() -> None:
    ports = POD.below("containers").item.below("ports")

    assert ports.identity({"containerPort": 80}) == ports.identity({"containerPort": 80, "protocol": "TCP"})


def test_given_an_atomic_map_or_selector_then_the_table_marks_it_as_atomic() -> None:
    assert POD.below("nodeSelector").atomic
    assert of_kind("NetworkPolicy").below("spec").below("podSelector").atomic
    assert not of_kind("Deployment").below("metadata").below("labels").atomic


def test_given_an_unknown_field_or_kind_then_every_field_below_it_is_untyped() -> None:
    assert POD.below("nosuchfield").below("deeper").item is ANY
    assert of_kind("Teapot") is ANY


def test_given_every_union_of_the_table_then_its_members_are_fields_of_its_type() -> None:
    unions = [(found, union) for found in types().values() for union in found.unions]

    assert len(unions) > 15
    for found, union in unions:
        named = {field for member in union.members for field in member}
        assert named <= (found.fields or {}).keys(), found.name
        assert (union.discriminator is None) == (not union.values), found.name
        assert union.discriminator is None or {member[0] for member in union.members} == union.values.keys()


def described(description: str) -> dict[str, Any]:
    """An API with a single kind that has this description."""
    kind = {
        "description": description,
        "properties": {"spec": {"type": "string"}},
        "x-kubernetes-group-version-kind": [],
    }
    names = [each for roots in table.BUILT_IN.values() for each in roots]
    return {"components": {"schemas": dict.fromkeys(names, kind)}}


def test_given_a_type_described_as_a_union_when_the_table_lacks_it_then_it_is_refused() -> None:
    assert table.table([described("A thing.")], [])["Service"] == {"fields": {"spec": "string"}}

    with pytest.raises(table.Unreviewed, match=r"Service may be a union; add it to UNIONS"):
        table.table([described("Exactly one of\n its fields must be set.")], [])
