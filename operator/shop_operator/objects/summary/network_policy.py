"""The summary of a NetworkPolicy."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from shop_operator.names import FIELD_MANAGER
from shop_operator.objects.lenient import mapping, mappings, shallow
from shop_operator.objects.summary.conditions import Summary

# Limits of the rules of a NetworkPolicy: levels of nesting, of which the API has 10, and bytes of JSON.
_DEEPEST_RULE: Final = 32
_LARGEST_RULES: Final = 32 * 1024
_DIRECTIONS: Final = ("ingress", "egress")


def fields(obj: Mapping[str, Any]) -> Summary:
    """The rules that the operator has applied. A direction that another manager has edited belongs to that manager."""
    spec = mapping(obj.get("spec"))
    applied = [
        mapping(mapping(each.get("fieldsV1")).get("f:spec"))
        for each in mappings(mapping(obj.get("metadata")).get("managedFields"))
        if each.get("manager") == FIELD_MANAGER and each.get("operation") == "Apply"
    ]
    rules = {
        direction: mappings(spec.get(direction))
        for direction in _DIRECTIONS
        if any(f"f:{direction}" in fields for fields in applied)
    }
    rules = shallow(rules, _DEEPEST_RULE)
    return {"rules": rules} if len(orjson.dumps(rules)) <= _LARGEST_RULES else {}
