"""A layered layout of a graph: columns, the order within each, and a place in every column that an edge crosses. Pure."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
_SWEEPS: Final = 4


@dataclass(frozen=True)
class Layout(Generic[Key]):
    """The slots of nodes and edges.

    Args:
        columns: the slots of each column from top to bottom: a node, or an edge that crosses the column.
        slots: node -> its column and row.
        crossings: edge -> the column and row of each slot between its ends.
    """

    columns: Sequence[Sequence[object]]
    slots: Mapping[Key, tuple[int, int]]
    crossings: Mapping[tuple[Key, Key], Sequence[tuple[int, int]]]


def layout(nodes: Iterable[Key], edges: Iterable[tuple[Key, Key]]) -> Layout[Key]:
    """Lay out a graph so that edges point to the right, except those that close a cycle.

    Args:
        nodes: all nodes.
        edges: pairs of source and target.
    """
    known = list(dict.fromkeys(nodes))
    pairs = [pair for pair in dict.fromkeys(edges) if pair[0] != pair[1]]
    columns = _columns(known, pairs)
    slots: list[list[object]] = [[] for _ in range(max(columns.values(), default=-1) + 1)]
    for key in known:
        slots[columns[key]].append(key)
    links: list[tuple[object, object]] = []
    ways: dict[tuple[Key, Key], list[object]] = {}
    for source, target in pairs:
        between: list[object] = [
            (source, target, column) for column in range(columns[source] + 1, columns[target])
        ]
        for column, crossing in enumerate(between, start=columns[source] + 1):
            slots[column].append(crossing)
        ways[source, target] = between
        chain = [source, *between, target]
        links += pairwise(chain)
    _untangle(slots, links)
    places = {slot: (column, row) for column, each in enumerate(slots) for row, slot in enumerate(each)}
    return Layout(
        slots,
        {key: places[key] for key in known},
        {pair: [places[each] for each in between] for pair, between in ways.items()},
    )


def _columns(nodes: Sequence[Key], pairs: Sequence[tuple[Key, Key]]) -> dict[Key, int]:
    """The column of each node: one more than that of any node that points to it. Edges that close a cycle do not count."""
    targets: dict[Key, list[Key]] = {key: [] for key in nodes}
    for source, target in pairs:
        targets[source].append(target)
    order = _ordered(targets)
    position = {key: index for index, key in enumerate(order)}
    columns = dict.fromkeys(nodes, 0)
    for key in order:
        for target in targets[key]:
            if position[target] > position[key]:
                columns[target] = max(columns[target], columns[key] + 1)
    return columns


def _ordered(targets: Mapping[Key, Sequence[Key]]) -> list[Key]:
    """The nodes, each before those that it points to, except within a cycle. Not recursive: a chain may be long."""
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


def _untangle(slots: Sequence[list[object]], links: Sequence[tuple[object, object]]) -> None:
    """Order each column by the mean row of its neighbors, forth and back, which removes most crossings."""
    before: dict[object, list[object]] = {}
    after: dict[object, list[object]] = {}
    for source, target in links:
        before.setdefault(target, []).append(source)
        after.setdefault(source, []).append(target)
    for sweep in range(_SWEEPS):
        neighbors, through = (before, slots) if sweep % 2 == 0 else (after, slots[::-1])
        rows = {slot: row for each in slots for row, slot in enumerate(each)}
        for column in through:
            column.sort(key=lambda slot: _mean([rows[each] for each in neighbors.get(slot, ())], rows[slot]))
            rows |= {slot: row for row, slot in enumerate(column)}


def _mean(rows: Sequence[int], otherwise: int) -> float:
    return sum(rows) / len(rows) if rows else float(otherwise)
