"""The facts that a pass renders from: some are read from the API server first, the others from the store when the pass renders."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import datetime

from shop_operator.api.v1alpha1.common_metadata import CommonMetadata
from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.cache.config_digests import ConfigDigests
from shop_operator.cache.live import deployments, live_scale, picking, rollouts, routes
from shop_operator.cache.namespaces import Namespaces
from shop_operator.cache.store import Store
from shop_operator.errors import OperatorError
from shop_operator.names import ChildId, Key
from shop_operator.reconcile.attempts import attempt
from shop_operator.reconcile.lost_replicas import last_counts
from shop_operator.reconcile.neighbors import Neighbors
from shop_operator.reconcile.passes import Pass, Read
from shop_operator.render import configuration_uses
from shop_operator.render.configuration import Configuration, Record
from shop_operator.render.discovery import hostname
from shop_operator.render.prepare import Facts
from shop_operator.status.dependencies import Dependencies, dependencies


class Observation:
    """Gathers the facts about ShopServices.

    Args:
        store: what the watches have shown.
        neighbors: the calls between ShopServices.
        config_digests: the digests of ConfigMaps and Secrets.
        namespaces: the pod-security level of each namespace.
        served: the kinds that the API server serves.
        common: metadata of the children of all ShopServices.
        queue_endpoints: prefixes of the queue addresses that are allowed in addition to those of AWS; None for any.
        prometheus: the URL at which Argo Rollouts reaches Prometheus; empty for none.
        now: the time.
    """

    def __init__(  # noqa: PLR0913  the facts have as many sources
        self,
        store: Store,
        neighbors: Neighbors,
        *,
        config_digests: ConfigDigests,
        namespaces: Namespaces,
        served: Callable[[], AbstractSet[str]],
        common: CommonMetadata,
        queue_endpoints: Sequence[str] | None,
        prometheus: str,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._neighbors = neighbors
        self._config_digests = config_digests
        self._namespaces = namespaces
        self._served = served
        self._common = common
        self._queue_endpoints = queue_endpoints
        self._prometheus = prometheus
        self._now = now

    def dependencies(self, key: Key) -> Dependencies | None:
        """The state of the dependencies of a ShopService; None if it has none."""
        return dependencies(
            key.name,
            lambda name: self._store.shop(Key(key.namespace, name)),
            lambda: self._store.names(key.namespace),
            self._store.cycle(key),
        )

    async def read(self, this: Pass) -> tuple[Read, list[OperatorError]]:
        """Send the requests of a pass that precede rendering; returns their results, and the errors of those that failed."""
        config, unreadable = await self._configuration(this)
        calls, unlisted = await self._neighbors.unruled_calls(this)
        drain_wait, unseen = await self._neighbors.drain_wait(this)
        return Read(config, calls, drain_wait), [*unreadable, *unlisted, *unseen]

    def facts(self, this: Pass) -> Facts:
        """The facts from which the ShopService is rendered."""
        key, shop = this.key, this.shop
        children = self._store.children(key)
        lost = last_counts(key, children, self._store.lost(key), shop.status, this.known)
        held = self._neighbors.ports(this, drained=not this.read.drain_wait)
        asked = hostname(shop)
        return Facts(
            called_ports=self._neighbors.dependency_ports(key, this.cached.depends_on),
            dependants=self._store.dependants(key),
            deployments=deployments(children),
            routes=routes(children, this.owner),
            rollouts=rollouts(children, this.owner),
            picking=picking(children),
            prometheus=self._prometheus,
            scale=live_scale(children, lost),
            configuration=this.read.config,
            hostname_holder=self._store.holder(asked) if asked else None,
            old_ports=held.old,
            routed_port=held.routed,
            old_parents=self._neighbors.old_parents(this),
            wait=0.0 if lost else self._wait(this, children),
            served=self._served(),
            pod_security=self._namespaces.level(key.namespace),
            queue_endpoints=self._queue_endpoints,
            common=self._common,
        )

    def restored(self, this: Pass, facts: Facts, good: ShopService, records: Mapping[str, Record]) -> Facts:
        """The facts with the pods of the last available release in place of those of the spec.

        Raises:
            InvalidSpec: the spec of that release is no longer valid.
        """
        called = {*this.cached.depends_on, *(good.spec.depends_on or ())}
        return replace(
            facts, pods=good, records=records, called_ports=self._neighbors.dependency_ports(this.key, called)
        )

    async def _configuration(self, this: Pass) -> tuple[Configuration | None, list[OperatorError]]:
        """The configuration of the pods; None, and the reason, if it cannot be read."""
        uses = configuration_uses(this.shop)
        found: list[Configuration] = []

        async def read() -> None:
            digests = await self._config_digests.digests(this.key, frozenset().union(*uses.values()))
            found.append(Configuration(uses, digests))

        problems = await attempt(read())
        return (found[0] if found else None), problems

    def _wait(self, this: Pass, children: Iterable[ChildId]) -> float:
        """Seconds for which the pods wait for dependencies. Only the first pods of a ShopService wait."""
        if this.depends is None or "image" in this.shop.status:
            return 0.0
        if any(child.kind == "Deployment" for child in children):
            return 0.0
        return this.depends.wait(this.shop.created, self._now())
