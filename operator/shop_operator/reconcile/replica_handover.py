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
        if cached.scaled_by is not Scaler.OPERATOR or "replicas" in wanted.configuration.get("spec", {}):
            return
        try:
            await self._share(wanted.key, wanted.child.name, cached)
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
        scaled = self._store.children(this.key).get(ChildId("Deployment", child.name))
        unwished = any(
            workload.name == child.name and workload.replicas is None for workload in workloads(this.shop)
        )
        if child.kind in AUTOSCALERS and unwished and scaled and scaled.scaled_by in _FOREIGN:
            await self._share(this.key, child.name, scaled)

    async def _share(self, key: Key, deployment: str, cached: Child) -> None:
        """Become an owner of the live replica count of a Deployment.

        Raises:
            Stale: the count has changed.
        """
        share = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": deployment, "namespace": key.namespace},
            "spec": cached.state["spec"],
        }
        self._store.put(await self._api.share(share, uid=cached.uid))
