"""The state that passes over one ShopService keep beyond its status, in one record that is dropped with the ShopService."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from shop_operator.names import ChildId, Key
from shop_operator.objects.lenient import mappings, text
from shop_operator.reconcile.revert_limit import RevertLimit


@dataclass(slots=True)
class ChildMemory:
    """The record of one ShopService.

    Attributes:
        overruled: for each child, the hash of a configuration and the fields that the API server or a webhook changed when it
            was applied. Applying them again would never change that.
        revert_limit: the limit on reverts; None before the first revert.
        unlisted: children that were seen and that no status lists yet.
    """

    overruled: dict[ChildId, tuple[str, frozenset[str]]] = field(default_factory=dict)
    revert_limit: RevertLimit | None = None
    unlisted: frozenset[ChildId] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.overruled or self.revert_limit or self.unlisted)


class ChildMemories:
    """The records of all ShopServices; an empty record is dropped."""

    def __init__(self) -> None:
        self._known: dict[Key, ChildMemory] = {}

    def of(self, key: Key) -> ChildMemory:
        """The record of a ShopService, to be read and changed until the pass ends."""
        return self._known.setdefault(key, ChildMemory())

    def end(self, key: Key, present: AbstractSet[ChildId], listed: AbstractSet[ChildId]) -> None:
        """End a pass: remember the children that no status lists, and drop an empty record.

        Args:
            key: the key of the ShopService.
            present: the children that the ShopService controls.
            listed: the children that its status lists.
        """
        memory = self.of(key)
        memory.unlisted = (memory.unlisted | present) - listed
        if not memory:
            del self._known[key]

    def forget(self, key: Key) -> None:
        """Drop the record of a deleted ShopService."""
        self._known.pop(key, None)

    def clear(self) -> None:
        """Drop all records."""
        self._known.clear()


def listed_children(status: Mapping[str, Any]) -> frozenset[ChildId]:
    """The children that the status of a ShopService lists."""
    children = mappings(status.get("children"))
    return frozenset(ChildId(text(each.get("kind")), text(each.get("name"))) for each in children)
