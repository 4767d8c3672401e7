"""The pod-security level of each namespace, and the namespaces that are not served.

Only the labels of namespaces are read, and only the level is stored. Only cluster administrators can label a namespace:
the roles edit and admin cannot.
"""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final

from shop_operator.cache.metadata_sink import MetadataSink
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


class Namespaces(MetadataSink):
    """The levels. Receives the metadata of namespaces.

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
        super().__init__(unreadable)
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

    def end_list(self, kind: str, namespace: str | None, found: AbstractSet[str], version: int) -> None:
        """End a LIST that had exactly the namespaces with these UIDs."""
        super().end_list(kind, namespace, found, version)
        self._synced()

    def _sweep(self, kind: str, namespace: str | None, found: AbstractSet[str], version: int) -> None:
        del kind, namespace
        for name, seen in list(self._seen.items()):
            if seen.uid not in found and seen.version <= version:
                self._forget(name)

    def _receive(self, obj: Mapping[str, Any], *, gone: bool) -> None:
        if isinstance(obj, Unparsed) and not gone:
            # Its labels are unknown.
            self._unreadable.found(obj, obj.WHY)
        else:
            super()._receive(obj, gone=gone)

    def _take(self, obj: Mapping[str, Any], *, gone: bool) -> None:
        if gone:
            self._forget(obj["metadata"]["name"])
        else:
            self._put(obj)

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
