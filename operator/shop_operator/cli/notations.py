"""The graph of ShopServices as text, and in the languages of Graphviz and Mermaid. Pure."""

from collections.abc import Iterator
from typing import Final

from shop_operator.cli.topology import DEPENDS_ON, WORKER, Edge, Graph, Node

_SHAPES: Final = {
    "ShopService": "box",
    "Worker": "component",
    "Gateway": "house",
    "Service": "ellipse",
    "Queue": "cds",
    "Peer": "oval",
}


def text_lines(drawn: Graph) -> Iterator[str]:
    """The graph as text: each ShopService with its incoming and outgoing edges."""
    several = len({each.namespace for each in drawn.nodes.values() if each.kind == "ShopService"}) > 1
    for node in drawn.nodes.values():
        if node.kind != "ShopService" or node.state == "missing":
            continue
        lines = list(_edges_of(node, drawn, several=several))
        yield _called(node, several=several)
        for index, line in enumerate(lines):
            yield f"{'└─' if index == len(lines) - 1 else '├─'} {line}"


def _edges_of(node: Node, drawn: Graph, *, several: bool) -> Iterator[str]:
    """The edges of a ShopService, then those that end at its workers."""
    outgoing = [edge for edge in drawn.edges if edge.source == node.key]
    workers = {edge.target for edge in outgoing if edge.label == WORKER}
    for edge in drawn.edges:
        if edge.target == node.key and edge.label != DEPENDS_ON:
            yield _incoming(edge)
    for edge in outgoing:
        words = "depends on" if edge.label == DEPENDS_ON else edge.label
        yield f"{words} {_called(drawn.nodes[edge.target], several=several)}"
    for edge in drawn.edges:
        if edge.target in workers and edge.source != node.key:
            yield f"worker {edge.target[2]} {_incoming(edge)}"


def _called(node: Node, *, several: bool) -> str:
    shown = f"{node.namespace}/{node.name}" if several and node.namespace else node.name
    if node.state in {"missing", "not ready"}:
        return f"{shown} ({node.state})"
    return f"{shown} (Service)" if node.kind == "Service" else shown


def _incoming(edge: Edge) -> str:
    kind, namespace, name = edge.source
    if kind == "Queue":
        return f"scaled by Queue {name}"
    if kind == "Peer":
        return f"{name} {edge.label}"
    return f"{edge.label} from {kind} {namespace}/{name}"


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
