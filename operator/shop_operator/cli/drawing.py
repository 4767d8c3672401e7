"""The graph of ShopServices as SVG. Pure.

The nodes stand in columns, each to the right of those that point to it. Colors come from the page: the drawing has classes and
`currentColor`, and neither scripts nor styles, so that it can be part of a page that forbids both. `picture_lines` adds a style
with colors for light and dark, a title and a description, for a file of its own.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Final

from shop_operator.cli.layering import Layout, layout
from shop_operator.cli.notations import text_lines
from shop_operator.cli.topology import WORKER, Graph, Key, Node
from shop_operator.wording import printable

_WIDTH: Final = 190
_HEIGHT: Final = 52
_ACROSS: Final = 150
_DOWN: Final = 28
_MARGIN: Final = 16
_LONGEST_NAME: Final = 20
"""Characters of the longest bold line that fits into a node."""
_LONGEST: Final = 24
"""The same of a line that is not bold."""
_LABEL_HEIGHT: Final = 12
_LONGEST_LABEL: Final = 22
"""Characters of the longest label that fits between two columns."""
_FONT: Final = 'font-family="sans-serif" font-size="13" fill="currentColor"'
_STYLE: Final = (
    "svg{color-scheme:light dark;color:#1f2328;background:#fff}"
    ".node rect{fill:#f6f8fa}.node.ready{color:#116329}.node.not-ready,.node.missing{color:#a40e26}"
    ".edge{color:#59636e}.label{fill:#59636e;stroke:#fff;stroke-width:4px;paint-order:stroke}"
    "@media (prefers-color-scheme:dark){svg{color:#f0f6fc;background:#0d1117}.node rect{fill:#151b23}"
    ".node.ready{color:#7ee787}.node.not-ready,.node.missing{color:#ff7b72}.edge{color:#9198a1}.label{fill:#9198a1;stroke:#0d1117}}"
)

Place = tuple[int, int]
Heights = Mapping[tuple[Key, Key], int]


def svg_lines(drawn: Graph) -> Iterator[str]:
    """The drawing for a page, line by line."""
    placed = _layout(drawn)
    yield f'<svg {_frame(placed)} role="img" aria-label="Graph of ShopServices" {_FONT}>'
    yield from _content(drawn, placed)
    yield "</svg>"


def picture_lines(drawn: Graph) -> Iterator[str]:
    """The drawing as a file, line by line. The description is the graph as text."""
    placed = _layout(drawn)
    yield f'<svg {_frame(placed)} role="img" aria-labelledby="graph-title graph-description" {_FONT}>'
    yield '<title id="graph-title">Graph of ShopServices</title>'
    yield f'<desc id="graph-description">{_text("; ".join(text_lines(drawn)))}</desc>'
    yield f"<style>{_STYLE}</style>"
    yield from _content(drawn, placed)
    yield "</svg>"


def _layout(drawn: Graph) -> Layout[Key]:
    return layout(drawn.nodes, [(edge.source, edge.target) for edge in drawn.edges])


def _frame(placed: Layout[Key]) -> str:
    rows = max(map(len, placed.columns), default=0)
    width = 2 * _MARGIN + len(placed.columns) * (_WIDTH + _ACROSS) - _ACROSS if placed.columns else 0
    # Below the nodes is room for the edges that go back.
    height = 2 * _MARGIN + rows * (_HEIGHT + _DOWN)
    return (
        f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    )


def _content(drawn: Graph, placed: Layout[Key]) -> Iterator[str]:
    yield '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    yield '<path d="M0 0 8 4 0 8z"/></marker></defs>'
    labels: dict[tuple[Key, Key], list[str]] = {}
    for edge in drawn.edges:
        labels.setdefault((edge.source, edge.target), []).append(edge.label)
    leaving, arriving = _heights(labels, placed)
    drawn_edges = [
        (_stops(edge, placed, leaving[edge], arriving[edge]), words) for edge, words in labels.items()
    ]
    for stops, words in drawn_edges:
        yield _edge(stops, words)
    # Above all lines.
    yield from _labels((stops, words) for stops, words in drawn_edges if words != [WORKER])
    for node in drawn.nodes.values():
        yield from _node(node, _corner(placed.slots[node.key]))


def _corner(slot: tuple[int, int]) -> Place:
    column, row = slot
    return _MARGIN + column * (_WIDTH + _ACROSS), _MARGIN + row * (_HEIGHT + _DOWN)


def _node(node: Node, place: Place) -> Iterator[str]:
    x, y = place
    state = node.state.replace(" ", "-") or "plain"
    dashed = ' stroke-dasharray="5 4"' if node.state == "missing" else ""
    note = f"{node.kind}, {node.state}" if node.state else node.kind
    full = f"{node.namespace}/{node.name}" if node.namespace else node.name
    yield f'<g class="node {state}"><title>{_text(f"{node.kind} {full}: {note}")}</title>'
    yield f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="6" fill="none" stroke="currentColor"{dashed}/>'
    yield f'<text x="{x + 12}" y="{y + 22}" font-weight="bold">{_text(_cut(node.name, _LONGEST_NAME))}</text>'
    yield f'<text x="{x + 12}" y="{y + 40}">{_text(_cut(note, _LONGEST))}</text></g>'


def _heights(edges: Iterable[tuple[Key, Key]], placed: Layout[Key]) -> tuple[Heights, Heights]:
    """How far below the top of a node each edge leaves it, and arrives: apart from each other, in the order of their rows."""
    leaving, arriving = defaultdict(list), defaultdict(list)
    for source, target in edges:
        between = placed.crossings.get((source, target)) or ()
        rows = [placed.slots[source][1], *(row for _, row in between), placed.slots[target][1]]
        leaving[source].append((rows[1], (source, target)))
        arriving[target].append((rows[-2], (source, target)))
    return _spread(leaving), _spread(arriving)


def _spread(ends: Mapping[Key, list[tuple[int, tuple[Key, Key]]]]) -> Heights:
    return {
        edge: _HEIGHT * number // (len(each) + 1)
        for each in ends.values()
        for number, (_, edge) in enumerate(sorted(each), start=1)
    }


def _stops(edge: tuple[Key, Key], placed: Layout[Key], leaving: int, arriving: int) -> list[Place]:
    """The ends of the stretches of an edge, from the right side of its source. An edge that goes back ends at the right side as well."""
    (x1, y1), (x2, y2) = (_corner(placed.slots[each]) for each in edge)
    start = x1 + _WIDTH, y1 + leaving
    if x2 <= x1:
        return [start, (x2 + _WIDTH, y2 + arriving)]
    between = [_corner(each) for each in placed.crossings[edge]]
    across = [(x + wide, y + _HEIGHT // 2) for x, y in between for wide in (0, _WIDTH)]
    return [start, *across, (x2, y2 + arriving)]


def _edge(stops: Sequence[Place], labels: Sequence[str]) -> str:
    """All edges between two nodes as one line; a hover shows all labels."""
    start, first = stops[0], stops[1]
    if _goes_back(stops):
        path = _back(start, first)
    else:
        path = f"M{start[0]} {start[1]}" + "".join(_curve(*pair) for pair in pairwise(stops))
    words = "; ".join(dict.fromkeys(labels))
    return (
        f'<path class="edge" d="{path}" fill="none" stroke="currentColor" marker-end="url(#arrow)">'
        f"<title>{_text(words)}</title></path>"
    )


def _labels(edges: Iterable[tuple[Sequence[Place], Sequence[str]]]) -> Iterator[str]:
    """The first label of each edge, at the end of its first stretch. One label stands for equal ones that would overlap."""
    heights: dict[tuple[int, str], int] = {}
    for stops, labels in sorted(edges, key=lambda edge: _label_place(edge[0])):
        x, y = _label_place(stops)
        more = f" +{len(labels) - 1}" if len(labels) > 1 else ""
        shown = _cut(labels[0], _LONGEST_LABEL - len(more)) + more
        if y - heights.get((x, shown), y - _LABEL_HEIGHT) < _LABEL_HEIGHT:
            continue
        heights[x, shown] = y
        anchor = "start" if _goes_back(stops) else "end"
        yield (
            f'<text class="label" x="{x}" y="{y}" font-size="11" text-anchor="{anchor}" aria-hidden="true">'
            f"{_text(shown)}</text>"
        )


def _label_place(stops: Sequence[Place]) -> Place:
    """The place of a label: there, each line has a height of its own."""
    (x1, y1), (x2, y2) = stops[0], stops[1]
    return (x1 + 8, y1 - 6) if _goes_back(stops) else (x2 - 10, y2 - 4)


def _goes_back(stops: Sequence[Place]) -> bool:
    return stops[1][0] <= stops[0][0]


def _curve(start: Place, end: Place) -> str:
    middle = (start[0] + end[0]) // 2
    return f" C{middle} {start[1]}, {middle} {end[1]}, {end[0]} {end[1]}"


def _back(start: Place, end: Place) -> str:
    """To the left, or within a column: below the row of the lower node, from the right side of one to that of the other."""
    (x1, y1), (x2, y2) = start, end
    low, bend = max(y1, y2) + (_HEIGHT + _DOWN) // 2, _ACROSS // 3
    return (
        f"M{x1} {y1} C{x1 + bend} {y1}, {x1 + bend} {low}, {x1} {low}"
        f" L{x2 + bend} {low} C{x2 + bend // 2} {low}, {x2 + bend // 2} {y2}, {x2} {y2}"
    )


def _cut(words: str, longest: int) -> str:
    return words if len(words) <= longest else f"{words[: longest - 1]}…"


def _text(words: str) -> str:
    return escape(printable(words))
