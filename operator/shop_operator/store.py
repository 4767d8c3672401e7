"""The informer's store: what the watches have shown, small enough for thousands of ShopServices.

A child is kept whole (as JSON, a tenth of the memory of parsed dicts) only until a pass has compared it with what
it shall be. From then on its hash says whether it is still the same, and a summary is all that its verdict needs.
The store decides which events matter: one that changes neither hash nor summary names no key, and so costs no pass.

Resource versions order the writes of one object: the answer of an own write is stored at once, and an older
event of the watch that comes in later is ignored. They are compared as numbers, which Kubernetes guarantees
(KEP-5504) and etcd has always given.
"""

import hashlib
import zlib
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from enum import Enum
from itertools import islice
from sys import intern
from typing import Any, Final, NamedTuple

import orjson

from shop_operator.spec import DEFAULT_PORT
from shop_operator.summary import summary

NAME_LABEL: Final = "shopservice.dev/name"
FIELD_MANAGER: Final = "shop-operator"
PARENT_KIND: Final = "ShopService"

# Holds spec.replicas while it passes from us to an autoscaler: a field whose only owner drops it goes back to
# its default, which for replicas is 1.
HANDOVER_MANAGER: Final = "shop-operator-handover"
# Runs the HorizontalPodAutoscaler (also that of a KEDA ScaledObject); it sets replicas of no Deployment otherwise.
_AUTOSCALER: Final = "kube-controller-manager"
# So many deletions are remembered for the answers of own writes; more than there can be before such an answer comes.
_MOST_GONE: Final = 4096


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
class Shop:
    """One ShopService as last seen.

    Attributes:
        uid: the object's UID.
        version: its resourceVersion as a number.
        body: the object as JSON, without managedFields and resourceVersion, packed.
        depends_on: the ShopServices of its namespace that it names in spec.dependsOn.
        port: where its Service answers.
        available: whether its status says so.
    """

    uid: str
    version: int
    body: bytes
    depends_on: tuple[str, ...]
    port: int
    available: bool

    @property
    def object(self) -> dict[str, Any]:
        """The parsed object; a new one each time, so a caller may change it."""
        return _unpacked(self.body)

    @classmethod
    def of(cls, obj: Mapping[str, Any]) -> "Shop":
        """The small form of a ShopService as the API server shows it, whatever its spec is like."""
        metadata = obj["metadata"]
        spec = obj.get("spec") or {}
        named = spec.get("dependsOn")
        port = spec.get("port")
        return cls(
            uid=intern(metadata["uid"]),
            version=int(metadata["resourceVersion"]),
            body=_packed(_dump(obj, *obj)),
            depends_on=tuple(sorted({intern(n) for n in named if isinstance(n, str)}))
            if isinstance(named, list)
            else (),
            port=port if isinstance(port, int) else DEFAULT_PORT,
            available=any(
                each.get("type") == "Available" and each.get("status") == "True"
                for each in (obj.get("status") or {}).get("conditions") or ()
            ),
        )


@dataclass(frozen=True, slots=True)
class Child:
    """One child as last seen.

    Attributes:
        uid: the object's UID.
        version: its resourceVersion as a number.
        controller: the UID of its controlling owner, None without one.
        scaled_by: who has set spec.replicas.
        editor: the field manager that has written it last, not counting its status; empty when nobody says.
        digest: the hash of all but its status.
        summary: what its verdict needs, as JSON.
        body: the object without its status as JSON, packed; None once it was compared.
        known: the hash of the apply configuration that it, or an earlier state of it, was found to be like.
    """

    uid: str
    version: int
    controller: str | None
    scaled_by: Scaler
    editor: str
    digest: bytes
    summary: str
    body: bytes | None
    known: str | None = None

    @property
    def settled(self) -> str | None:
        """The hash of the apply configuration that this very state is like, None before it was compared."""
        return self.known if self.body is None else None

    @property
    def object(self) -> dict[str, Any] | None:
        """The parsed object without its status, None once it was compared."""
        return None if self.body is None else _unpacked(self.body)

    @property
    def state(self) -> dict[str, Any]:
        """The parsed summary."""
        parsed: dict[str, Any] = orjson.loads(self.summary)
        return parsed

    @classmethod
    def of(cls, obj: Mapping[str, Any]) -> "Child":
        """The small form of an object as the API server shows it."""
        metadata = obj["metadata"]
        managed = metadata.get("managedFields", ())
        body = _dump(obj, *(key for key in obj if key != "status"))
        controller = next(
            (r["uid"] for r in metadata.get("ownerReferences", ()) if r.get("controller")), None
        )
        return cls(
            uid=metadata["uid"],
            version=int(metadata["resourceVersion"]),
            controller=controller and intern(controller),
            scaled_by=_scaler(managed),
            editor=_editor(managed),
            digest=hashlib.blake2b(body, digest_size=16).digest(),
            summary=intern(orjson.dumps(summary(obj)).decode()),
            body=_packed(body),
        )


def _dump(obj: Mapping[str, Any], *keys: str) -> bytes:
    metadata = {
        k: v
        for k, v in obj["metadata"].items()
        if k not in {"managedFields", "resourceVersion", "generation"}
    }
    if obj["kind"] == PARENT_KIND:
        metadata["generation"] = obj["metadata"].get("generation", 0)
    return orjson.dumps({**{key: obj[key] for key in keys}, "metadata": metadata})


def _packed(json: bytes) -> bytes:
    """Less than half as large, in some 10 µs; and not in the buffer of several times their size that orjson's bytes keep."""
    return zlib.compress(json, level=1)


def _unpacked(body: bytes) -> dict[str, Any]:
    parsed: dict[str, Any] = orjson.loads(zlib.decompress(body))
    return parsed


def _scaler(managed: Iterable[Mapping[str, Any]]) -> Scaler:
    owners = {
        entry["manager"] for entry in managed if "f:replicas" in entry.get("fieldsV1", {}).get("f:spec", {})
    }
    if owners & {HANDOVER_MANAGER, _AUTOSCALER}:
        return Scaler.AUTOSCALER
    return Scaler.OPERATOR if owners == {FIELD_MANAGER} else Scaler.SOMEBODY


def _editor(managed: Iterable[Mapping[str, Any]]) -> str:
    """Of those who wrote in the last second of all, one that is not us, if there is one."""
    writers = [
        (e.get("time", ""), e["manager"] != FIELD_MANAGER, e["manager"])
        for e in managed
        if e.get("subresource") != "status"
    ]
    return intern(max(writers)[2]) if writers else ""


class Store:
    """Every ShopService and every labelled child, by key."""

    def __init__(self) -> None:
        self._shops: dict[Key, Shop] = {}
        self._children: dict[Key, dict[ChildId, Child]] = {}
        # Which ShopService a child was last filed under: its label may be edited.
        self._filed: dict[str, dict[ChildId, Key]] = {}
        self._dependants: dict[Key, set[str]] = {}
        # The version of children that were filed without our label.
        self._unwatched: dict[Key, dict[ChildId, int]] = {}
        self._listings = 0
        # uid → version of deletions: an answer that comes later may be of before, of a LIST or of an own write.
        self._gone: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._shops)

    def keys(self) -> list[Key]:
        """Every ShopService that is known."""
        return list(self._shops)

    def shop(self, key: Key) -> Shop | None:
        """The ShopService itself, None when there is none."""
        return self._shops.get(key)

    def children(self, key: Key) -> Mapping[ChildId, Child]:
        """The labelled objects of that ShopService, whoever owns them."""
        return self._children.get(key, {})

    def dependants(self, key: Key) -> frozenset[str]:
        """The ShopServices of its namespace that name it in spec.dependsOn."""
        return frozenset(self._dependants.get(key, ()))

    def put(self, obj: Mapping[str, Any], *, listed: bool = False) -> set[Key]:
        """Store what a watch, a LIST or the answer of a write showed.

        A LIST has the last word about a ShopService of one version: a watch from before a change of the schema does not
        show fields that it does not know.

        Returns:
            the keys to reconcile: empty when nothing that matters changed.
        """
        if int(obj["metadata"]["resourceVersion"]) < self._gone.get(obj["metadata"]["uid"], 0):
            return set()
        namespace = intern(obj["metadata"]["namespace"])
        if obj["kind"] == PARENT_KIND:
            return self._put_shop(
                Key(namespace, intern(obj["metadata"]["name"])), Shop.of(obj), listed=listed
            )
        return self._put_child(namespace, _child_id(obj), obj)

    def _put_shop(self, key: Key, new: Shop, *, listed: bool) -> set[Key]:
        old = self._shops.get(key)
        if old is not None and (new.version < old.version or (new.version == old.version and not listed)):
            return set()
        self._shops[key] = new
        before: tuple[str, ...] = () if old is None else old.depends_on
        if before != new.depends_on:
            self._depend(key, before, new.depends_on)
        if old is not None and old.uid == new.uid and old.body == new.body:
            return set()
        return {key} | self._neighbours(key, old, new)

    def _depend(self, key: Key, before: Iterable[str], after: Iterable[str]) -> None:
        for name in set(before) - set(after):
            dependants = self._dependants[Key(key.namespace, name)]
            dependants.discard(key.name)
            if not dependants:
                del self._dependants[Key(key.namespace, name)]
        for name in set(after) - set(before):
            self._dependants.setdefault(Key(key.namespace, name), set()).add(key.name)

    def _neighbours(self, key: Key, old: Shop | None, new: Shop | None) -> set[Key]:
        """Who looks at this ShopService: those that depend on it, and those that it began or ceased to depend on.

        Whether they depend on each other in a circle is a matter of everybody from whom there is a way to it.
        """
        before, after = (set(shop.depends_on) if shop else set() for shop in (old, new))
        seen_by_dependants = [(s.uid, s.port, s.available) if s else None for s in (old, new)]
        names = before ^ after
        if names:
            names |= self._all_dependants(key)
        elif seen_by_dependants[0] != seen_by_dependants[1]:
            names = set(self._dependants.get(key, ()))
        return {found for name in names if (found := Key(key.namespace, name)) in self._shops}

    def _all_dependants(self, key: Key) -> set[str]:
        """Those that depend on it, those that depend on them, and so on."""
        found: set[str] = set()
        ways = [key.name]
        while ways:
            more = self._dependants.get(Key(key.namespace, ways.pop()), set()) - found
            found |= more
            ways += more
        return found

    def _put_child(self, namespace: str, child: ChildId, obj: Mapping[str, Any]) -> set[Key]:
        label = obj["metadata"].get("labels", {}).get(NAME_LABEL)
        if label is None:
            return self._drop_child(namespace, child, int(obj["metadata"]["resourceVersion"]))
        return self._file(Key(namespace, intern(label)), child, obj)

    def file(self, key: Key, obj: Mapping[str, Any]) -> None:
        """Store a child that no watch shows as that ShopService's, since its label says nothing or something else."""
        child = _child_id(obj)
        self._file(key, child, obj)
        if NAME_LABEL not in obj["metadata"].get("labels", {}):
            self._unwatched.setdefault(key, {})[child] = int(obj["metadata"]["resourceVersion"])

    def forget_unwatched(self, key: Key) -> None:
        """Forget what `file` has stored without our label and what has not got it since: no watch tells if it has gone."""
        for child, version in self._unwatched.pop(key, {}).items():
            found = self._children.get(key, {}).get(child)
            if found is not None and found.version == version:
                self._unfile(key.namespace, child)

    def _file(self, key: Key, child: ChildId, obj: Mapping[str, Any]) -> set[Key]:
        namespace = key.namespace
        before = self._filed.get(namespace, {}).get(child)
        old = self._children.get(before, {}).get(child) if before else None
        version = int(obj["metadata"]["resourceVersion"])
        if old is not None and (version < old.version or (version == old.version and before == key)):
            return set()
        new = Child.of(obj)
        same = old is not None and old.uid == new.uid and old.digest == new.digest
        if old is not None and old.uid == new.uid:
            compared = same and old.settled is not None
            new = replace(new, known=old.known, body=None if compared else new.body)
        moved = set()
        if before is not None and before != key:
            self._unfile(namespace, child)
            moved.add(before)
        self._filed.setdefault(namespace, {})[child] = key
        self._children.setdefault(key, {})[child] = new
        quiet = same and old is not None and (old.summary, old.scaled_by) == (new.summary, new.scaled_by)
        return moved | (set() if quiet else {key})

    def settle(self, key: Key, child: ChildId, digest: bytes, configuration: str) -> None:
        """A pass has compared that state of a child with the apply configuration of that hash: it need not again."""
        found = self._children.get(key, {}).get(child)
        if found is not None and found.digest == digest:
            self._children[key][child] = replace(found, known=configuration, body=None)

    def remove(self, obj: Mapping[str, Any]) -> set[Key]:
        """Forget an object that a watch saw deleted (or that left the watch's label selector)."""
        metadata = obj["metadata"]
        version = int(metadata["resourceVersion"])
        self._bury(metadata["uid"], version)
        if obj["kind"] == PARENT_KIND:
            key = Key(metadata["namespace"], metadata["name"])
            known = self._shops.get(key)
            return self._forget_shop(key) if known is not None and known.version <= version else set()
        return self._drop_child(metadata["namespace"], _child_id(obj), version)

    def _bury(self, uid: str, version: int) -> None:
        """What is older is no news any more."""
        self._gone.pop(uid, None)
        self._gone[uid] = version
        if not self._listings:
            self._forget_gone()

    def _forget_gone(self) -> None:
        for uid in list(islice(self._gone, max(0, len(self._gone) - _MOST_GONE))):
            del self._gone[uid]

    def discard(self, key: Key, child: ChildId, uid: str) -> None:
        """Forget a child that an own request found to be gone."""
        cached = self._children.get(key, {}).get(child)
        if cached is not None and cached.uid == uid:
            self._unfile(key.namespace, child)

    def _forget_shop(self, key: Key) -> set[Key]:
        old = self._shops.pop(key)
        self._depend(key, old.depends_on, ())
        return {key} | self._neighbours(key, old, None)

    def _drop_child(self, namespace: str, child: ChildId, version: int) -> set[Key]:
        key = self._filed.get(namespace, {}).get(child)
        if key is None or self._children[key][child].version > version:
            return set()
        self._unfile(namespace, child)
        return {key}

    def _unfile(self, namespace: str, child: ChildId) -> None:
        key = self._filed[namespace].pop(child)
        del self._children[key][child]
        if not self._children[key]:
            del self._children[key]

    def listing(self) -> None:
        """A LIST begins: remember all deletions until it has been compared."""
        self._listings += 1

    def merge(self, items: Iterable[Mapping[str, Any]]) -> set[Key]:
        """Store one page of a LIST, except what a watch has seen deleted since.

        Returns:
            the keys to reconcile.
        """
        keys: set[Key] = set()
        for obj in items:
            keys |= self.put(obj, listed=True)
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
            self._bury(cached.uid, version)
            if child is None:
                keys |= self._forget_shop(where)
            else:
                self._unfile(where.namespace, child)
        return keys

    def listed(self) -> None:
        """That LIST is over."""
        self._listings -= 1
        if not self._listings:
            self._forget_gone()

    def _of_kind(self, kind: str) -> Iterator[tuple[Key, ChildId | None, Shop | Child]]:
        if kind == PARENT_KIND:
            for key, shop in self._shops.items():
                yield key, None, shop
            return
        for key, children in self._children.items():
            for child, cached in children.items():
                if child.kind == kind:
                    yield key, child, cached


def _child_id(obj: Mapping[str, Any]) -> ChildId:
    return ChildId(intern(obj["kind"]), intern(obj["metadata"]["name"]))
