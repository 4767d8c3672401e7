"""The cache of ShopServices and their children, small enough for thousands of ShopServices.

A whole child (as JSON, a tenth of the memory of parsed dicts) is stored only until a pass has compared it with its desired
state. From then on, its hash shows whether it has changed, and its verdict requires only a summary. The store decides which
events matter: an event that changes neither hash nor summary returns no key, and so causes no pass.

Resource versions order the states of an object: the response to a write of the operator is stored at once, and an older event
of the watch is ignored. They are compared as numbers, which Kubernetes guarantees (KEP-5504) and etcd has always provided.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from itertools import islice
from sys import intern
from typing import Any, Final

from shop_operator.cache.callers import Callers
from shop_operator.cache.dependency_cycles import DependencyCycles
from shop_operator.cache.hostnames import Hostnames, claims
from shop_operator.cache.snapshot import Child, Shop
from shop_operator.cache.unreadable import Unreadable
from shop_operator.names import (
    DISCOVERY_SUFFIX,
    KIND,
    NAME_LABEL,
    ChildId,
    Key,
)
from shop_operator.objects.lenient import Unparsed, mapping
from shop_operator.objects.network_rules import shopservices
from shop_operator.objects.rollouts import replaced, with_pods_of
from shop_operator.suggestions import resembling

_log = logging.getLogger(__name__)

# Deletions that are remembered for the responses to writes; more than can happen before such a response.
_MOST_GONE: Final = 4096
# Deleted Deployments of one ShopService, which has at most 17 at a time.
_MOST_LOST: Final = 64
_WITH_PODS: Final = ("Deployment", "Rollout")
# One for all children: Python allocates 216 bytes for each other empty set.
_NONE: Final = frozenset[str]()


class Store:
    """Every ShopService and every labelled child, by key.

    Args:
        unreadable: receives the objects that cannot be read. They are not stored, and raise no exception.
        hostnames: receives the discovery hostnames of the ShopServices.
    """

    def __init__(self, unreadable: Unreadable | None = None, hostnames: Hostnames[Key] | None = None) -> None:
        self._hostnames = Hostnames[Key]() if hostnames is None else hostnames
        self._unreadable = Unreadable() if unreadable is None else unreadable
        self._shops: dict[Key, Shop] = {}
        self._children: dict[Key, dict[ChildId, Child]] = {}
        # The ShopService under which a child was last filed: its label may be edited.
        self._filed: dict[str, dict[ChildId, Key]] = {}
        # The dependencies, by namespace.
        self._cycles: dict[str, DependencyCycles] = {}
        # The names in spec.dependsOn that no ShopService has, by namespace.
        self._missing: dict[str, set[str]] = {}
        # The versions of children that were filed without the operator's label.
        self._unwatched: dict[Key, dict[ChildId, int]] = {}
        # ShopServices whose Service still has an earlier port.
        self._moving: set[Key] = set()
        # By an admitted ShopService, the owners of the NetworkPolicies that admit it.
        self._admitting: dict[Key, set[Key]] = {}
        # The callers, by namespace.
        self._calling: dict[str, Callers] = {}
        # Deleted Deployments, with their last spec.replicas: a recreated Deployment starts there.
        self._lost: dict[Key, dict[str, int]] = {}
        # Deleted children that had more than the spec requires, for pods and clients of an earlier spec.
        self._former: dict[Key, dict[ChildId, Child]] = {}
        self._listings = 0
        # uid → version of deletions: a later response to a LIST or a write may show an earlier state.
        self._gone: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._shops)

    def keys(self) -> list[Key]:
        """All ShopServices."""
        return list(self._shops)

    def names(self, namespace: str) -> Iterator[str]:
        """The names of a namespace's ShopServices."""
        return (key.name for key in self._shops if key.namespace == namespace)

    def unready(self, namespace: str | None) -> list[Key]:
        """The ShopServices of one namespace (of all with None) that are not ready according to their status."""
        return [
            key for key, shop in self._shops.items() if not shop.ready and namespace in {None, key.namespace}
        ]

    def in_namespace(self, namespace: str) -> list[Key]:
        """All ShopServices of a namespace."""
        return [key for key in self._shops if key.namespace == namespace]

    def shop(self, key: Key) -> Shop | None:
        """A ShopService, None if it does not exist."""
        return self._shops.get(key)

    def holder(self, hostname: str) -> Key | None:
        """The ShopService that holds a discovery hostname, None if there is none."""
        return self._hostnames.holder(hostname)

    def children(self, key: Key) -> Mapping[ChildId, Child]:
        """The objects with the label of a ShopService, whatever their owner."""
        return self._children.get(key, {})

    def knows(self, kind: str, identity: Mapping[str, str]) -> bool:
        """Whether a state of an object is stored, and, if it is a child, was compared.

        Args:
            kind: of the object.
            identity: its namespace, name, uid and resourceVersion.
        """
        namespace, name = identity["namespace"], identity["name"]
        found: Shop | Child | None
        if kind == KIND:
            found = self._shops.get(Key(namespace, name))
        else:
            child = ChildId(kind, name)
            key = self._filed.get(namespace, {}).get(child)
            found = None if key is None else self._children[key][child]
            if found is not None and found.settled is None:
                return False
        return found is not None and (found.uid, str(found.version)) == (
            identity["uid"],
            identity["resourceVersion"],
        )

    def lost(self, key: Key) -> Mapping[str, int]:
        """The last spec.replicas of the deleted Deployments of a ShopService, by name."""
        return self._lost.get(key, {})

    def former(self, key: Key) -> Mapping[ChildId, Child]:
        """The last state of the deleted Services and NetworkPolicies of a ShopService."""
        return self._former.get(key, {})

    def forget_former(self, key: Key, wanted: AbstractSet[ChildId]) -> None:
        """Forget the deleted children that are not desired any more."""
        kept = {child: last for child, last in self._former.pop(key, {}).items() if child in wanted}
        if kept:
            self._former[key] = kept

    def callers(self, key: Key) -> frozenset[str]:
        """The ShopServices of its namespace with pods that may call it, whatever their specs."""
        calling = self._calling.get(key.namespace)
        return frozenset() if calling is None else calling.of(key.name)

    def dependants(self, key: Key) -> frozenset[str]:
        """The ShopServices of its namespace that name it in spec.dependsOn."""
        return frozenset(self._dependants(key))

    def cycle(self, key: Key) -> frozenset[str]:
        """The ShopServices in a dependency cycle with it, including itself; empty if it is in none."""
        cycles = self._cycles.get(key.namespace)
        return frozenset() if cycles is None else cycles.of(key.name)

    def _dependants(self, key: Key) -> AbstractSet[str]:
        cycles = self._cycles.get(key.namespace)
        return frozenset() if cycles is None else cycles.dependants(key.name)

    def put(self, obj: Mapping[str, Any], *, listed: bool = False, settled: str | None = None) -> set[Key]:
        """Store an object from a watch, a LIST or the response to a write.

        Of a ShopService with the same version, a LIST takes precedence: a watch that started before a change of the schema
        lacks the new fields.

        Args:
            obj: the object.
            listed: whether it is from a LIST.
            settled: the hash of the apply configuration whose response it is.

        Returns:
            the keys to reconcile: empty if nothing relevant has changed.
        """
        if isinstance(obj, Unparsed):
            self._unreadable.found(obj, obj.WHY)
            return set()
        try:
            keys = self._put(obj, listed=listed, settled=settled)
        except Exception as error:  # noqa: BLE001  whatever an object holds, the next one is stored
            self._unreadable.found(obj, error)
            return set()
        return keys

    def _put(self, obj: Mapping[str, Any], *, listed: bool, settled: str | None) -> set[Key]:
        version = int(obj["metadata"]["resourceVersion"])
        if version < self._gone.get(obj["metadata"]["uid"], 0):
            return set()
        namespace = intern(obj["metadata"]["namespace"])
        if obj["kind"] == KIND:
            key = Key(namespace, intern(obj["metadata"]["name"]))
            old = self._shops.get(key)
            if old is not None and (version < old.version or (version == old.version and not listed)):
                return set()
            shop = Shop.of(obj)
            keys = self._put_shop(key, old, shop)
            if shop.flaw is not None:
                self._unreadable.found(obj, shop.flaw)
                return keys
        else:
            keys = self._put_child(namespace, _child_id(obj), obj, settled)
        self._unreadable.readable(obj)
        return keys

    def _put_shop(self, key: Key, old: Shop | None, new: Shop) -> set[Key]:
        self._shops[key] = new
        if old is None or (old.uid, old.wish) != (new.uid, new.wish):
            self._claim(key)
        before: tuple[str, ...] = () if old is None else old.depends_on
        turned = self._depend(key, new.depends_on) if before != new.depends_on else frozenset[str]()
        if old is not None and old.uid == new.uid and old.body == new.body:
            return set()
        return {key} | self._neighbors(key, old, new, turned) | self._still_admitting(key)

    def _still_admitting(self, key: Key) -> set[Key]:
        """The former dependencies of a ShopService, which admit it until its pods have been replaced."""
        shop = self._shops.get(key)
        names = shop.depends_on if shop else ()
        admitting = self._admitting.get(key, ())
        return {each for each in admitting if each.name not in names and each in self._shops}

    def _admit(self, key: Key, old: Child | None, new: Child | None) -> None:
        """Store the ShopServices that a NetworkPolicy admits."""
        before, after = (_admitted(child) for child in (old, new))
        for name in before - after:
            caller = Key(key.namespace, name)
            self._admitting[caller].discard(key)
            if not self._admitting[caller]:
                del self._admitting[caller]
        for name in after - before:
            self._admitting.setdefault(Key(key.namespace, intern(name)), set()).add(key)

    def _claim(self, key: Key) -> None:
        """Store the hostnames that a ShopService requests and is registered under."""
        shop = self._shops.get(key)
        if shop is None:
            self._hostnames.put(key, {})
            return
        service = self._children.get(key, {}).get(_discovery(key))
        state = service.state if service and service.controller == shop.uid else {}
        since = state.get("metadata", {}).get("creationTimestamp", "")
        self._hostnames.put(key, claims(shop.uid, shop.wish, state.get("hostname", ""), since))

    def _depend(self, key: Key, names: tuple[str, ...]) -> frozenset[str]:
        """Store the dependencies of a ShopService; returns the ShopServices whose cycle may have changed."""
        cycles = self._cycles.setdefault(key.namespace, DependencyCycles())
        turned = cycles.change(key.name, names)
        if not cycles:
            del self._cycles[key.namespace]
        return turned

    def _neighbors(self, key: Key, old: Shop | None, new: Shop | None, turned: AbstractSet[str]) -> set[Key]:
        """The ShopServices that a change of a ShopService concerns.

        Its new and former dependencies, its dependants, the dependants of missing ShopServices with a similar name, and its
        cycle.
        """
        before, after = (set(shop.depends_on) if shop else set() for shop in (old, new))
        seen_by_dependants = [(s.uid, s.port, s.available) if s else None for s in (old, new)]
        names = (before ^ after) | turned
        self._miss(key.namespace, (before ^ after) | {key.name})
        if (old is None) != (new is None):
            # A message about a missing ShopService suggests similar names.
            missing = self._missing.get(key.namespace, ())
            names |= {
                caller
                for each in resembling(key.name, missing)
                for caller in self._dependants(Key(key.namespace, each))
            }
        if seen_by_dependants[0] != seen_by_dependants[1]:
            names |= self._dependants(key)
        return {found for name in names if (found := Key(key.namespace, name)) in self._shops}

    def _miss(self, namespace: str, names: Iterable[str]) -> None:
        """Store which of these names are missing dependencies."""
        missing = self._missing.setdefault(namespace, set())
        for name in names:
            key = Key(namespace, name)
            (missing.add if key not in self._shops and self._dependants(key) else missing.discard)(name)
        if not missing:
            del self._missing[namespace]

    def _put_child(
        self, namespace: str, child: ChildId, obj: Mapping[str, Any], settled: str | None
    ) -> set[Key]:
        label = mapping(obj["metadata"].get("labels")).get(NAME_LABEL)
        if label is None:
            return self._drop_child(namespace, child, int(obj["metadata"]["resourceVersion"]))
        return self._file(Key(namespace, intern(label)), child, obj, settled)

    def file(self, key: Key, obj: Mapping[str, Any]) -> None:
        """Store a child under a ShopService although its label is missing or different."""
        try:
            child = _child_id(obj)
            self._file(key, child, obj)
        except Exception as error:  # noqa: BLE001  see put
            self._unreadable.found(obj, error)
            return
        if NAME_LABEL not in mapping(obj["metadata"].get("labels")):
            self._unwatched.setdefault(key, {})[child] = int(obj["metadata"]["resourceVersion"])

    def forget_unwatched(self, key: Key) -> None:
        """Forget the children that `file` has stored and that still lack the label: no watch reports their deletion."""
        for child, version in self._unwatched.pop(key, {}).items():
            found = self._children.get(key, {}).get(child)
            if found is not None and found.version == version:
                self._unfile(key.namespace, child)

    def _file(self, key: Key, child: ChildId, obj: Mapping[str, Any], settled: str | None = None) -> set[Key]:
        namespace = key.namespace
        before = self._filed.get(namespace, {}).get(child)
        old = self._children.get(before, {}).get(child) if before else None
        version = int(obj["metadata"]["resourceVersion"])
        if old is not None and (version < old.version or (version == old.version and before == key)):
            return set()
        new = Child.of(obj, settled)
        same = old is not None and old.uid == new.uid and old.digest == new.digest
        if old is not None and old.uid == new.uid and settled is None:
            compared = same and old.settled is not None
            new = replace(
                new,
                known=old.known,
                differing=old.differing,
                body=None if compared else new.body,
                others=None if compared else new.others,
            )
        moved = set()
        if before is not None and before != key:
            self._unfile(namespace, child)
            moved.add(before)
        self._filed.setdefault(namespace, {})[child] = key
        self._children.setdefault(key, {})[child] = new
        self._returned(key, child)
        if child.kind in _WITH_PODS:
            self._call(key, child.name, self._pods(key, child.name))
        if child == _discovery(key):
            self._claim(key)
        if child == ("NetworkPolicy", key.name):
            self._admit(key, old if before == key else None, new)
        quiet = same and old is not None and (old.summary, old.scaled_by) == (new.summary, new.scaled_by)
        return moved | (set() if quiet else {key} | self._moved_by(key, child, old, new))

    def _returned(self, key: Key, child: ChildId) -> None:
        """Forget the last state of a child that exists again."""
        if child.kind == "Deployment" and key in self._lost:
            self._lost[key].pop(child.name, None)
        if key in self._former:
            self.forget_former(key, self._former[key].keys() - {child})

    def _pods(self, key: Key, deployment: str) -> dict[str, Any] | None:
        """The summary of a Deployment with the pods that a Rollout runs for it; None if the Deployment does not exist."""
        children = self._children[key]
        found, rollout = (children.get(ChildId(kind, deployment)) for kind in _WITH_PODS)
        return (
            None if found is None else with_pods_of(found.state, None if rollout is None else rollout.state)
        )

    def _call(self, key: Key, deployment: str, state: Mapping[str, Any] | None) -> None:
        """Store the ShopServices that the pods of a Deployment may call; None if it is deleted."""
        calling = self._calling.setdefault(key.namespace, Callers())
        if state is None:
            calling.remove(deployment)
        else:
            calling.put(deployment, key.name, state.get("calls", ()), rolling=not replaced(state))
        if not calling:
            del self._calling[key.namespace]

    def _moved_by(self, key: Key, child: ChildId, old: Child | None, new: Child) -> set[Key]:
        """The other ShopServices that a change of a child concerns: its callers for ports of a Service, and the other way round for pods."""
        if child == ("Service", key.name):
            found = new.state["ports"]
            (self._moving.add if len(found) > 1 else self._moving.discard)(key)
            if old is None or old.state["ports"] == found:
                return set()
            return {Key(key.namespace, name) for name in self._dependants(key)}
        if child.kind not in _WITH_PODS:
            return set()
        former, shop = self._still_admitting(key), self._shops.get(key)
        if not self._moving or shop is None:
            return former
        return former | {
            each for name in shop.depends_on if (each := Key(key.namespace, name)) in self._moving
        }

    def settle(
        self,
        key: Key,
        child: ChildId,
        digest: bytes,
        configuration: str,
        differing: frozenset[str] = frozenset(),
    ) -> None:
        """Record that a pass has compared this state of a child with the apply configuration of that hash.

        Args:
            key: the key of its ShopService.
            child: the child.
            digest: of the state.
            configuration: the hash of the configuration.
            differing: the fields that the API server or a webhook changes whenever the configuration is applied.
        """
        found = self._children.get(key, {}).get(child)
        if found is not None and found.digest == digest:
            self._children[key][child] = replace(
                found, known=configuration, differing=differing or _NONE, body=None, others=None
            )

    def remove(self, obj: Mapping[str, Any]) -> set[Key]:
        """Forget an object that is deleted, or that the label selector of the watch does not match any more."""
        self._unreadable.readable(obj)
        try:
            return self._remove(obj)
        except Exception as error:  # noqa: BLE001  see put; the next LIST does not have it
            _log.warning("deletion cannot be read", extra={"why": type(error).__name__})
            return set()

    def _remove(self, obj: Mapping[str, Any]) -> set[Key]:
        metadata = obj["metadata"]
        version = int(metadata["resourceVersion"])
        kind, namespace, name = obj["kind"], intern(metadata["namespace"]), intern(metadata["name"])
        self._bury(intern(metadata["uid"]), version)
        if kind == KIND:
            key = Key(namespace, name)
            known = self._shops.get(key)
            return self._forget_shop(key) if known is not None and known.version <= version else set()
        return self._drop_child(namespace, _child_id(obj), version)

    def _bury(self, uid: str, version: int) -> None:
        """Remember a deletion, so that an older state is ignored."""
        self._gone.pop(uid, None)
        self._gone[uid] = version
        if not self._listings:
            self._forget_gone()

    def _forget_gone(self) -> None:
        for uid in list(islice(self._gone, max(0, len(self._gone) - _MOST_GONE))):
            del self._gone[uid]

    def discard(self, key: Key, child: ChildId, uid: str) -> None:
        """Forget a child that does not exist, according to the response to a request."""
        cached = self._children.get(key, {}).get(child)
        if cached is not None and cached.uid == uid:
            self._unfile(key.namespace, child)

    def _forget_shop(self, key: Key) -> set[Key]:
        old = self._shops.pop(key)
        self._claim(key)
        self._lost.pop(key, None)
        self._former.pop(key, None)
        self._moving.discard(key)
        turned = self._depend(key, ())
        return {key} | self._neighbors(key, old, None, turned) | self._still_admitting(key)

    def _drop_child(self, namespace: str, child: ChildId, version: int) -> set[Key]:
        key = self._filed.get(namespace, {}).get(child)
        if key is None or self._children[key][child].version > version:
            return set()
        self._unfile(namespace, child)
        return {key} | (self._still_admitting(key) if child.kind == "Deployment" else set())

    def _unfile(self, namespace: str, child: ChildId) -> None:
        key = self._filed[namespace].pop(child)
        gone = self._children[key].pop(child)
        if child.kind == "Deployment" and key in self._shops:
            lost = self._lost.setdefault(key, {})
            if len(lost) < _MOST_LOST:
                lost[child.name] = gone.state["spec"]["replicas"]
        if child.kind in _WITH_PODS:
            self._call(key, child.name, self._pods(key, child.name))
        if child in {("Service", key.name), ("NetworkPolicy", key.name)} and key in self._shops:
            self._former.setdefault(key, {})[child] = replace(gone, body=None, others=None)
        if not self._children[key]:
            del self._children[key]
        if child == _discovery(key):
            self._claim(key)
        if child == ("NetworkPolicy", key.name):
            self._admit(key, gone, None)

    def begin_list(self) -> None:
        """Begin a LIST, and remember all deletions until it ends."""
        self._listings += 1

    def merge(self, items: Iterable[Mapping[str, Any]]) -> set[Key]:
        """Store one page of a LIST, without objects that were deleted in the meantime.

        Returns:
            the keys to reconcile.
        """
        keys: set[Key] = set()
        for obj in items:
            keys |= self.put(obj, listed=True)
        return keys

    def sweep(self, kind: str, namespace: str | None, listed: AbstractSet[str], version: int) -> set[Key]:
        """Forget the objects of one kind that a complete LIST did not have.

        Args:
            kind: the listed kind.
            namespace: the listed namespace, None for all.
            listed: the UIDs of the LIST.
            version: the resourceVersion of the LIST; newer objects stay.

        Returns:
            the keys to reconcile.
        """
        keys: set[Key] = set()
        self._unreadable.swept(kind, namespace, listed)
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

    def end_list(self) -> None:
        """End a LIST."""
        self._listings -= 1
        if not self._listings:
            self._forget_gone()

    def _of_kind(self, kind: str) -> Iterator[tuple[Key, ChildId | None, Shop | Child]]:
        if kind == KIND:
            for key, shop in self._shops.items():
                yield key, None, shop
            return
        for key, children in self._children.items():
            for child, cached in children.items():
                if child.kind == kind:
                    yield key, child, cached


def _discovery(key: Key) -> ChildId:
    """The headless Service with the hostname."""
    return ChildId("Service", key.name + DISCOVERY_SUFFIX)


def _admitted(policy: Child | None) -> frozenset[str]:
    """The ShopServices that a NetworkPolicy admits."""
    rules = {} if policy is None else policy.state.get("rules", {})
    return shopservices(rules.get("ingress", ()), "ingress")


def _child_id(obj: Mapping[str, Any]) -> ChildId:
    return ChildId(intern(obj["kind"]), intern(obj["metadata"]["name"]))
