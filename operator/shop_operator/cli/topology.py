"""The graph of ShopServices: their dependencies, routes and workers. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

Object = Mapping[str, Any]
Key = tuple[str, str, str]

_SHAPES: Final = {"ShopService": "box", "Worker": "component", "Gateway": "house", "Service": "ellipse"}


@dataclass(frozen=True)
class Node:
    """A node of the graph.

    Args:
        kind: ShopService, Worker, Gateway or Service (of another backend).
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
        label: dependsOn, worker, or the methods, host and path of a route.
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
            found.edges.append(Edge(own, missing, "dependsOn"))
        for worker in spec.get("workers") or ():
            there = _add(found, Node("Worker", here, f"{name}-{worker['name']}"))
            found.edges.append(Edge(own, there, "worker"))
        _add_routes(found, here, name, spec)
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


def text_lines(drawn: Graph) -> Iterator[str]:
    """The graph as text: each ShopService with its incoming and outgoing edges."""
    several = len({each.namespace for each in drawn.nodes.values() if each.kind == "ShopService"}) > 1

    def called(key: Key) -> str:
        kind, namespace, name = key
        shown = f"{namespace}/{name}" if several else name
        state = drawn.nodes[key].state
        return (
            f"{shown} ({state})"
            if state in {"missing", "not ready"}
            else f"{shown}" + (f" ({kind})" if kind == "Service" else "")
        )

    for node in drawn.nodes.values():
        if node.kind != "ShopService" or node.state == "missing":
            continue
        lines = [
            f"{edge.label} from Gateway {edge.source[1]}/{edge.source[2]}"
            for edge in drawn.edges
            if edge.target == node.key and edge.source[0] == "Gateway"
        ]
        lines += [
            f"{'depends on' if edge.label == 'dependsOn' else edge.label} {called(edge.target)}"
            for edge in drawn.edges
            if edge.source == node.key
        ]
        yield called(node.key)
        for index, line in enumerate(lines):
            yield f"{'└─' if index == len(lines) - 1 else '├─'} {line}"


def dot_lines(drawn: Graph) -> Iterator[str]:
    """The graph in the language of Graphviz."""
    yield "digraph shopservices {"
    yield "  rankdir=LR;"
    for key, node in drawn.nodes.items():
        style = ", style=dashed" if node.state == "missing" else ""
        yield f"  {_dot('/'.join(key))} [label={_dot(_label(node))}, shape={_SHAPES[node.kind]}{style}];"
    for edge in drawn.edges:
        ends = f"{_dot('/'.join(edge.source))} -> {_dot('/'.join(edge.target))}"
        yield f"  {ends} [label={_dot(edge.label)}];"
    yield "}"


def mermaid_lines(drawn: Graph) -> Iterator[str]:
    """The graph in the language of Mermaid, which GitHub and GitLab draw in Markdown pages."""
    names = {key: f"n{index}" for index, key in enumerate(drawn.nodes)}
    yield "flowchart LR"
    for key, node in drawn.nodes.items():
        yield f"  {names[key]}[{_mermaid(_label(node))}]"
    for edge in drawn.edges:
        yield f"  {names[edge.source]} -->|{_mermaid(edge.label)}| {names[edge.target]}"


def _label(node: Node) -> str:
    note = _note(node)
    return f"{node.kind} {node.name}" + (f" ({note})" if note else "")


def _note(node: Node) -> str:
    return "" if node.state == "ready" else node.state


def _dot(words: str) -> str:
    escaped = words.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _mermaid(words: str) -> str:
    for plain, entity in (("#", "#35;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;")):
        words = words.replace(plain, entity)
    return f'"{words}"'
