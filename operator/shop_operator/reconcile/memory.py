"""What the passes over one ShopService remember beyond its status, in one record that goes with it."""

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
    """How often fields may be reverted: ten times at once, then once every two seconds."""

    def __init__(self, clock: Callable[[], float], left: float = REPAIRS) -> None:
        self._clock = clock
        self._left = left
        self._at = clock()

    def spend(self, who: str) -> Contested | None:
        """Revert once.

        Returns:
            the error to report if that was the last time for now.

        Raises:
            Contested: the fields were reverted too often, and may not be now.
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
    """What is remembered of one ShopService.

    Attributes:
        overruled: by child, the hash of a configuration and its fields that the API server or a webhook did not take as they were
            sent. Applying them again would change nothing, for ever.
        differing: those of them that have another value now.
        patience: how often its fields may be reverted; None before the first time.
        unlisted: children that were seen and that no status lists yet.
    """

    overruled: dict[ChildId, tuple[str, frozenset[str]]] = field(default_factory=dict)
    differing: dict[ChildId, tuple[str, frozenset[str]]] = field(default_factory=dict)
    patience: Patience | None = None
    unlisted: frozenset[ChildId] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.overruled or self.differing or self.patience or self.unlisted)


class Memories:
    """A record for each ShopService of which there is something to remember."""

    def __init__(self) -> None:
        self._known: dict[Key, Memory] = {}

    def of(self, key: Key) -> Memory:
        """Its record, to be read and changed until the pass ends."""
        return self._known.setdefault(key, Memory())

    def end(self, key: Key, present: AbstractSet[ChildId], listed: AbstractSet[ChildId]) -> None:
        """A pass has ended: remember the children that no status lists, and drop an empty record.

        Args:
            key: of the ShopService.
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
