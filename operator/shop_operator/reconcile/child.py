"""Brings one child in line with its desired state: with no request, with one apply, or with an error if it has another owner."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final, Protocol

from shop_operator.cache.in_flight import InFlight
from shop_operator.cache.live import AUTOSCALERS
from shop_operator.cache.snapshot import Child, Shop
from shop_operator.cache.store import Store
from shop_operator.errors import Contested, Exists, Refused, Stale
from shop_operator.names import HASH_ANNOTATION, OWN_MANAGERS, REPAIR_MANAGER, ChildId, Key
from shop_operator.objects.compare import applied_hash, differences
from shop_operator.objects.incompatible_fields import fields_of_others, without_incompatible_fields
from shop_operator.objects.lenient import mapping, mappings
from shop_operator.objects.ownership import applied_by_operator, controller_of, refusal
from shop_operator.reconcile.api import Api
from shop_operator.reconcile.memory import ChildMemories
from shop_operator.reconcile.replica_handover import ReplicaHandover
from shop_operator.reconcile.revert_limit import REVERTS_AT_ONCE, RevertLimit
from shop_operator.reconcile.wanted import Wanted, remembered
from shop_operator.render.canary import shared
from shop_operator.status.drift import Repair
from shop_operator.status.writer import StatusWriter
from shop_operator.wording import listed

_log = logging.getLogger(__name__)

_WRITE_ATTEMPTS: Final = 4


class WriteObserver(Protocol):
    """Notified of every write of a child; implemented by observability.metrics.Metrics."""

    def wrote(self, kind: str, operation: str) -> None:
        """Count a write; the operation is create, update or delete."""


class Children:
    """Brings children in line with their desired state, one at a time.

    Args:
        api: the cluster.
        store: the cache of the watches.
        writer: records reverted changes.
        observer: counts writes.
        memories: the records of the ShopServices.
        handover: keeps the replica count of a Deployment that the operator no longer applies.
        in_flight: holds back events of a child until its apply is answered.
        clock: a steady clock in seconds.
    """

    def __init__(
        self,
        api: Api,
        store: Store,
        writer: StatusWriter,
        observer: WriteObserver,
        *,
        memories: ChildMemories,
        handover: ReplicaHandover,
        in_flight: InFlight,
        clock: Callable[[], float],
    ) -> None:
        self._api = api
        self._store = store
        self._writer = writer
        self._observer = observer
        self._memories = memories
        self._handover = handover
        self._in_flight = in_flight
        self._clock = clock

    async def ensure(self, wanted: Wanted) -> None:
        """Bring one child in line with its desired state.

        Raises:
            Conflict: it has another owner.
            Contested: another client keeps changing or deleting it.
            OperatorError: another error of errors.py.
        """
        cached = self._store.children(wanted.key).get(wanted.child)
        if cached is None:
            await self._create(wanted)
            return
        if cached.settled == wanted.digest:
            return
        if cached.version != wanted.seen and shared(wanted.configuration, wanted.key.name):
            raise Stale(f"{wanted.child} has changed since it was rendered.")
        live = cached.object
        differing: frozenset[str] = frozenset()
        drifted: list[str] = []
        # An object that was compared with an earlier configuration belongs to the ShopService and has not changed since.
        if live is not None:
            _check_owner(wanted, live, applied=cached.applied)
            if not controller_of(live):
                await self._check_stays(wanted)
            differing = frozenset(differences(wanted.configuration, live))
            marked = remembered(live) == wanted.digest
            if marked and differing <= self._overruled_fields(wanted) and not cached.unfinished:
                self._store.settle(wanted.key, wanted.child, cached.digest, wanted.digest, differing)
                return
            drifted = self._drifted(wanted, cached, differing, marked=marked)
        who = cached.author(wanted.child.kind, drifted)
        contested = None
        if drifted:
            _log.info("reverting fields", extra={"child": str(wanted), "fields": drifted, "manager": who})
            contested = self._spend(
                wanted,
                f"{wanted.child}: {who or 'another manager'} keeps overwriting operator-managed fields; configure it to ignore"
                " them.",
            )
        await self._handover.from_operator(wanted, cached)
        await self._update(wanted, cached.uid, live, self._unmoved(wanted))
        repaired = [path for path in drifted if path not in self._overruled_fields(wanted)]
        if repaired:
            repair = Repair(str(wanted.child), tuple(repaired), who)
            self._writer.repaired(wanted.key, wanted.shop, repair)
        if contested:
            raise contested

    def overruled(self, key: Key, desired: Iterable[Mapping[str, Any]]) -> Iterator[str]:
        """The fields of each child whose live value differs from the applied one."""
        children = self._store.children(key)
        for configuration in desired:
            child = ChildId(configuration["kind"], configuration["metadata"]["name"])
            cached = children.get(child)
            if cached and cached.differing and cached.known == applied_hash(configuration):
                yield f"{child} ({listed(sorted(cached.differing))})"

    def _drifted(
        self, wanted: Wanted, cached: Child, differing: AbstractSet[str], *, marked: bool
    ) -> list[str]:
        """The fields that another client changed; none if the desired configuration itself has changed."""
        if not marked and cached.known != wanted.digest:
            return []
        # `kubectl rollout undo` restores the annotations of an earlier state along with its pod template.
        mark = [] if marked else [f"metadata.annotations.{HASH_ANNOTATION}"]
        return sorted([*(differing - self._overruled_fields(wanted)), *mark])

    async def _check_stays(self, wanted: Wanted) -> None:
        """Check that a ShopService is not being deleted before a child without an owner is adopted.

        `kubectl delete --cascade=orphan` marks the ShopService and then removes the owner from its children, but the watches may
        show the children first. With their owner back, they would be deleted with it. An empty patch of the known version is
        rejected if the ShopService has changed.

        Raises:
            Stale: the ShopService is being deleted, has changed or was replaced.
        """
        cached, key = self._store.shop(wanted.key), wanted.key
        if (
            cached is None
            or cached.uid != wanted.shop.uid
            or "deletionTimestamp" in cached.object["metadata"]
        ):
            raise Stale(f"{wanted.child} has no owner, and its ShopService has changed.")
        await self._api.patch_status(key.namespace, key.name, version=cached.version, patch={})

    def _spend(self, wanted: Wanted, conflict: str) -> Contested | None:
        """Count one more revert of a change to a child of the ShopService; `RevertLimit.spend`."""
        memory = self._memories.of(wanted.key)
        if memory.revert_limit is None:
            # An earlier process may have reached the limit.
            left = 0.0 if _is_contested(self._store.shop(wanted.key)) else REVERTS_AT_ONCE
            memory.revert_limit = RevertLimit(self._clock, left)
        return memory.revert_limit.spend(conflict)

    async def _create(self, wanted: Wanted) -> None:
        """Create the child.

        Raises:
            Exists: it existed already, and is in the store now.
        """
        try:
            await self._apply(wanted, None)
        except Exists:
            child = wanted.child
            live = await self._api.get(child.kind, wanted.key.namespace, child.name)
            if live is None:
                raise Stale(f"{child} was deleted while it was being created.") from None
            managed = mappings(live["metadata"].get("managedFields"))
            _check_owner(wanted, live, applied=applied_by_operator(managed))
            # It belongs to the ShopService: the watch is behind, or another client removed the label.
            self._store.file(wanted.key, live)
            raise
        if wanted.certainly_existed:
            count = wanted.configuration["spec"]["replicas"] if wanted.child.kind == "Deployment" else None
            self._writer.recreated(wanted.key, wanted.shop, str(wanted.child), count)
        if not wanted.known_before:
            return
        contested = self._spend(
            wanted, f"{wanted.child} is deleted repeatedly; stop the client that deletes it."
        )
        if contested:
            raise contested

    async def _update(
        self, wanted: Wanted, uid: str, live: Mapping[str, Any] | None, version: int | None = None
    ) -> None:
        """Apply the child. Conflicting fields of other managers are removed first if they are known, otherwise after a rejection."""
        if live is not None and without_incompatible_fields(wanted.configuration, live) is not None:
            moved = await self._remove_conflicting_fields(wanted, uid, frozenset())
            version = moved if version and moved else version
        try:
            await self._apply(wanted, uid, version)
        except Refused:
            moved = await self._remove_conflicting_fields(wanted, uid, OWN_MANAGERS)
            if moved is None:
                raise
            await self._apply(wanted, uid, moved if version else None)

    async def _remove_conflicting_fields(self, wanted: Wanted, uid: str, own: AbstractSet[str]) -> int | None:
        """Remove the fields that conflict with an apply, and set the operator's fields in the same write.

        Args:
            wanted: the child.
            uid: the UID of the live object.
            own: the managers whose fields stay in the operator's part of the object; the fields of other managers are removed
                from it. Empty to remove none for that reason.

        Returns:
            the version of the object after the write; None if nothing was written, because nothing conflicts or the API server
            would reject the write.
        """
        child, namespace = wanted.child, wanted.key.namespace
        for _ in range(_WRITE_ATTEMPTS):
            live = await self._api.get(child.kind, namespace, child.name)
            if live is None or live["metadata"]["uid"] != uid:
                return None
            spec = without_incompatible_fields(
                wanted.configuration, live, fields_of_others(live, own) if own else {}
            )
            if spec is None:
                return None
            seen = int(live["metadata"]["resourceVersion"])
            try:
                live = await self._api.rewrite(
                    child.kind, namespace, child.name, version=seen, parts={"/spec": spec}
                )
            except Stale:
                # Its controller wrote the status at about the same time.
                continue
            except Refused:
                # The error of the apply names the fields as the ShopService has them.
                return None
            return int(live["metadata"]["resourceVersion"])
        raise Stale(f"{child} changes faster than it can be repaired.")

    async def _disown(self, wanted: Wanted, live: dict[str, Any]) -> dict[str, Any]:
        """Remove the repair manager from managedFields. Otherwise, it would keep fields that a later apply drops.

        Returns:
            the object as the API server stores it.
        """
        child, namespace = wanted.child, wanted.key.namespace
        for _ in range(_WRITE_ATTEMPTS):
            entries = live["metadata"].get("managedFields") or ()
            kept = [each for each in entries if each.get("manager") != REPAIR_MANAGER]
            if len(kept) == len(entries):
                return live
            version = int(live["metadata"]["resourceVersion"])
            try:
                return await self._api.rewrite(
                    child.kind,
                    namespace,
                    child.name,
                    version=version,
                    parts={"/metadata/managedFields": kept},
                )
            except Stale:
                live = await self._api.get(child.kind, namespace, child.name) or live
        # The next apply removes it.
        return live

    async def _apply(self, wanted: Wanted, uid: str | None, version: int | None = None) -> None:
        with self._in_flight.writing(wanted.key, wanted.child):
            await self._apply_and_store(wanted, uid, version)

    async def _apply_and_store(self, wanted: Wanted, uid: str | None, version: int | None) -> None:
        try:
            live = await self._api.apply(wanted.signed, uid=uid, version=version)
        except Stale:
            if uid is not None and version is None:
                # It was deleted or replaced, so the next pass must not rely on it.
                self._store.discard(wanted.key, wanted.child, uid)
            raise
        self._observer.wrote(wanted.child.kind, "create" if uid is None else "update")
        live = await self._disown(wanted, live)
        self._store.put(live, settled=wanted.digest)
        overruled = frozenset(differences(wanted.configuration, live))
        if overruled:
            _log.warning(
                "applied fields were changed by the API server or a webhook",
                extra={"child": str(wanted), "fields": sorted(overruled)},
            )
            self._memories.of(wanted.key).overruled[wanted.child] = (wanted.digest, overruled)
        cached = self._store.children(wanted.key).get(wanted.child)
        # The response or, if a LIST was faster, the same state.
        if cached and str(cached.version) == live["metadata"]["resourceVersion"]:
            self._store.settle(wanted.key, wanted.child, cached.digest, wanted.digest, overruled)

    def _overruled_fields(self, wanted: Wanted) -> frozenset[str]:
        known, fields = self._memories.of(wanted.key).overruled.get(wanted.child, ("", frozenset()))
        return fields if known == wanted.digest else frozenset()

    def _unmoved(self, wanted: Wanted) -> int | None:
        """The resourceVersion to require, because another controller may have just set the replica count or the weights; None for none."""
        if shared(wanted.configuration, wanted.key.name):
            return wanted.seen
        scaled = any(
            ChildId(kind, wanted.child.name) in self._store.children(wanted.key) for kind in AUTOSCALERS
        )
        return wanted.seen if scaled and "replicas" in wanted.configuration.get("spec", {}) else None


def _check_owner(wanted: Wanted, live: Mapping[str, Any], *, applied: bool) -> None:
    """Check that the ShopService may write a live child.

    Raises:
        Conflict: it has another owner.
        Terminating: it is being deleted.
    """
    refused = refusal(wanted.child, live, wanted.key.name, wanted.shop.uid, applied=applied)
    if refused is not None:
        raise refused


def _is_contested(shop: Shop | None) -> bool:
    """Whether the status of a ShopService reports that another client keeps changing or deleting children."""
    status = mapping(shop.object.get("status")) if shop is not None else {}
    return any(each.get("reason") == Contested.reason for each in mappings(status.get("conditions")))
