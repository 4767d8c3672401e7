"""What others have left in the way of an apply, and the spec of an object without it.

A server-side apply sets our fields and leaves every other one alone. That the two do not go together (another member of a union,
a second port of one name) is the API server's to refuse, and it refuses the whole apply. So these are taken away first, and ours
are set by the same write: without either the object may not be valid.

Two kinds are known by their look: other members of a union of which we set one, and items that have the name of ours under
another key. The rest is known by who has set it: `fields_of_others` reads that in metadata.managedFields.
"""

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any, Final

import orjson

from shop_operator.objects.compare import displaced
from shop_operator.objects.kubernetes_schema import Type, of_kind
from shop_operator.objects.lenient import mapping, mappings

Fields = Mapping[str, Any]

_NONE: Final[Fields] = {}
# Another one's by right, whatever it is: an autoscaler sets it.
_LEFT: Final = "f:replicas"


def cleared(
    desired: Mapping[str, Any], live: Mapping[str, Any], others: Fields = _NONE
) -> dict[str, Any] | None:
    """The spec with every desired field and without what stands in its way; None when nothing does.

    Args:
        desired: an apply configuration.
        live: the object.
        others: fields that go too where they are beside ours, as FieldsV1.
    """
    if "spec" not in desired or not isinstance(live.get("spec"), Mapping):
        return None
    left = {key: value for key, value in others.get("f:spec", _NONE).items() if key != _LEFT}
    merging = _Merging()
    spec: dict[str, Any] = merging.merged(
        desired["spec"], live["spec"], of_kind(desired["kind"]).below("spec"), left
    )
    return spec if merging.dropped else None


def fields_of_others(live: Mapping[str, Any], own: Iterable[str]) -> Fields:
    """What managers have set who are not among our own, and not by a status, as FieldsV1."""
    entries = mappings(live["metadata"].get("managedFields"))
    names = frozenset(own)
    return reduce(
        _both,
        (
            mapping(each.get("fieldsV1"))
            for each in entries
            if each.get("manager") not in names and each.get("subresource") != "status"
        ),
        _NONE,
    )


def _both(one: Fields, other: Fields) -> Fields:
    return {key: _both(one.get(key, _NONE), other.get(key, _NONE)) for key in one.keys() | other.keys()}


class _Merging:
    """One merge.

    Attributes:
        dropped: whether anything was taken away.
    """

    def __init__(self) -> None:
        self.dropped = False

    def merged(self, desired: Any, live: Any, kind: Type, others: Fields) -> Any:
        """What is desired over what is live."""
        if isinstance(desired, Mapping) and isinstance(live, Mapping) and not kind.atomic:
            return self._maps(desired, live, kind, others)
        if isinstance(desired, list) and isinstance(live, list) and kind.finds(desired, live):
            return self._lists(desired, live, kind, others)
        return desired

    def _maps(
        self, desired: Mapping[str, Any], live: Mapping[str, Any], kind: Type, others: Fields
    ) -> dict[str, Any]:
        away = set(displaced(desired, live, kind)) | {
            key for key in live if f"f:{key}" in others and key not in desired
        }
        self.dropped = self.dropped or bool(away)
        wanted = {key: value for key, value in desired.items() if value is not None}
        return {key: value for key, value in live.items() if key not in away} | {
            key: self.merged(value, live.get(key), kind.below(key), others.get(f"f:{key}", _NONE))
            for key, value in wanted.items()
        }

    def _lists(self, desired: list[Any], live: list[Any], kind: Type, others: Fields) -> list[Any]:
        """Our items in our order, then those of others."""
        there = {kind.identity(item): item for item in live}
        below = {_identity(key, kind): value for key, value in others.items() if key.startswith("k:")}
        ours = {kind.identity(item): item for item in desired}
        kept = []
        for identity, item in there.items():
            if identity in ours:
                continue
            # An additional container or variable goes with ours; of ports and the like only the whole list is valid or not.
            in_the_way = _is_namesake(item, desired, kind) or (identity in below and len(kind.keys) > 1)
            self.dropped = self.dropped or in_the_way
            kept += [] if in_the_way else [item]
        return [
            self.merged(item, there.get(identity), kind.item, below.get(identity, _NONE))
            for identity, item in ours.items()
        ] + kept


def _is_namesake(item: Mapping[str, Any], desired: list[Any], kind: Type) -> bool:
    """Whether an item has the name of one of ours, where names are unique and no key: ports."""
    if "name" in kind.keys or "protocol" not in kind.keys or not item.get("name"):
        return False
    return any(each.get("name") == item["name"] for each in desired)


def _identity(key: str, kind: Type) -> tuple[Any, ...]:
    """The identity of the item that a key of FieldsV1 (`k:{"name":"app"}`) names."""
    return kind.identity(orjson.loads(key.partition(":")[2]))
