"""Gives the replica count of a Deployment a second owner before its present owner is removed, so that the count stays."""

import logging
from typing import Final

from shop_operator.cache.live import AUTOSCALERS
from shop_operator.cache.snapshot import Child, Scaler
from shop_operator.cache.store import Store
from shop_operator.errors import Stale
from shop_operator.names import ChildId, Key
from shop_operator.reconcile.api import Api
from shop_operator.reconcile.passes import Pass
from shop_operator.reconcile.wanted import Wanted
from shop_operator.render.workloads import workloads

_log = logging.getLogger(__name__)

SCALED: Final = {"Rollout": "argoproj.io/v1alpha1", "Deployment": "apps/v1"}
"""The API versions of the kinds that an autoscaler may scale. A Rollout takes precedence over the Deployment of the same name."""
_FOREIGN: Final = (Scaler.OTHER, Scaler.SHARED)
"""Owners of a replica count that are neither the operator alone nor an autoscaler."""


class ReplicaHandover:
    """Shares the replica counts of Deployments.

    Args:
        api: the cluster.
        store: the cache of the watches.
    """

    def __init__(self, api: Api, store: Store) -> None:
        self._api = api
        self._store = store

    async def from_operator(self, wanted: Wanted, cached: Child) -> None:
        """Keep the count of a Deployment that the operator no longer applies."""
        if wanted.child.kind not in SCALED or "replicas" in wanted.configuration["spec"]:
            return
        if cached.scaled_by is not Scaler.OPERATOR:
            return
        try:
            await self._share(wanted.key, wanted.child, cached)
        except Stale:
            # Another client has set the count in the meantime and owns it.
            _log.info("replicas already have a new owner", extra={"child": str(wanted)})

    async def from_autoscaler(self, this: Pass, child: ChildId) -> None:
        """Keep the count of a Deployment whose autoscaler is deleted, even if a user set it.

        Args:
            this: the pass.
            child: is deleted; any kind.

        Raises:
            Stale: the count has changed.
        """
        if child.kind not in AUTOSCALERS:
            return
        children = self._store.children(this.key)
        scaled = next((each for kind in SCALED if (each := ChildId(kind, child.name)) in children), None)
        unwished = any(
            workload.name == child.name and workload.replicas is None for workload in workloads(this.shop)
        )
        if unwished and scaled and children[scaled].scaled_by in _FOREIGN:
            await self._share(this.key, scaled, children[scaled])

    async def _share(self, key: Key, child: ChildId, cached: Child) -> None:
        """Become an owner of the live replica count of a Deployment or a Rollout.

        Raises:
            Stale: the count has changed.
        """
        share = {
            "apiVersion": SCALED[child.kind],
            "kind": child.kind,
            "metadata": {"name": child.name, "namespace": key.namespace},
            "spec": cached.state["spec"],
        }
        self._store.put(await self._api.share(share, uid=cached.uid))
