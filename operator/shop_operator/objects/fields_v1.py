"""FieldsV1, the format in which metadata.managedFields records the fields of a manager.

A key is `f:` before a field name, `k:` before the keys of a list item as JSON, `v:` before an item of a set as JSON, or `.` for the
item itself. The value is an empty map for a field with a single value and for an atomic one.
"""

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any

from shop_operator.objects.lenient import mapping

Fields = Mapping[str, Any]


def union(entries: Iterable[Mapping[str, Any]]) -> Fields:
    """The fields in any of these entries of metadata.managedFields."""
    return reduce(_both, (mapping(each.get("fieldsV1")) for each in entries), {})


def _both(one: Fields, other: Fields) -> Fields:
    return {key: _both(one.get(key, {}), other.get(key, {})) for key in one.keys() | other.keys()}
