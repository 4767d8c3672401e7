"""The graph of ShopServices: their dependencies, routes, workers, queues and network policies. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from shop_operator.names import NAME_LABEL

Object = Mapping[str, Any]
Key = tuple[str, str, str]

DEPENDS_ON: Final = "dependsOn"
WORKER: Final = "worker"
SCALES: Final = "scales"
MAY_CONNECT: Final = "may connect"
ANY: Final = "any address"
"""The name of the peer of a rule without peers."""
_NAMESPACE_LABEL: Final = "kubernetes.io/metadata.name"


@dataclass(frozen=True)
class Node:
    """A node of the graph.

    Args:
        kind: ShopService, Worker, Gateway, Service (of another backend), Queue (by which a workload is scaled) or Peer (the
            other end of a connection that a network policy allows).
        namespace: namespace of the object.
        name: name of the object.
        state: ready, not ready or missing for a ShopService; empty for other kinds.
    """

    kind: str
    namespace: str
    name: str
    state: str = ""

    @property
    def key(self) -> Key:
        """The unique key of the node."""
        return self.kind, self.namespace, self.name


@dataclass(frozen=True)
class Edge:
    """A directed edge.

    Args:
        source: key of the source.
        target: key of the target.
        label: dependsOn, worker, scales, "may connect" with the ports, or the methods, host and path of a route.
    """

    source: Key
    target: Key
    label: str


@dataclass
class Graph:
    """The nodes and edges, in a stable order.

    Args:
        nodes: the nodes by key.
        edges: the edges, without duplicates.
    """

    nodes: dict[Key, Node] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """For `-o json`."""
        nodes = [
            {"kind": each.kind, "namespace": each.namespace, "name": each.name, "state": each.state}
            for each in self.nodes.values()
        ]
        edges = [
            {"from": "/".join(each.source), "to": "/".join(each.target), "label": each.label}
            for each in self.edges
        ]
        return {"nodes": nodes, "edges": edges}


def graph(shops: Iterable[Object]) -> Graph:
    """Of ShopServices as the API server has them."""
    found = Graph()
    known = sorted(shops, key=lambda each: (each["metadata"]["namespace"], each["metadata"]["name"]))
    for each in known:
        _add(
            found, Node("ShopService", each["metadata"]["namespace"], each["metadata"]["name"], _state(each))
        )
    for each in known:
        here, name = each["metadata"]["namespace"], each["metadata"]["name"]
        spec, own = each.get("spec") or {}, ("ShopService", here, name)
        for other in spec.get("dependsOn") or ():
            missing = _add(found, Node("ShopService", here, other, "missing"))
            found.edges.append(Edge(own, missing, DEPENDS_ON))
        for worker in spec.get("workers") or ():
            there = _add(found, Node("Worker", here, f"{name}-{worker['name']}"))
            found.edges.append(Edge(own, there, WORKER))
            _add_queue(found, here, there, worker)
        _add_queue(found, here, own, spec)
        _add_routes(found, here, name, spec)
        _add_policy(found, here, own, spec.get("networkPolicy") or {})
    return found


def _add(found: Graph, node: Node) -> Key:
    found.nodes.setdefault(node.key, node)
    return node.key


def _add_routes(found: Graph, here: str, name: str, spec: Object) -> None:
    gateways = [each for each in (spec.get("gateway"), *(spec.get("gateways") or ())) if each]
    for route in spec.get("routes") or ():
        targets = [_backend(found, here, each["name"]) for each in route.get("backendRefs") or ()]
        for gateway in gateways:
            source = _add(found, Node("Gateway", gateway.get("namespace") or here, gateway["name"]))
            for target in targets or [("ShopService", here, name)]:
                edge = Edge(source, target, _words(route))
                if edge not in found.edges:
                    found.edges.append(edge)


def _backend(found: Graph, here: str, name: str) -> Key:
    """The ShopService that owns the Service, or otherwise the Service."""
    own = ("ShopService", here, name)
    return own if own in found.nodes else _add(found, Node("Service", here, name))


def _words(route: Object) -> str:
    methods = ",".join(route.get("methods") or ())
    hosts = (f"{host}{route['path']}" for host in route.get("hostnames") or ("",))
    return " ".join((methods, *hosts)).strip()


def _state(shop: Object) -> str:
    conditions = (shop.get("status") or {}).get("conditions") or ()
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return "ready" if ready else "not ready"


def _add_queue(found: Graph, here: str, workload: Key, spec: Object) -> None:
    queue = (spec.get("autoscaling") or {}).get("queue") or {}
    # The URL of a queue ends in its name; the variable of urlFrom stands for it otherwise.
    name = (queue.get("url") or "").rstrip("/").rpartition("/")[2] or queue.get("urlFrom")
    if name:
        found.edges.append(Edge(_add(found, Node("Queue", here, name)), workload, SCALES))


def _add_policy(found: Graph, here: str, own: Key, policy: Object) -> None:
    """The connections that the rules of the spec allow in addition to routes and dependencies."""
    if not policy.get("enabled", True):
        return
    for namespace in policy.get("gatewayNamespaces") or ():
        found.edges.append(Edge(_add(found, Node("Peer", "", f"namespace {namespace}")), own, MAY_CONNECT))
    for rule in policy.get("ingress") or ():
        for peer in _peers(found, here, rule.get("from")):
            found.edges.append(Edge(peer, own, _allowed(rule)))
    for rule in policy.get("egress") or ():
        for peer in _peers(found, here, rule.get("to")):
            found.edges.append(Edge(own, peer, _allowed(rule)))


def _peers(found: Graph, here: str, peers: Iterable[Object] | None) -> list[Key]:
    """The nodes of the peers of a rule: the ShopServices that a peer selects by name, or its selector in words."""
    keys = list[Key]()
    for peer in peers or ({},):
        services = [("ShopService", here, name) for name in _selected_names(peer)]
        known = services and all(each in found.nodes for each in services)
        keys += services if known else [_add(found, Node("Peer", "", _peer(peer)))]
    return keys


def _selected_names(peer: Object) -> Sequence[str]:
    """The names of the ShopServices of this namespace that a peer selects, if it selects by nothing else."""
    selector = peer.get("podSelector") or {}
    labels: Mapping[str, str] = selector.get("matchLabels") or {}
    expressions: Sequence[Object] = selector.get("matchExpressions") or ()
    if peer.get("namespaceSelector") is not None:
        return ()
    if labels.keys() == {NAME_LABEL} and not expressions:
        return [labels[NAME_LABEL]]
    if not labels and [(each["key"], each["operator"]) for each in expressions] == [(NAME_LABEL, "In")]:
        return expressions[0].get("values") or ()
    return ()


def _peer(peer: Object) -> str:
    """A peer in words, such as "10.0.0.0/8" or "pods app=web in namespaces team=shop"."""
    if block := peer.get("ipBlock"):
        excluded = ", ".join(block.get("except") or ())
        return f"{block['cidr']} except {excluded}" if excluded else str(block["cidr"])
    pods, namespaces = peer.get("podSelector"), peer.get("namespaceSelector")
    words = [] if pods is None else [f"pods {_selected(pods)}"]
    if namespaces is not None:
        words.append(f"{'in ' if words else ''}{_namespaces(namespaces)}")
    return " ".join(words) or ANY


def _namespaces(selector: Object) -> str:
    labels = selector.get("matchLabels") or {}
    if labels.keys() == {_NAMESPACE_LABEL} and not selector.get("matchExpressions"):
        return f"namespace {labels[_NAMESPACE_LABEL]}"
    return f"namespaces {_selected(selector)}"


def _selected(selector: Object) -> str:
    terms = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    terms += [
        " ".join(filter(None, (each["key"], each["operator"], ",".join(each.get("values") or ()))))
        for each in selector.get("matchExpressions") or ()
    ]
    return ", ".join(terms) or "(all)"


def _allowed(rule: Object) -> str:
    ports = ", ".join(map(_port, rule.get("ports") or ()))
    return f"{MAY_CONNECT} ({ports})" if ports else MAY_CONNECT


def _port(port: Object) -> str:
    protocol = port.get("protocol") or "TCP"
    first, last = port.get("port"), port.get("endPort")
    number = "" if first is None else f"{first}-{last}" if last else f"{first}"
    return f"{protocol} {number}".rstrip() if protocol != "TCP" or not number else number
