"""Retention: state that the spec no longer requests is kept while running pods or their clients still need it. Pure.

Each rule is a function of the observed state. It therefore survives a restart of the operator, and stops applying with the event
that shows the end of its cause:

- A ServiceAccount of the operator is deleted once no pod of an earlier template or of a removed worker is left.
- A Service keeps an earlier port (as `http-<port>`) until the pods, the dependants, the former dependants and the routes use the
  new one.
- A NetworkPolicy keeps its earlier rules until no pod of an earlier template is left, the former dependants have replaced their
  pods, and the HTTPRoutes have left their earlier Gateways.
- An HTTPRoute is deleted once the routes that replace it are accepted. Its reference to a Gateway is removed once the other
  Gateways have accepted it.
- A Service or NetworkPolicy that another client deletes is created again with the state that it kept. A first NetworkPolicy admits
  the calls of pods of earlier templates.
- State that is removed from the spec without a successor (routes, discovery, networkPolicy, a worker) is deleted at once.

The counts of a Deployment exclude pods that are being deleted, and no watch shows when such a pod ends. State that pods or their
clients need is therefore removed only after a LIST of the pods has shown that no such pod is left.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from shop_operator.objects.lenient import mapping, text
from shop_operator.objects.network_rules import PEERS, Rules, between, beyond, only, shopservice, shopservices
from shop_operator.objects.rollouts import replaced, rolled_out
from shop_operator.wording import listed

State = Mapping[str, Any]
"""The summary of a live child; objects.summary."""

ROUTE_GRACE: Final = timedelta(minutes=5)
"""The time for which an HTTPRoute waits for a successor on which no Gateway controller reports."""
DELETION_MARGIN: Final = timedelta(minutes=1)
"""The time for which a pod may outlast its grace period. A pod that its node no longer reports, or that a finalizer keeps, is ignored
after that."""
_MOST_OLD_PORTS: Final = 3
# A NetworkPolicy that is too large for a summary loses its earlier rules at the next pass.
_MOST_CALLERS: Final = 256
_ENDED: Final = ("Succeeded", "Failed")
_PARENT_KEYS: Final = ("namespace", "name", "sectionName")


@dataclass(frozen=True)
class Ports:
    """The ports of the main Service.

    Args:
        old: earlier ports that the Service keeps, the latest first.
        routed: the port to which HTTPRoutes send requests; None for spec.port.
    """

    old: tuple[int, ...] = ()
    routed: int | None = None


def uses_account(name: str, deployments: Iterable[State]) -> bool:
    """Whether pods of these Deployments may run, or be created, as a ServiceAccount."""
    return any(each.get("account") == name or not rolled_out(each) for each in deployments)


def ended(pod: Mapping[str, Any], now: datetime) -> bool:
    """Whether the containers of a pod have ended. The pod itself may exist for longer.

    The API server sets the deletionTimestamp to the end of the grace period.
    """
    deleted = text(pod["metadata"].get("deletionTimestamp"))
    if deleted and now >= datetime.fromisoformat(deleted) + DELETION_MARGIN:
        return True
    return mapping(pod.get("status")).get("phase") in _ENDED


def accepted(route: State) -> bool:
    """Whether a Gateway has accepted this version of an HTTPRoute."""
    generation = route["metadata"].get("generation", 0)
    return any(
        each.get("observedGeneration", generation) >= generation
        for parent in route["status"].get("parents", ())
        for each in _acceptances(parent)
    )


def route_wait(route: State, successors: Collection[State | None], now: datetime) -> float:
    """Seconds for which an HTTPRoute must stay for its successors, unless an event ends this earlier; 0 if it can be deleted.

    Args:
        route: the HTTPRoute that is no longer desired.
        successors: the desired HTTPRoutes; None for each that does not exist yet.
        now: the time.
    """
    if not _was_accepted(route):
        return 0.0
    return max((_left(each, now) for each in successors), default=0.0)


def _left(successor: State | None, now: datetime) -> float:
    grace = ROUTE_GRACE.total_seconds()
    if successor is None:
        return grace
    if accepted(successor):
        return 0.0
    if any(parent["conditions"] for parent in successor["status"].get("parents", ())):
        # A Gateway has refused it, or its controller still processes the new version. An event reports the next change.
        return grace
    began = successor["metadata"].get("creationTimestamp")
    age = (now - datetime.fromisoformat(began)).total_seconds() if began else 0.0
    return min(max(grace - age, 0.0), grace)


def _was_accepted(route: State) -> bool:
    """Whether a Gateway has accepted any version of an HTTPRoute."""
    return any(_acceptances(parent) for parent in route["status"].get("parents", ()))


def _acceptances(parent: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The conditions by which one parent of an HTTPRoute has accepted it."""
    return [each for each in parent["conditions"] if each["type"] == "Accepted" and each["status"] == "True"]


def old_parents(live: State, wanted: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The references to Gateways that an HTTPRoute keeps until the desired Gateways have accepted it."""
    taken = {
        _parent(each["ref"])
        for each in live["status"].get("parents", ())
        if each.get("ref") and _acceptances(each)
    }
    ids = {_parent(each) for each in wanted}
    if ids <= taken:
        return []
    refs: Sequence[Mapping[str, Any]] = live["spec"]["parentRefs"]
    return [dict(each) for each in refs if _parent(each) in taken - ids]


def leaves_gateway(route: State, wanted: Sequence[Mapping[str, Any]]) -> bool:
    """Whether an HTTPRoute still names a Gateway that is not desired."""
    return not {_parent(each) for each in route["spec"]["parentRefs"]} <= {_parent(each) for each in wanted}


def _parent(ref: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(text(ref.get(key)) for key in _PARENT_KEYS)


def ports(
    wanted: int,
    service: State | None,
    web: State | None,
    callers: Iterable[int | None],
    routes: Collection[State],
    *,
    drained: bool,
) -> Ports:
    """The earlier ports that the main Service keeps, and the port of the routes.

    The target of each port is the name of the container port, so each port works with old and with new pods.

    Args:
        wanted: spec.port.
        service: the live Service; None if it does not exist.
        web: the Deployment of the web workload; None if it does not exist.
        callers: for each Deployment of a dependant, the port in the environment of its pods; 0 during a rollout.
        routes: the live HTTPRoutes.
        drained: whether neither pods that are being deleted nor pods of earlier releases of other ShopServices may call an
            earlier port.
    """
    old = tuple(each for each in (service or {}).get("ports", ()) if each != wanted)[:_MOST_OLD_PORTS]
    if not old:
        return Ports()
    moved = web is not None and rolled_out(web) and web.get("port") == wanted
    routed = {port for route in routes for port in route["spec"].get("ports", ())}
    if not moved:
        return Ports(old, next((each for each in old if each in routed), old[0]))
    unmoved = not drained or any(each not in {None, wanted} for each in callers)
    unrouted = any(
        set(route["spec"].get("ports", ())) & set(old) or (_was_accepted(route) and not accepted(route))
        for route in routes
    )
    return Ports(old) if unmoved or unrouted else Ports()


def kept_ports(service: str, old: Collection[int]) -> Iterator[str]:
    """The clause of the status about earlier ports of a Service."""
    if old:
        yield f"port{'' if len(old) == 1 else 's'} {listed([str(each) for each in old])} of Service {service}"


def kept_gateways(old: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    """The clauses of the status about references to Gateways that HTTPRoutes still need, by the name of the HTTPRoute."""
    for route, refs in sorted(old.items()):
        names = listed([text(each.get("name")) for each in refs])
        yield f"Gateway{'' if len(refs) == 1 else 's'} {names} of HTTPRoute {route}"


def called_port(caller: State, dependency: str) -> int | None:
    """The port of a dependency in the environment of the pods of a Deployment; None for none, 0 during a rollout."""
    if not rolled_out(caller):
        return 0
    found: int | None = caller.get("calls", {}).get(dependency)
    return found


def served(wanted: int, service: State | None) -> int:
    """The port on which a dependency answers now: the desired one, unless its Service does not have it yet."""
    live: Sequence[int] = (service or {}).get("ports", ())
    return wanted if wanted in live or not live else live[0]


def still_calls(caller: State, dependency: str) -> bool:
    """Whether pods of a Deployment may call a dependency that its ShopService no longer names."""
    return dependency in caller.get("calls", {}) or not replaced(caller)


def earlier_rules(policy: State, wanted: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The rules of a live NetworkPolicy that the desired one does not have, by direction; empty for none."""
    live: Rules = policy.get("rules", {})
    found = {each: beyond(each, live.get(each, ()), wanted["spec"][each]) for each in PEERS}
    return {direction: rules for direction, rules in found.items() if rules}


def unruled(
    calls: Mapping[str, Collection[int]], callers: Collection[str], ports: Collection[int]
) -> dict[str, list[dict[str, Any]]]:
    """The rules for connections with other ShopServices that no NetworkPolicy has restricted yet.

    Args:
        calls: for each ShopService that the pods call, the ports.
        callers: the ShopServices whose pods may call these pods.
        ports: the ports that the callers use.
    """
    found = {
        "ingress": [between("ingress", sorted(callers)[:_MOST_CALLERS], ports)] if callers else [],
        "egress": [between("egress", [name], called) for name, called in sorted(calls.items())],
    }
    return {direction: rules for direction, rules in found.items() if rules}


def with_rules(policy: Mapping[str, Any], more: Rules) -> dict[str, Any]:
    """A NetworkPolicy with additional rules."""
    spec = policy["spec"]
    return {**policy, "spec": {**spec, **{each: [*spec[each], *rules] for each, rules in more.items()}}}


def former_callers(rules: Rules, dependants: Collection[str]) -> frozenset[str]:
    """The ShopServices that earlier rules admit and that no longer depend on this one."""
    return shopservices(rules.get("ingress", ()), "ingress") - frozenset(dependants)


def needed_rules(
    rules: Rules, calling: Collection[str], *, leaving_gateway: bool
) -> dict[str, list[dict[str, Any]]]:
    """The earlier rules of a NetworkPolicy that are still needed once no pod of an earlier template is left.

    Args:
        rules: the earlier rules.
        calling: the ShopServices that no longer depend on this one and may still call it.
        leaving_gateway: whether a Gateway that the routes are leaving may still send requests.
    """
    found = only(
        "ingress",
        rules.get("ingress", ()),
        lambda peer: shopservice(peer) in calling or (leaving_gateway and "namespaceSelector" in peer),
    )
    return {"ingress": found} if found else {}
