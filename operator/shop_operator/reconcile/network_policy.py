"""Widens a NetworkPolicy at once, and narrows it only when no running pod needs its earlier rules."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shop_operator.cache.store import Store
from shop_operator.names import ChildId, Key
from shop_operator.objects.compare import applied_hash
from shop_operator.objects.network_rules import Rules
from shop_operator.reconcile.child import Children
from shop_operator.reconcile.neighbors import DRAIN_LOOK, LOOK_AGAIN, Neighbors
from shop_operator.reconcile.passes import Pass
from shop_operator.reconcile.retention import earlier_rules, former_callers, needed_rules, with_rules
from shop_operator.reconcile.wanted import Wanted, is_like


@dataclass(frozen=True)
class Narrowing:
    """A NetworkPolicy that admits more than desired.

    Attributes:
        policy: the desired apply configuration.
        rules: the additional rules of the live NetworkPolicy, by direction.
    """

    policy: Mapping[str, Any]
    rules: Rules


class NetworkPolicies:
    """Widens and narrows NetworkPolicies.

    Args:
        store: the cache of the watches.
        neighbors: the calls between ShopServices.
        children: applies the narrower NetworkPolicy.
    """

    def __init__(self, store: Store, neighbors: Neighbors, children: Children) -> None:
        self._store = store
        self._neighbors = neighbors
        self._children = children

    def widened(
        self, this: Pass, desired: list[dict[str, Any]], old_ports: Iterable[int]
    ) -> tuple[list[dict[str, Any]], Narrowing | None]:
        """The children, with a NetworkPolicy that still admits the current connections. It is narrowed at the end of the pass.

        Args:
            this: the pass.
            desired: the children.
            old_ports: earlier ports of the Service that are still in use.
        """
        key = this.key
        for at, wanted in enumerate(desired):
            if wanted["kind"] != "NetworkPolicy":
                continue
            child = ChildId("NetworkPolicy", wanted["metadata"]["name"])
            last = self._neighbors.last(key, this.owner, child)
            if last is None and child in self._store.children(key):
                break
            admitted = self._neighbors.unruled(this, old_ports) if last is None else last.state
            rules = earlier_rules(admitted, wanted)
            if not rules or (last and is_like(last, applied_hash(wanted))):
                break
            return [*desired[:at], with_rules(wanted, rules), *desired[at + 1 :]], Narrowing(wanted, rules)
        return desired, None

    def kept(self, key: Key, narrowing: Narrowing | None) -> Iterator[str]:
        """The clause of the status about a NetworkPolicy that is still wider than desired."""
        if narrowing is None:
            return
        child = ChildId("NetworkPolicy", narrowing.policy["metadata"]["name"])
        live = self._store.children(key).get(child)
        if live is not None and earlier_rules(live.state, narrowing.policy):
            yield f"earlier rules of {child}"

    async def narrow(
        self,
        this: Pass,
        desired: Iterable[Mapping[str, Any]],
        narrowing: Narrowing | None,
        waits: list[float],
    ) -> None:
        """Remove the earlier rules once all pods are replaced, except those of callers and Gateways that may still send requests."""
        if narrowing is None:
            return
        key = this.key
        waits.append(LOOK_AGAIN)
        if not self._neighbors.all_replaced(key, desired):
            return
        former = former_callers(narrowing.rules, self._store.dependants(key))
        calling = {name for name in former if self._neighbors.may_call(Key(key.namespace, name), key.name)}
        rules = needed_rules(narrowing.rules, calling, leaving_gateway=self._neighbors.leaves_gateway(this))
        if rules == narrowing.rules:
            return
        for name in sorted({key.name} | (former - calling)):
            if await self._neighbors.draining(Key(key.namespace, name)):
                waits.append(DRAIN_LOOK)
                return
        await self._children.ensure(
            Wanted(key, this.shop, with_rules(narrowing.policy, rules), known_before=True)
        )
