"""What stays although the spec no longer asks for it: nothing goes while running pods or their clients still need it.

Every rule here is a pure function of what the watches show, so that it holds over a restart of the operator and ends by
itself, with the event that shows its end:

- a ServiceAccount of the operator's goes once no pod of an earlier template, or of a worker that is removed, is left;
- a Service keeps the port that it had (as `http-<port>`) until the pods, the dependants, those that were dependants and the
  routes have moved;
- a NetworkPolicy goes on admitting what it admitted until no pod of an earlier template is left, until the ShopServices that
  depended on this one have replaced theirs, and until the HTTPRoutes have left the Gateways that they leave;
- an HTTPRoute goes once the routes in its place are accepted, and a Gateway loses its reference once the others have accepted;
- a Service or NetworkPolicy that another client deletes returns with what it was kept for, and a first NetworkPolicy admits
  what pods of an earlier template call;
- what a user takes out of the spec without a successor (routes, discovery, networkPolicy, a worker) goes at once.

The counts of a Deployment leave out pods that are being deleted, so what pods or their clients need goes only after a list of
the pods has shown that none of these is left either; no watch shows when one ends.
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
"""The summary of a live child."""

ROUTE_GRACE: Final = timedelta(minutes=5)
"""How long an HTTPRoute waits for a successor about which no Gateway controller says anything."""
DELETION_MARGIN: Final = timedelta(minutes=1)
"""How long a pod may outlast its grace period. One that its node no longer tells of, or that a finalizer keeps, holds nothing
after that."""
_MOST_OLD_PORTS: Final = 3
# A NetworkPolicy that is larger than a summary loses its earlier rules at the next pass.
_MOST_CALLERS: Final = 256
_ENDED: Final = ("Succeeded", "Failed")
_PARENT_KEYS: Final = ("namespace", "name", "sectionName")


@dataclass(frozen=True)
class Ports:
    """The ports of the main Service.

    Args:
        old: earlier ports that it still has, the last one first.
        routed: the port to which HTTPRoutes send requests; None for that of the spec.
    """

    old: tuple[int, ...] = ()
    routed: int | None = None


def uses_account(name: str, deployments: Iterable[State]) -> bool:
    """Whether pods of these Deployments may run, or be created, under a ServiceAccount."""
    return any(each.get("account") == name or not rolled_out(each) for each in deployments)


def ended(pod: Mapping[str, Any], now: datetime) -> bool:
    """Whether the containers of a pod have ended, as far as the pod tells: it may stay without them.

    The API server sets a deletionTimestamp to the end of the grace period.
    """
    deleted = text(pod["metadata"].get("deletionTimestamp"))
    if deleted and now >= datetime.fromisoformat(deleted) + DELETION_MARGIN:
        return True
    return mapping(pod.get("status")).get("phase") in _ENDED


def accepted(route: State) -> bool:
    """Whether a Gateway has accepted this version of an HTTPRoute."""
    generation = route["metadata"].get("generation", 0)
    return any(
        each["type"] == "Accepted"
        and each["status"] == "True"
        and each.get("observedGeneration", generation) >= generation
        for parent in route["status"].get("parents", ())
        for each in parent["conditions"]
    )


def route_wait(route: State, successors: Collection[State | None], now: datetime) -> float:
    """Seconds for which an HTTPRoute has to stay for its successors' sake unless an event ends that earlier; 0: it can go.

    Args:
        route: the one that is not wanted any more.
        successors: the wanted ones, None for each that does not exist yet.
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
        # It was refused, or its controller is still processing the new version: the next change arrives as an event.
        return grace
    began = successor["metadata"].get("creationTimestamp")
    age = (now - datetime.fromisoformat(began)).total_seconds() if began else 0.0
    return min(max(grace - age, 0.0), grace)


def _was_accepted(route: State) -> bool:
    """Whether any version of it was."""
    return any(
        each["type"] == "Accepted" and each["status"] == "True"
        for parent in route["status"].get("parents", ())
        for each in parent["conditions"]
    )


def old_parents(live: State, wanted: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The references to Gateways that an HTTPRoute keeps until those that it shall have have accepted it."""
    taken = {
        _parent(each["ref"])
        for each in live["status"].get("parents", ())
        if each.get("ref")
        and any(found["type"] == "Accepted" and found["status"] == "True" for found in each["conditions"])
    }
    ids = {_parent(each) for each in wanted}
    if ids <= taken:
        return []
    refs: Sequence[Mapping[str, Any]] = live["spec"]["parentRefs"]
    return [dict(each) for each in refs if _parent(each) in taken - ids]


def leaves_gateway(route: State, wanted: Sequence[Mapping[str, Any]]) -> bool:
    """Whether an HTTPRoute still names a Gateway that it shall not."""
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
    """Which ports the main Service has beside the wanted one, and where routes go.

    The target of every port is the name of the container's, so that each works with old and with new pods.

    Args:
        wanted: spec.port.
        service: the live Service, None when there is none.
        web: the Deployment of the web workload, None when there is none.
        callers: of each Deployment that depends on this one, the port that its pods are given; 0 while it is being rolled out.
        routes: the live HTTPRoutes.
        drained: whether no pod that is being deleted, or that an earlier release of another ShopService has left, may call an
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
    """The port of a dependency that the pods of a Deployment are given: None for none, 0 while it is being rolled out."""
    if not rolled_out(caller):
        return 0
    found: int | None = caller.get("calls", {}).get(dependency)
    return found


def served(wanted: int, service: State | None) -> int:
    """The port of a dependency that works now: the wanted one unless its Service does not have that yet."""
    live: Sequence[int] = (service or {}).get("ports", ())
    return wanted if wanted in live or not live else live[0]


def calls(caller: State, dependency: str) -> bool:
    """Whether pods of a Deployment may call a dependency that its ShopService no longer names."""
    return dependency in caller.get("calls", {}) or not replaced(caller)


def earlier_rules(policy: State, wanted: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """What a live NetworkPolicy admits beyond the wanted one, by direction; empty for nothing."""
    live: Rules = policy.get("rules", {})
    found = {each: beyond(each, live.get(each, ()), wanted["spec"][each]) for each in PEERS}
    return {direction: rules for direction, rules in found.items() if rules}


def unruled(
    calls: Mapping[str, Collection[int]], callers: Collection[str], ports: Collection[int]
) -> dict[str, list[dict[str, Any]]]:
    """The connections with other ShopServices that pods make and that no NetworkPolicy has restricted yet.

    Args:
        calls: by the name of a ShopService, the ports on which pods call it.
        callers: the ShopServices whose pods may call these.
        ports: on these ports.
    """
    found = {
        "ingress": [between("ingress", sorted(callers)[:_MOST_CALLERS], ports)] if callers else [],
        "egress": [between("egress", [name], called) for name, called in sorted(calls.items())],
    }
    return {direction: rules for direction, rules in found.items() if rules}


def with_rules(policy: Mapping[str, Any], more: Rules) -> dict[str, Any]:
    """A NetworkPolicy that admits more."""
    spec = policy["spec"]
    return {**policy, "spec": {**spec, **{each: [*spec[each], *rules] for each, rules in more.items()}}}


def former_callers(rules: Rules, dependants: Collection[str]) -> frozenset[str]:
    """The ShopServices that earlier rules admit and that do not depend on this one any more."""
    return shopservices(rules.get("ingress", ()), "ingress") - frozenset(dependants)


def needed_rules(
    rules: Rules, calling: Collection[str], *, leaving_gateway: bool
) -> dict[str, list[dict[str, Any]]]:
    """What is left of the earlier rules of a NetworkPolicy once no pod of an earlier template is.

    Args:
        rules: the earlier rules.
        calling: the ShopServices that no longer depend on this one and may still call it.
        leaving_gateway: whether requests may still come by a Gateway that the routes leave.
    """
    found = only(
        "ingress",
        rules.get("ingress", ()),
        lambda peer: shopservice(peer) in calling or (leaving_gateway and "namespaceSelector" in peer),
    )
    return {"ingress": found} if found else {}
