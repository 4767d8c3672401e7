"""The graph of ShopServices as SVG. Pure.

The nodes stand in columns, each to the right of those that point to it. Colors come from the page: the drawing has classes and
`currentColor`, and neither scripts nor styles, so that it can be part of a page that forbids both.
"""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Final

from shop_operator.cli.topology import Edge, Graph, Key, Node
from shop_operator.wording import printable

_WIDTH: Final = 190
_HEIGHT: Final = 52
_ACROSS: Final = 110
_DOWN: Final = 28
_MARGIN: Final = 16
_LONGEST: Final = 24
"""Characters of the longest line that fits into a node."""

Place = tuple[int, int]


def svg_lines(drawn: Graph) -> Iterator[str]:
    """The drawing, line by line."""
    places = _places(drawn)
    width = max((x for x, _ in places.values()), default=0) + _WIDTH + _MARGIN
    height = max((y for _, y in places.values()), default=0) + _HEIGHT + _MARGIN
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        ' role="img" aria-label="Graph of ShopServices" font-family="sans-serif" font-size="13" fill="currentColor">'
    )
    yield '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    yield '<path d="M0 0 8 4 0 8z"/></marker></defs>'
    for edge in drawn.edges:
        yield _edge(edge, places)
    for node in drawn.nodes.values():
        yield from _node(node, places[node.key])
    yield "</svg>"


def _places(drawn: Graph) -> dict[Key, Place]:
    columns: dict[int, list[Key]] = {}
    for key, column in _columns(drawn).items():
        columns.setdefault(column, []).append(key)
    return {
        key: (_MARGIN + column * (_WIDTH + _ACROSS), _MARGIN + row * (_HEIGHT + _DOWN))
        for column, keys in columns.items()
        for row, key in enumerate(keys)
    }


def _columns(drawn: Graph) -> dict[Key, int]:
    """The column of each node: one more than that of any node that points to it. Edges that close a cycle do not count."""
    targets: dict[Key, list[Key]] = {key: [] for key in drawn.nodes}
    for edge in drawn.edges:
        targets[edge.source].append(edge.target)
    columns = dict.fromkeys(drawn.nodes, 0)
    for key in _ordered(targets):
        for target in targets[key]:
            if _is_after(columns, key, target):
                columns[target] = columns[key] + 1
    return columns


def _is_after(columns: Mapping[Key, int], key: Key, target: Key) -> bool:
    return target != key and columns[target] <= columns[key] < len(columns) - 1


def _ordered(targets: Mapping[Key, Sequence[Key]]) -> list[Key]:
    """The nodes, each before those that it points to, except within a cycle."""
    found, seen = list[Key](), set[Key]()
    for first in targets:
        waiting = [(first, iter(targets[first]))] if first not in seen else []
        seen.add(first)
        while waiting:
            key, rest = waiting[-1]
            following = next((each for each in rest if each not in seen), None)
            if following is None:
                found.append(key)
                waiting.pop()
            else:
                seen.add(following)
                waiting.append((following, iter(targets[following])))
    return found[::-1]


def _node(node: Node, place: Place) -> Iterator[str]:
    x, y = place
    state = node.state.replace(" ", "-") or "plain"
    dashed = ' stroke-dasharray="5 4"' if node.state == "missing" else ""
    note = f"{node.kind}, {node.state}" if node.state else node.kind
    yield f'<g class="node {state}"><title>{_text(f"{node.kind} {node.namespace}/{node.name}: {note}")}</title>'
    yield f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="6" fill="none" stroke="currentColor"{dashed}/>'
    yield f'<text x="{x + 12}" y="{y + 22}" font-weight="bold">{_text(_cut(node.name))}</text>'
    yield f'<text x="{x + 12}" y="{y + 40}">{_text(_cut(note))}</text></g>'


def _edge(edge: Edge, places: Mapping[Key, Place]) -> str:
    (x1, y1), (x2, y2) = places[edge.source], places[edge.target]
    start, end = (x1 + _WIDTH, y1 + _HEIGHT // 2), (x2, y2 + _HEIGHT // 2)
    if x2 <= x1:
        # To the left, or within a column: around the right side of both.
        end = (x2 + _WIDTH, y2 + _HEIGHT // 2)
    middle = _ACROSS // 2
    bend = f"{start[0] + middle} {start[1]}, {end[0] + (middle if x2 <= x1 else -middle)} {end[1]}"
    return (
        f'<path class="edge" d="M{start[0]} {start[1]} C{bend}, {end[0]} {end[1]}" fill="none" stroke="currentColor"'
        f' marker-end="url(#arrow)"><title>{_text(edge.label)}</title></path>'
    )


def _cut(words: str) -> str:
    return words if len(words) <= _LONGEST else f"{words[: _LONGEST - 1]}…"


def _text(words: str) -> str:
    return escape(printable(words))
