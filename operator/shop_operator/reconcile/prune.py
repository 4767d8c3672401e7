"""Deletes children that are no longer desired, once no running pod and no client needs them."""

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from datetime import datetime

from shop_operator.cache.live import AUTOSCALERS, pod_states
from shop_operator.cache.snapshot import Child
from shop_operator.cache.store import Store
from shop_operator.errors import OperatorError
from shop_operator.names import ChildId, Key
from shop_operator.objects.ownership import controlled_by
from shop_operator.reconcile.api import Api
from shop_operator.reconcile.attempts import attempt
from shop_operator.reconcile.child import WriteObserver
from shop_operator.reconcile.memory import ChildMemories
from shop_operator.reconcile.neighbors import DRAIN_LOOK, LOOK_AGAIN, Neighbors
from shop_operator.reconcile.passes import Pass
from shop_operator.reconcile.replica_handover import ReplicaHandover
from shop_operator.reconcile.retention import route_wait, uses_account


class Prune:
    """Deletes children.

    Args:
        api: the cluster.
        store: the cache of the watches.
        observer: counts writes.
        memories: the records of the ShopServices.
        neighbors: finds pods that are being deleted.
        handover: keeps the replica count of a Deployment whose autoscaler is deleted.
        served: the kinds that the API server serves.
        now: the time.
    """

    def __init__(
        self,
        api: Api,
        store: Store,
        observer: WriteObserver,
        *,
        memories: ChildMemories,
        neighbors: Neighbors,
        handover: ReplicaHandover,
        served: Callable[[], AbstractSet[str]],
        now: Callable[[], datetime],
    ) -> None:
        self._api = api
        self._store = store
        self._observer = observer
        self._memories = memories
        self._neighbors = neighbors
        self._handover = handover
        self._served = served
        self._now = now

    async def clear_up(
        self, this: Pass, kept: AbstractSet[ChildId]
    ) -> tuple[list[OperatorError], dict[ChildId, float]]:
        """Delete children that are no longer desired; returns the errors, and the seconds for which the others must stay."""
        problems: list[OperatorError] = []
        needed: dict[ChildId, float] = {}
        key = this.key
        unseen = this.known - self._store.children(key).keys() - kept

        async def release(child: ChildId, live: Child) -> None:
            seconds = await self._needed(key, child, live, kept)
            if seconds:
                needed[child] = seconds
            else:
                await self._let_go(this, child, live)

        for child, live in self._surplus(this, kept):
            problems += await attempt(release(child, live), problems)
        for child in unseen:
            problems += await attempt(self._prune_unseen(this, child), problems)
        return problems, needed

    async def delete_other_autoscaler(self, this: Pass, child: ChildId) -> list[OperatorError]:
        """Delete the autoscaler of the other kind before a new one acts on the same Deployment; returns the errors."""
        if child.kind not in AUTOSCALERS:
            return []
        others = (ChildId(kind, child.name) for kind in AUTOSCALERS if kind != child.kind)
        return [
            problem
            for other in others
            if self.owns(this, other)
            for problem in await attempt(self._prune(this.key, other, self._store.children(this.key)[other]))
        ]

    def owns(self, this: Pass, child: ChildId) -> bool:
        """Whether the ShopService is known to control a child."""
        found = self._store.children(this.key).get(child)
        return found is not None and found.controller == this.owner

    def _surplus(self, this: Pass, kept: AbstractSet[ChildId]) -> list[tuple[ChildId, Child]]:
        """Children that the ShopService controls and no longer desires."""
        return [
            (child, cached)
            for child, cached in self._store.children(this.key).items()
            if child not in kept and cached.controller == this.owner
        ]

    async def _needed(self, key: Key, child: ChildId, live: Child, kept: AbstractSet[ChildId]) -> float:
        """Seconds for which a child that is no longer desired must stay, unless an event ends this earlier; 0 if it can be deleted."""
        children = self._store.children(key)
        if child.kind == "ServiceAccount":
            if uses_account(child.name, pod_states(children).values()):
                return LOOK_AGAIN
            return DRAIN_LOOK if await self._neighbors.draining(key) else 0.0
        if child.kind == "HTTPRoute":
            successors = [
                found.state if (found := children.get(each)) else None
                for each in kept
                if each.kind == "HTTPRoute"
            ]
            return route_wait(live.state, successors, self._now())
        return 0.0

    async def _let_go(self, this: Pass, child: ChildId, cached: Child) -> None:
        """Delete a child that is no longer desired."""
        await self._handover.from_autoscaler(this, child)
        await self._prune(this.key, child, cached)

    async def _prune(self, key: Key, child: ChildId, cached: Child) -> None:
        if "deletionTimestamp" in cached.state["metadata"]:
            return
        await self._api.delete(child.kind, key.namespace, child.name, uid=cached.uid)
        self._observer.wrote(child.kind, "delete")
        self._memories.of(key).unlisted -= {child}
        # The watch confirms the deletion; if a finalizer delays it, the watch shows the object again.
        self._store.discard(key, child, cached.uid)

    async def _prune_unseen(self, this: Pass, child: ChildId) -> None:
        """Delete a child that is no longer desired and has lost its label, if it still exists."""
        if child.kind not in self._served():
            return
        key = this.key
        live = await self._api.get(child.kind, key.namespace, child.name)
        if live is None or "deletionTimestamp" in live["metadata"] or not controlled_by(live, this.owner):
            return
        await self._api.delete(child.kind, key.namespace, child.name, uid=live["metadata"]["uid"])
        self._observer.wrote(child.kind, "delete")
