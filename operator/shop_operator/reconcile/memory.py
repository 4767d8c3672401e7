"""The state that passes over one ShopService keep beyond its status, in one record that is dropped with the ShopService."""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Final

from shop_operator.errors import Contested
from shop_operator.names import ChildId, Key
from shop_operator.objects.lenient import mappings, text

REPAIRS: Final = 10.0
_REPAIR_PAUSE: Final = 2.0


class Patience:
    """The rate at which fields are reverted: ten times at once, then once every two seconds."""

    def __init__(self, clock: Callable[[], float], left: float = REPAIRS) -> None:
        self._clock = clock
        self._left = left
        self._at = clock()

    def spend(self, who: str) -> Contested | None:
        """Count one revert.

        Args:
            who: names the child and the manager in the error.

        Returns:
            the error to report if no further revert is allowed for now.

        Raises:
            Contested: this revert is not allowed, because there were too many.
        """
        now = self._clock()
        self._left = min(REPAIRS, self._left + (now - self._at) / _REPAIR_PAUSE)
        self._at = now
        contested = Contested(
            f"{who} keeps overwriting operator-managed fields; configure it to ignore them. The operator reverts them"
            f" at most every {_REPAIR_PAUSE:.0f} s.",
            retry_after=_REPAIR_PAUSE,
        )
        if self._left < 1:
            raise contested
        self._left -= 1
        return contested if self._left < 1 else None


@dataclass(slots=True)
class Memory:
    """The record of one ShopService.

    Attributes:
        overruled: for each child, the hash of a configuration and the fields that the API server or a webhook changed when it
            was applied. Applying them again would never change that.
        differing: the same for the fields that differ now.
        patience: the rate of reverts; None before the first revert.
        unlisted: children that were seen and that no status lists yet.
    """

    overruled: dict[ChildId, tuple[str, frozenset[str]]] = field(default_factory=dict)
    differing: dict[ChildId, tuple[str, frozenset[str]]] = field(default_factory=dict)
    patience: Patience | None = None
    unlisted: frozenset[ChildId] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.overruled or self.differing or self.patience or self.unlisted)


class Memories:
    """The records of all ShopServices; an empty record is dropped."""

    def __init__(self) -> None:
        self._known: dict[Key, Memory] = {}

    def of(self, key: Key) -> Memory:
        """The record of a ShopService, to be read and changed until the pass ends."""
        return self._known.setdefault(key, Memory())

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


def listed(status: Mapping[str, Any]) -> frozenset[ChildId]:
    """The children that the status of a ShopService lists."""
    children = mappings(status.get("children"))
    return frozenset(ChildId(text(each.get("kind")), text(each.get("name"))) for each in children)
