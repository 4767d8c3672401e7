"""The calls between ShopServices, and what their running pods still need of each other."""

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import aclosing
from datetime import datetime
from typing import Any, Final

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.cache.live import pod_states
from shop_operator.cache.snapshot import Child
from shop_operator.cache.store import Store
from shop_operator.errors import OperatorError
from shop_operator.names import COMPONENT_LABEL, NAME_LABEL, ChildId, Key
from shop_operator.objects.compare import applied_hash
from shop_operator.objects.lenient import mapping, mappings, text
from shop_operator.objects.network_rules import Rules
from shop_operator.objects.rollouts import replaced
from shop_operator.objects.summary.deployment import ports_in_urls
from shop_operator.reconcile.api import Api
from shop_operator.reconcile.attempts import attempt
from shop_operator.reconcile.passes import Pass
from shop_operator.reconcile.retention import (
    Ports,
    called_port,
    ended,
    leaves_gateway,
    old_parents,
    ports,
    served,
    still_calls,
    unruled,
)
from shop_operator.reconcile.wanted import is_like
from shop_operator.render.labels import WEB, worker_component
from shop_operator.render.route import parents

LOOK_AGAIN: Final = 300.0
"""Seconds. Usually an event triggers the next pass earlier."""
DRAIN_LOOK: Final = 5.0
"""Seconds. No event reports the end of a pod that is being deleted."""
# No event reports that a running pod was replaced, unless it belongs to a dependant.
_CALLERS_LOOK: Final = 30.0


class Neighbors:
    """Reads the calls from the store, and from the pods what no Deployment shows.

    Args:
        api: lists pods.
        store: the cache of the watches.
        now: the time.
    """

    def __init__(self, api: Api, store: Store, now: Callable[[], datetime]) -> None:
        self._api = api
        self._store = store
        self._now = now

    def last(self, key: Key, owner: str, child: ChildId) -> Child | None:
        """The last state of a Service or NetworkPolicy that the ShopService with that UID controls, even if another client deleted it."""
        found = self._store.children(key).get(child) or self._store.former(key).get(child)
        return found if found is not None and found.controller == owner else None

    def dependency_ports(self, key: Key, names: Iterable[str]) -> dict[str, tuple[int, ...]]:
        """The ports on which each dependency answers, the one to call first.

        For a dependency that does not exist, these are the ports in the environment of the pods. If it is deleted and created
        again, its dependants are therefore rolled out only if its port has changed.
        """
        found: dict[str, tuple[int, ...]] = {}
        for name in names:
            dependency = self._store.shop(Key(key.namespace, name))
            if dependency is None:
                former = self._ports_in_templates(key, name)
                found |= {name: former} if former else {}
                continue
            wanted = dependency.port
            last = self.last(Key(key.namespace, name), dependency.uid, ChildId("Service", name))
            state = None if last is None else last.state
            present: tuple[int, ...] = tuple((state or {}).get("ports", ()))
            found[name] = tuple(dict.fromkeys((served(wanted, state), wanted, *present)))
        return found

    def ports(self, this: Pass, *, drained: bool) -> Ports:
        """The ports that the Service keeps; `retention.ports`."""
        key, shop, owner = this.key, this.shop, this.owner
        children = self._store.children(key)
        service = self.last(key, owner, ChildId("Service", key.name))
        if service is None:
            return Ports()
        state = service.state
        if state["ports"] in ([], [shop.spec.port]):
            return Ports()
        web = pod_states(children).get(key.name)
        callers = [
            called_port(state, key.name)
            for name in self._store.dependants(key)
            for state in pod_states(self._store.children(Key(key.namespace, name))).values()
        ]
        routes = [
            live.state
            for child, live in children.items()
            if child.kind == "HTTPRoute" and live.controller == owner
        ]
        return ports(shop.spec.port, state, web, callers, routes, drained=drained)

    def awaits_drain(self, this: Pass) -> bool:
        """Whether the earlier ports of the Service are kept only for pods that no Deployment of a dependant accounts for."""
        held = (self.ports(this, drained=drained) for drained in (False, True))
        return len(set(held)) > 1

    def old_parents(self, this: Pass) -> dict[str, list[dict[str, Any]]]:
        """The references to Gateways that each HTTPRoute keeps for a while, by its name; `retention.old_parents`."""
        if not this.shop.spec.routes:
            return {}
        wanted = parents(this.shop)
        found = {
            child.name: old_parents(live.state, wanted)
            for child, live in self._store.children(this.key).items()
            if child.kind == "HTTPRoute" and live.controller == this.owner
        }
        return {name: refs for name, refs in found.items() if refs}

    def unruled(self, this: Pass, old_ports: Iterable[int]) -> dict[str, Rules]:
        """The rules that a first NetworkPolicy adds for the connections of pods of earlier templates."""
        key, calls = this.key, this.read.calls or {}
        if not any(child.kind == "Deployment" for child in self._store.children(key)):
            # Without a Deployment, no pods can call or be called.
            return {}
        ports = {name: {*calls[name], *found} for name, found in self.dependency_ports(key, calls).items()}
        called = {**{name: {*found} for name, found in calls.items()}, **ports}
        return {"rules": unruled(called, self._store.callers(key), (this.shop.spec.port, *old_ports))}

    async def unruled_calls(self, this: Pass) -> tuple[dict[str, set[int]] | None, list[OperatorError]]:
        """The calls of the pods that a first NetworkPolicy will restrict; None, and the errors, if they cannot be read."""
        key, shop = this.key, this.shop
        children, policy = self._store.children(key), ChildId("NetworkPolicy", key.name)
        asked = shop.spec.network_policy is not None and shop.spec.network_policy.enabled
        if not asked or policy in children or policy in self._store.former(key):
            return {}, []
        deployments = [live.state for child, live in children.items() if child.kind == "Deployment"]
        found: dict[str, set[int]] = {}

        def note(calls: Mapping[str, int]) -> None:
            for name, port in calls.items():
                found.setdefault(name, set()).add(port)

        for state in deployments:
            note(state.get("calls", {}))

        async def read() -> None:
            async for pod in self._api.pods(key.namespace, f"{NAME_LABEL}={key.name}"):
                note(ports_in_urls(key.namespace, mappings(mapping(pod.get("spec")).get("containers"))))

        # A Deployment shows only its newest template, and its counts exclude pods that are being deleted.
        problems = await attempt(read()) if deployments else []
        return None if problems else found, problems

    async def drain_wait(self, this: Pass) -> tuple[float, list[OperatorError]]:
        """Seconds for which an earlier port of the Service must stay for pods that may call it, and the errors if that is unknown.

        A ShopService that no longer names this one in its spec, or is deleted, is no dependant, but its pods may still run.
        """
        key = this.key
        if not self.awaits_drain(this):
            return DRAIN_LOOK, []
        seconds = DRAIN_LOOK

        async def look() -> None:
            nonlocal seconds
            for name in sorted({key.name} | self._store.dependants(key)):
                if await self.draining(Key(key.namespace, name)):
                    return
            seconds = await self._callers_wait(key, self.ports(this, drained=False).old)

        problems = await attempt(look())
        return seconds, problems

    async def draining(self, key: Key) -> bool:
        """Whether pods of a ShopService are being deleted, or will be because their Deployment was deleted."""
        components = {
            _component(key, child) for child in self._store.children(key) if child.kind == "Deployment"
        }
        async with aclosing(self._api.pods(key.namespace, f"{NAME_LABEL}={key.name}")) as pods:
            async for pod in pods:
                component = mapping(pod["metadata"].get("labels")).get(COMPONENT_LABEL)
                going = "deletionTimestamp" in pod["metadata"] or component not in components
                if going and not ended(pod, self._now()):
                    return True
        return False

    async def _callers_wait(self, key: Key, ports: Collection[int]) -> float:
        """Seconds for which pods of an earlier release may still call this ShopService on these ports; 0 if no pod may.

        A client whose own spec sets the port, without a dependency, is ignored, because no release changes it.
        """
        seconds = 0.0
        async with aclosing(self._api.pods(key.namespace, NAME_LABEL)) as pods:
            async for pod in pods:
                called = ports_in_urls(key.namespace, mappings(mapping(pod.get("spec")).get("containers")))
                port, labels = called.get(key.name), mapping(pod["metadata"].get("labels"))
                caller = Key(key.namespace, text(labels.get(NAME_LABEL)))
                if port not in ports or ended(pod, self._now()):
                    continue
                current = self._port_in_template(caller, labels.get(COMPONENT_LABEL), key.name)
                if current == port and not self._lags(caller):
                    continue
                if "deletionTimestamp" in pod["metadata"]:
                    return DRAIN_LOOK
                seconds = _CALLERS_LOOK
        return seconds

    def _port_in_template(self, caller: Key, component: Any, dependency: str) -> int | None:
        """The port of a dependency that the newest template of a component passes to its pods."""
        return next(
            (
                live.state.get("calls", {}).get(dependency)
                for child, live in self._store.children(caller).items()
                if child.kind == "Deployment" and _component(caller, child) == component
            ),
            None,
        )

    def _ports_in_templates(self, key: Key, dependency: str) -> tuple[int, ...]:
        """The ports of a dependency that the Deployments pass to their pods, that of the web component first."""
        deployments = {
            child.name: live.state
            for child, live in self._store.children(key).items()
            if child.kind == "Deployment"
        }
        ordered = sorted(deployments, key=lambda name: (name != key.name, name))
        found = (deployments[name].get("calls", {}).get(dependency) for name in ordered)
        return tuple(dict.fromkeys(port for port in found if port))

    def all_replaced(self, key: Key, desired: Iterable[Mapping[str, Any]]) -> bool:
        """Whether all Deployments match the desired state and have no pods of an earlier template."""
        live = {child: c for child, c in self._store.children(key).items() if child.kind == "Deployment"}
        wanted = {
            ChildId("Deployment", each["metadata"]["name"]): applied_hash(each)
            for each in desired
            if each["kind"] == "Deployment"
        }
        applied = all(child in live and is_like(live[child], digest) for child, digest in wanted.items())
        return applied and all(map(replaced, pod_states(self._store.children(key)).values()))

    def leaves_gateway(self, this: Pass) -> bool:
        """Whether a Gateway that is no longer desired may still send requests."""
        wanted = parents(this.shop) if this.shop.spec.routes else []
        return any(
            leaves_gateway(live.state, wanted)
            for child, live in self._store.children(this.key).items()
            if child.kind == "HTTPRoute" and live.controller == this.owner
        )

    def may_call(self, caller: Key, dependency: str) -> bool:
        """Whether pods of a ShopService may call a dependency that its spec no longer names."""
        return self._lags(caller) or any(
            still_calls(state, dependency) for state in pod_states(self._store.children(caller)).values()
        )

    def _lags(self, key: Key) -> bool:
        """Whether the children of a ShopService may not match its spec yet."""
        cached = self._store.shop(key)
        if cached is None:
            return False
        shop = ShopService.from_object(cached.object)
        seen = mapping(cached.object.get("status")).get("observedGeneration")
        return bool(seen != shop.generation or shop.document.get("suspend"))


def _component(key: Key, deployment: ChildId) -> str:
    """The component label of the pods of a Deployment."""
    return (
        WEB if deployment.name == key.name else worker_component(deployment.name.removeprefix(f"{key.name}-"))
    )
