"""The cycles of spec.dependsOn in one namespace, updated change by change. Pure.

A cycle is a strongly connected component of the dependency graph. Cycles are stored, so that a pass only looks up its cycle,
and a change wakes only the ShopServices that were or are in a cycle with the changed one.

The cost of a change, with V names and E edges in a namespace: none for a ShopService without dependencies or without
dependants; otherwise one search from both sides, which ends with the smaller one; and O(V + E) inside a cycle that loses an
edge.
"""

from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

_NONE: Final[frozenset[str]] = frozenset()


@dataclass
class _Search:
    """A search for everything that can be reached from one name.

    Attributes:
        found: the names that were reached; the name itself only if it is in a cycle.
        visited: the number of visited edges.
    """

    ways: Callable[[str], Iterable[str]]
    open: list[str]
    found: set[str] = field(default_factory=set)
    visited: int = 0

    def step(self) -> None:
        """Follow the edges of one name."""
        ways = set(self.ways(self.open.pop()))
        new = ways - self.found
        self.visited += len(ways)
        self.found |= new
        self.open += new


class DependencyCycles:
    """The dependency graph of one namespace, and its cycles.

    Attributes:
        visited: the number of visited edges, for tests.
    """

    def __init__(self) -> None:
        self._ways: dict[str, tuple[str, ...]] = {}
        self._back: dict[str, set[str]] = {}
        self._of: dict[str, frozenset[str]] = {}
        self.visited = 0

    def __bool__(self) -> bool:
        """Whether the graph has an edge."""
        return bool(self._ways)

    def dependants(self, name: str) -> AbstractSet[str]:
        """The ShopServices that depend on a name, whether or not a ShopService has it."""
        return self._back.get(name, _NONE)

    def of(self, name: str) -> frozenset[str]:
        """All names of its cycle, including itself; empty if it is in none."""
        return self._of.get(name, _NONE)

    def change(self, name: str, ways: tuple[str, ...]) -> frozenset[str]:
        """Replace the dependencies of a ShopService.

        Returns:
            the names whose cycle, or whose paths through it, may have changed.
        """
        before, after = set(self._ways.get(name, ())), set(ways)
        self._connect(name, ways, before, after)
        old = self.of(name)
        if old & (before - after):
            self._split(old)
        if self._closes(name, after - before):
            together = self._around(name)
            self._of |= dict.fromkeys(together, together)
        concerned = old | self.of(name)
        return concerned if concerned & (before ^ after) else _NONE

    def _connect(
        self, name: str, ways: tuple[str, ...], before: AbstractSet[str], after: AbstractSet[str]
    ) -> None:
        if ways:
            self._ways[name] = ways
        else:
            self._ways.pop(name, None)
        for each in before - after:
            self._back[each].discard(name)
            if not self._back[each]:
                del self._back[each]
        for each in after - before:
            self._back.setdefault(each, set()).add(name)

    def _closes(self, name: str, added: AbstractSet[str]) -> bool:
        """Whether new edges can close a cycle."""
        return name in self._back and not added <= self.of(name) and any(each in self._ways for each in added)

    def _around(self, name: str) -> frozenset[str]:
        """All names on paths from a name back to itself."""
        forward = _Search(lambda each: self._ways.get(each, ()), [name])
        backward = _Search(self.dependants, [name])
        while forward.open and backward.open:
            min(forward, backward, key=lambda search: search.visited).step()
        self.visited += forward.visited + backward.visited
        first, ways = (backward, forward.ways) if forward.open else (forward, backward.ways)
        if name not in first.found:
            return _NONE
        # All paths back are inside of what the first search has found.
        rest = _Search(lambda each: first.found.intersection(ways(each)), [name])
        while rest.open:
            rest.step()
        self.visited += rest.visited
        return frozenset(rest.found)

    def _split(self, members: frozenset[str]) -> None:
        """Find the cycles that remain of one."""
        for each in members:
            del self._of[each]
        for part in self._components(members):
            if len(part) > 1 or part <= set(self._ways.get(min(part), ())):
                self._of |= dict.fromkeys(part, part)

    def _components(self, members: frozenset[str]) -> Iterator[frozenset[str]]:
        """The strongly connected components of a subgraph (Tarjan, 1972; without recursion)."""
        number: dict[str, int] = {}
        lowest: dict[str, int] = {}
        stack: list[str] = []
        done: set[str] = set()
        for root in members:
            path: list[tuple[str, Iterator[str]]] = []
            if root not in number:
                path.append(self._entered(root, number, lowest, stack))
            while path:
                name, ways = path[-1]
                each = next(ways, None)
                if each is None:
                    path.pop()
                    if path:
                        above = path[-1][0]
                        lowest[above] = min(lowest[above], lowest[name])
                    if lowest[name] == number[name]:
                        part = frozenset(_popped(stack, name))
                        done |= part
                        yield part
                elif each in members and each not in number:
                    path.append(self._entered(each, number, lowest, stack))
                elif each in members and each not in done:
                    lowest[name] = min(lowest[name], number[each])

    def _entered(
        self, name: str, number: dict[str, int], lowest: dict[str, int], stack: list[str]
    ) -> tuple[str, Iterator[str]]:
        ways = self._ways.get(name, ())
        self.visited += len(ways)
        number[name] = lowest[name] = len(number)
        stack.append(name)
        return name, iter(ways)


def _popped(stack: list[str], last: str) -> Iterator[str]:
    each = None
    while each != last:
        each = stack.pop()
        yield each
