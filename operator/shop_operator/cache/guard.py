"""Objects that the operator cannot read: each is logged once, counted while it lasts, and hides no other object.

Whoever may write an object of a watched kind decides what is in it. Reading one object therefore never ends a task: the
reader reports the object here and goes on with the next one.
"""

import logging
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Any, Final

from shop_operator.objects.lenient import mapping, text

_log = logging.getLogger(__name__)

# Objects that are remembered, so that each is logged once. Further ones are counted in the log only.
_MOST: Final = 4096

_Name = tuple[str, str, str]


def _silent(kind: str, number: int) -> None:
    del kind, number


class Unreadable:
    """The objects that could not be read when they were last seen.

    Args:
        count: told of a kind and of how many of its objects cannot be read, whenever that number changes.
    """

    def __init__(self, count: Callable[[str, int], None] = _silent) -> None:
        self._count = count
        self._known: dict[_Name, str] = {}  # (kind, namespace, name) → UID

    def __len__(self) -> int:
        return len(self._known)

    def found(self, obj: Any, why: object) -> None:
        """Report an object that cannot be read.

        Args:
            obj: what the API server showed; of any type.
            why: the exception or the sentence that says what is wrong. Values of the object do not belong into it.
        """
        name = _name(obj)
        new = name not in self._known
        if new and len(self._known) >= _MOST:
            return
        self._known[name] = text(mapping(mapping(obj).get("metadata")).get("uid"))
        if not new:
            return
        kind, namespace, own = name
        _log.warning(
            "object cannot be read, it is skipped",
            extra={"kind": kind, "namespace": namespace, "object": own, "why": _reason(why)},
        )
        self._tell(kind)

    def readable(self, obj: Any) -> None:
        """The object was read or has gone. Costs nothing while there are none."""
        if self._known:
            self._forget([_name(obj)])

    def swept(self, kind: str, namespace: str | None, listed: AbstractSet[str]) -> None:
        """A complete LIST of one kind (in one namespace, or in all with None) had objects of these UIDs only."""
        if not self._known:
            return
        self._forget(
            [
                name
                for name, uid in self._known.items()
                if name[0] == kind and namespace in {None, name[1]} and uid not in listed
            ]
        )

    def _forget(self, names: list[_Name]) -> None:
        for name in names:
            if self._known.pop(name, None) is not None:
                self._tell(name[0])

    def _tell(self, kind: str) -> None:
        self._count(kind, sum(each[0] == kind for each in self._known))


def _name(obj: Any) -> _Name:
    metadata = mapping(mapping(obj).get("metadata"))
    kind = text(mapping(obj).get("kind")) or "unknown"
    return kind, text(metadata.get("namespace")), text(metadata.get("name"))


def _reason(why: object) -> str:
    """A sentence as it is; of an exception its type alone, since its message may quote the object."""
    return type(why).__name__ if isinstance(why, BaseException) else str(why)
