"""The pod-security level of each namespace, and the namespaces that are not served.

Only the labels of namespaces are read, and only the level is stored. Only cluster administrators can label a namespace:
the roles edit and admin cannot.
"""

import sys
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final

from shop_operator.cache.unreadable import Unreadable
from shop_operator.errors import InvalidSpec
from shop_operator.names import Key
from shop_operator.objects.lenient import Unparsed
from shop_operator.objects.pod_security import LABEL, Level, level_of

KIND: Final = "Namespace"


@dataclass(frozen=True)
class _Seen:
    """One namespace that has the label.

    Attributes:
        uid: of the namespace.
        level: that its label sets.
        version: its resourceVersion as a number.
    """

    uid: str
    level: Level
    version: int


class Namespaces:
    """The levels. A reflector.Sink for the metadata of namespaces.

    Args:
        default: the level of a namespace without the label.
        protected: namespaces that are not served.
        changed: receives the name of a namespace whose level has changed.
        synced: called when all namespaces have been listed.
        unreadable: receives the namespaces that cannot be read. Each keeps its last known level.
    """

    def __init__(
        self,
        default: Level,
        protected: AbstractSet[str],
        changed: Callable[[str], None],
        synced: Callable[[], None],
        unreadable: Unreadable | None = None,
    ) -> None:
        self._unreadable = Unreadable() if unreadable is None else unreadable
        self._default = default
        self._protected = protected
        self._changed = changed
        self._synced = synced
        self._seen: dict[str, _Seen] = {}

    def level(self, namespace: str) -> Level:
        """The pod-security level of a namespace."""
        seen = self._seen.get(namespace)
        return self._default if seen is None else seen.level

    def check(self, key: Key) -> None:
        """Check that the namespace of a ShopService is served.

        Raises:
            InvalidSpec: the namespace belongs to the cluster or to the operator.
        """
        if key.namespace in self._protected:
            raise InvalidSpec(
                f"Namespace {key.namespace} is reserved for the cluster or the operator itself: ShopServices in it are"
                " not reconciled. Create the ShopService in another namespace, or ask the cluster administrator to change"
                " protectedNamespaces."
            )

    def seen(self, event: str | None, obj: Mapping[str, Any]) -> None:
        """Store an event of a watch."""
        self._news(obj, gone=event == "DELETED")

    def begin_list(self) -> None:
        """Begin a LIST."""

    def merge(self, items: Iterable[Mapping[str, Any]]) -> None:
        """Store one page of a LIST."""
        for obj in items:
            self._news(obj, gone=False)

    def abort_list(self) -> None:
        """End a LIST that has failed."""

    def end_list(self, kind: str, namespace: str | None, found: AbstractSet[str], version: int) -> None:
        """End a LIST that had exactly the namespaces with these UIDs."""
        self._unreadable.swept(kind, namespace, found)
        for name, seen in list(self._seen.items()):
            if seen.uid not in found and seen.version <= version:
                self._forget(name)
        self._synced()

    def not_served(self, kind: str, namespace: str | None) -> None:
        """End a LIST whose kind is not served: it has no objects."""
        self.end_list(kind, namespace, frozenset(), sys.maxsize)

    def _news(self, obj: Mapping[str, Any], *, gone: bool) -> None:
        if isinstance(obj, Unparsed) and not gone:
            self._unreadable.found(obj, obj.WHY)
            return
        try:
            if gone:
                self._forget(obj["metadata"]["name"])
            else:
                self._put(obj)
        except Exception as error:  # noqa: BLE001  whatever an object holds, the next one is read
            self._unreadable.found(obj, error)
        else:
            self._unreadable.readable(obj)

    def _put(self, obj: Mapping[str, Any]) -> None:
        metadata = obj["metadata"]
        labels = metadata.get("labels") or {}
        if LABEL not in labels:
            self._forget(metadata["name"])
            return
        before = self.level(metadata["name"])
        self._seen[metadata["name"]] = _Seen(
            metadata["uid"], level_of(labels, self._default), int(metadata["resourceVersion"])
        )
        if self.level(metadata["name"]) != before:
            self._changed(metadata["name"])

    def _forget(self, name: str) -> None:
        seen = self._seen.pop(name, None)
        if seen is not None and seen.level != self._default:
            self._changed(name)
