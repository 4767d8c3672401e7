"""The table of the Kubernetes API, and its generation."""

from typing import Any

import pytest

from shop_operator.objects.kubernetes_schema import ANY, Type, of_kind, types
from shop_operator.render import KINDS
from shopdev.codegen.kubeschema import table

POD = of_kind("Deployment").below("spec").below("template").below("spec")


def test_every_kind_that_the_operator_writes_is_in_the_table() -> None:
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
def test_a_list_is_merged_by_the_keys_of_its_own_field(found: Type, keys: tuple[str, ...]) -> None:
    assert (found.is_list, found.keys) == (True, keys)


def test_a_missing_key_of_an_item_has_its_default() -> None:
    ports = POD.below("containers").item.below("ports")

    assert ports.identity({"containerPort": 80}) == ports.identity({"containerPort": 80, "protocol": "TCP"})


def test_maps_and_selectors_are_atomic_where_the_api_says_so() -> None:
    assert POD.below("nodeSelector").atomic
    assert of_kind("NetworkPolicy").below("spec").below("podSelector").atomic
    assert not of_kind("Deployment").below("metadata").below("labels").atomic


def test_every_field_of_an_unknown_type_is_unknown() -> None:
    assert POD.below("nosuchfield").below("deeper").item is ANY
    assert of_kind("Teapot") is ANY


def test_every_member_of_a_union_is_a_field_of_its_type() -> None:
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


def test_a_type_that_describes_a_union_is_in_the_table_or_fails_the_generation() -> None:
    assert table.table([described("A thing.")], [])["Service"] == {"fields": {"spec": "string"}}

    with pytest.raises(table.Unreviewed, match=r"Service may be a union; add it to UNIONS"):
        table.table([described("Exactly one of\n its fields must be set.")], [])
