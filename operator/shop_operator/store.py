"""The informer's store: what the watches have shown, small enough for thousands of ShopServices.

Objects are kept as JSON bytes without managedFields (a tenth of the memory of parsed dicts) and are parsed by
the one pass that needs them. The store decides which events matter: an event that leaves everything but the
resourceVersion as it was names no key, and so costs no pass.

Resource versions order the writes of one object: the answer of an own write is stored at once, and an older
event of the watch that comes in later is ignored. They are compared as numbers, which Kubernetes guarantees
(KEP-5504) and etcd has always given.
"""

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, NamedTuple

import orjson

NAME_LABEL: Final = "shopservice.dev/name"
FIELD_MANAGER: Final = "shop-operator"
PARENT_KIND: Final = "ShopService"

# Holds spec.replicas while it passes from us to an autoscaler: a field whose only owner drops it goes back to
# its default, which for replicas is 1.
HANDOVER_MANAGER: Final = "shop-operator-handover"
# Runs the HorizontalPodAutoscaler (also that of a KEDA ScaledObject); it sets replicas of no Deployment otherwise.
_AUTOSCALER: Final = "kube-controller-manager"


class Scaler(Enum):
    """Who has set spec.replicas of a Deployment."""

    OPERATOR = "operator"
    AUTOSCALER = "autoscaler"
    SOMEBODY = "somebody"


class Key(NamedTuple):
    """Names one ShopService; the unit of work."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class ChildId(NamedTuple):
    """Names one child inside the namespace of its ShopService."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Cached:
    """One object as last seen.

    Attributes:
        uid: the object's UID.
        version: its resourceVersion as a number.
        controller: the UID of its controlling owner, None without one.
        scaled_by: who has set spec.replicas.
        body: the object as JSON, without managedFields and resourceVersion.
    """

    uid: str
    version: int
    controller: str | None
    scaled_by: Scaler
    body: bytes

    @property
    def object(self) -> dict[str, Any]:
        """The parsed object; a new one each time, so a caller may change it."""
        parsed: dict[str, Any] = orjson.loads(self.body)
        return parsed

    @classmethod
    def of(cls, obj: Mapping[str, Any]) -> "Cached":
        """The small form of an object as the API server shows it."""
        metadata = obj["metadata"]
        kept = {k: v for k, v in metadata.items() if k not in {"managedFields", "resourceVersion"}}
        return cls(
            uid=metadata["uid"],
            version=int(metadata["resourceVersion"]),
            controller=next(
                (r["uid"] for r in metadata.get("ownerReferences", ()) if r.get("controller")), None
            ),
            scaled_by=_scaler(metadata.get("managedFields", ())),
            body=orjson.dumps({**obj, "metadata": kept}),
        )


def _scaler(managed: Iterable[Mapping[str, Any]]) -> Scaler:
    owners = {
        entry["manager"] for entry in managed if "f:replicas" in entry.get("fieldsV1", {}).get("f:spec", {})
    }
    if owners & {HANDOVER_MANAGER, _AUTOSCALER}:
        return Scaler.AUTOSCALER
    return Scaler.OPERATOR if owners == {FIELD_MANAGER} else Scaler.SOMEBODY


class Store:
    """Every ShopService and every labelled child, by key."""

    def __init__(self) -> None:
        self._shops: dict[Key, Cached] = {}
        self._children: dict[Key, dict[ChildId, Cached]] = {}
        # Which ShopService a child was last filed under: its label may be edited.
        self._filed: dict[tuple[str, ChildId], Key] = {}
        self._gone: dict[str, int] | None = None  # uid → version of deletions seen while a LIST is under way

    def __len__(self) -> int:
        return len(self._shops)

    def keys(self) -> list[Key]:
        """Every ShopService that is known."""
        return list(self._shops)

    def shop(self, key: Key) -> Cached | None:
        """The ShopService itself, None when there is none."""
        return self._shops.get(key)

    def children(self, key: Key) -> Mapping[ChildId, Cached]:
        """The labelled objects of that ShopService, whoever owns them."""
        return self._children.get(key, {})

    def put(self, obj: Mapping[str, Any]) -> set[Key]:
        """Store what a watch, a LIST or the answer of a write showed.

        Returns:
            the keys to reconcile: empty when nothing that matters changed.
        """
        namespace = obj["metadata"]["namespace"]
        cached = Cached.of(obj)
        if obj["kind"] == PARENT_KIND:
            key = Key(namespace, obj["metadata"]["name"])
            changed = _is_news(self._shops.get(key), cached)
            if changed is not None:
                self._shops[key] = cached
            return {key} if changed else set()
        return self._put_child(namespace, ChildId(obj["kind"], obj["metadata"]["name"]), obj, cached)

    def _put_child(self, namespace: str, child: ChildId, obj: Mapping[str, Any], cached: Cached) -> set[Key]:
        label = obj["metadata"].get("labels", {}).get(NAME_LABEL)
        if label is None:
            return self._drop_child(namespace, child, cached)
        key = Key(namespace, label)
        before = self._filed.get((namespace, child))
        old = self._children.get(before, {}).get(child) if before else None
        changed = _is_news(old, cached)
        if changed is None:
            return set()
        moved = set()
        if before is not None and before != key:
            self._unfile(namespace, child)
            moved.add(before)
        self._filed[namespace, child] = key
        self._children.setdefault(key, {})[child] = cached
        return moved | ({key} if changed else set())

    def remove(self, obj: Mapping[str, Any]) -> set[Key]:
        """Forget an object that a watch saw deleted (or that left the watch's label selector)."""
        namespace = obj["metadata"]["namespace"]
        gone = Cached.of(obj)
        if self._gone is not None:
            self._gone[gone.uid] = gone.version
        if obj["kind"] == PARENT_KIND:
            key = Key(namespace, obj["metadata"]["name"])
            if _is_older(self._shops.get(key), gone):
                del self._shops[key]
                return {key}
            return set()
        return self._drop_child(namespace, ChildId(obj["kind"], obj["metadata"]["name"]), gone)

    def discard(self, key: Key, child: ChildId, uid: str) -> None:
        """Forget a child that an own request found to be gone."""
        cached = self._children.get(key, {}).get(child)
        if cached is not None and cached.uid == uid:
            self._unfile(key.namespace, child)

    def _drop_child(self, namespace: str, child: ChildId, gone: Cached) -> set[Key]:
        key = self._filed.get((namespace, child))
        if key is None or not _is_older(self._children[key][child], gone):
            return set()
        self._unfile(namespace, child)
        return {key}

    def _unfile(self, namespace: str, child: ChildId) -> None:
        key = self._filed.pop((namespace, child))
        del self._children[key][child]
        if not self._children[key]:
            del self._children[key]

    def listing(self) -> None:
        """A LIST begins: remember deletions until it has been compared."""
        if self._gone is None:
            self._gone = {}

    def merge(self, items: Iterable[Mapping[str, Any]]) -> set[Key]:
        """Store one page of a LIST, except what a watch has seen deleted since.

        Returns:
            the keys to reconcile.
        """
        gone = self._gone or {}
        keys: set[Key] = set()
        for obj in items:
            metadata = obj["metadata"]
            if gone.get(metadata["uid"], 0) <= int(metadata["resourceVersion"]):
                keys |= self.put(obj)
        return keys

    def sweep(self, kind: str, namespace: str | None, listed: AbstractSet[str], version: int) -> set[Key]:
        """Forget what a complete LIST of one kind (in one namespace, or in all with None) did not have.

        Args:
            kind: the kind that was listed.
            namespace: where.
            listed: the UIDs that were there.
            version: the resourceVersion of the LIST; what a watch has shown later stays.

        Returns:
            the keys to reconcile.
        """
        keys: set[Key] = set()
        for where, child, cached in list(self._of_kind(kind)):
            if cached.uid in listed or cached.version > version or namespace not in {None, where.namespace}:
                continue
            keys.add(where)
            if child is None:
                del self._shops[where]
            else:
                self._unfile(where.namespace, child)
        return keys

    def listed(self) -> None:
        """No LIST is under way any more."""
        self._gone = None

    def _of_kind(self, kind: str) -> Iterator[tuple[Key, ChildId | None, Cached]]:
        if kind == PARENT_KIND:
            for key, cached in self._shops.items():
                yield key, None, cached
            return
        for key, children in self._children.items():
            for child, cached in children.items():
                if child.kind == kind:
                    yield key, child, cached


def _is_news(old: Cached | None, new: Cached) -> bool | None:
    """Whether a new state matters: None when it is not newer at all, False when only the version moved."""
    if old is None or old.uid != new.uid:
        # A new UID under the old name is newer if its version says so.
        return True if old is None or new.version > old.version else None
    if new.version <= old.version:
        return None
    return new.body != old.body or new.scaled_by != old.scaled_by


def _is_older(old: Cached | None, gone: Cached) -> bool:
    """Whether what is stored is what was deleted, and not a successor of the same name."""
    return old is not None and old.version <= gone.version
