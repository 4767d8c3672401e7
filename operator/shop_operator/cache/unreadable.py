"""Objects that the operator cannot read: each is logged once and counted while it exists, and hides no other object.

A user with write access to a watched kind controls the content of its objects. Therefore, an object never ends a task: its
reader reports it here and continues with the next one.
"""

import logging
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Any, Final

from shop_operator.objects.lenient import mapping, text

_log = logging.getLogger(__name__)

# The number of objects that are remembered, so that each is logged once. Further ones are skipped silently.
_MOST: Final = 4096

_Name = tuple[str, str, str]


def _silent(kind: str, number: int) -> None:
    del kind, number


class Unreadable:
    """The objects that could not be read when they were last seen.

    Args:
        count: receives a kind and the number of its unreadable objects whenever that number changes.
    """

    def __init__(self, count: Callable[[str, int], None] = _silent) -> None:
        self._count = count
        self._known: dict[_Name, str] = {}  # (kind, namespace, name) → UID

    def __len__(self) -> int:
        return len(self._known)

    def found(self, obj: Any, why: object) -> None:
        """Report an object that cannot be read.

        Args:
            obj: the object, of any type.
            why: the exception or a sentence that states the reason, without values of the object.
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
            "object cannot be read",
            extra={"kind": kind, "namespace": namespace, "object": own, "why": _reason(why)},
        )
        self._tell(kind)

    def readable(self, obj: Any) -> None:
        """Report an object that was read or deleted. Costs nothing while all objects are readable."""
        if self._known:
            self._forget([_name(obj)])

    def swept(self, kind: str, namespace: str | None, listed: AbstractSet[str]) -> None:
        """Forget the objects of a kind that a complete LIST did not have.

        Args:
            kind: the listed kind.
            namespace: the listed namespace, None for all.
            listed: the UIDs of the LIST.
        """
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
    """A sentence as it is; of an exception only its type, because its message may quote the object."""
    return type(why).__name__ if isinstance(why, BaseException) else str(why)
