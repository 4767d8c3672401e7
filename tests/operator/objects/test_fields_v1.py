"""FieldsV1, the format of metadata.managedFields."""

from typing import Any

from shop_operator.objects.fields_v1 import union


def test_given_two_managers_then_the_union_has_the_fields_of_both() -> None:
    one: dict[str, Any] = {
        "fieldsV1": {"f:spec": {"f:replicas": {}, "f:ports": {'k:{"port":80}': {"f:name": {}}}}}
    }
    other: dict[str, Any] = {"fieldsV1": {"f:spec": {"f:ports": {'k:{"port":80}': {".": {}}}}}}

    assert union([one, other, {}]) == {
        "f:spec": {"f:replicas": {}, "f:ports": {'k:{"port":80}': {"f:name": {}, ".": {}}}}
    }


def test_given_no_managers_then_the_union_is_empty() -> None:
    assert union([]) == {}
