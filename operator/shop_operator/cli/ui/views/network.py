"""The dependency graph: as a list, and as the drawing of `kubectl shop graph`. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shop_operator.cli.drawing import svg_lines
from shop_operator.cli.topology import (
    DEPENDS_ON,
    MAY_CONNECT,
    SCALES,
    WORKER,
    Edge,
    Graph,
    Key,
    Node,
    graph,
)
from shop_operator.cli.ui.views.overview import Health, health

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Link:
    """A connection to another object.

    Args:
        words: such as "depends on".
        kind: kind of the other object.
        name: name of the other object.
        namespace: namespace of the other object.
        health: its state; None if it has none.
    """

    words: str
    kind: str
    name: str
    namespace: str
    health: Health | None


@dataclass(frozen=True)
class Entry:
    """An object of the graph and its outgoing edges."""

    kind: str
    namespace: str
    name: str
    health: Health | None
    links: Sequence[Link]


def entries(shops: Iterable[Object]) -> list[Entry]:
    """Every node of the graph, with its outgoing edges."""
    given = list(shops)
    states = {
        ("ShopService", each["metadata"]["namespace"], each["metadata"]["name"]): health(each)
        for each in given
    }
    drawn = graph(given)
    return [_entry(each, drawn, states) for each in drawn.nodes.values()]


def _entry(node: Node, drawn: Graph, states: Mapping[Key, Health]) -> Entry:
    links = [_link(each, drawn, states) for each in drawn.edges if each.source == node.key]
    return Entry(node.kind, node.namespace, node.name, _health(node, states), links)


def _link(edge: Edge, drawn: Graph, states: Mapping[Key, Health]) -> Link:
    other = drawn.nodes[edge.target]
    words = {DEPENDS_ON: "depends on", WORKER: "has", SCALES: SCALES}.get(edge.label)
    if words is None:
        words = edge.label if edge.label.startswith(MAY_CONNECT) else f"sends {edge.label or 'requests'} to"
    return Link(words, other.kind, other.name, other.namespace, _health(other, states))


def _health(node: Node, states: Mapping[Key, Health]) -> Health | None:
    if node.state == "missing":
        return Health("bad", "Missing")
    return states.get(node.key)


def drawing(shops: Iterable[Object]) -> str:
    """The graph as SVG, in which all texts are escaped; empty without ShopServices."""
    found = graph(shops)
    return "\n".join(svg_lines(found)) if found.nodes else ""
